using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Security.Authentication;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization;
using Qanat.Books;
using Qanat.Console;
using Qanat.Gateway;

namespace Qanat.Cli;

/// <summary>What `qanat.json` may say. Options of the command win over it; what neither says has a default.</summary>
public sealed record QanatConfiguration
{
    /// <summary>The file's name in the data directory.</summary>
    public const string FileName = "qanat.json";
    public const int MegabytesMax = 10_000_000;

    /// <summary>The schema's address, which editors look at; nothing is read from it.</summary>
    [JsonPropertyName("$schema")]
    public string? Schema { get; init; }

    public string? Urls { get; init; }
    public string? Model { get; init; }
    public string? ModelName { get; init; }
    public int? Threads { get; init; }
    public int? KvMegabytes { get; init; }

    /// <summary>For the recurrent states of hybrid models.</summary>
    public int? StateMegabytes { get; init; }

    /// <summary>"f16" or "q8".</summary>
    public string? KvFormat { get; init; }

    public int? DrainSeconds { get; init; }

    /// <summary>From which level on the log is told.</summary>
    public LogLevel? LogLevel { get; init; }
    public TlsConfiguration? Tls { get; init; }
    public LineConfiguration? Line { get; init; }

    /// <summary>How much each tenant may keep here.</summary>
    public KeptConfiguration? Kept { get; init; }

    /// <summary>Who vouches for people, beside accounts of this server's own.</summary>
    public OpenIdProvider? OpenId { get; init; }

    /// <summary>The server that takes mail, for alerts.</summary>
    public MailTerms? Mail { get; init; }

    /// <summary>Private networks that webhooks may be in, e.g. "10.1.0.0/16".</summary>
    public IReadOnlyList<string>? AllowedNetworks { get; init; }

    private static readonly TimeSpan StandardDrain = TimeSpan.FromSeconds(30);

    private static readonly ConfigurationJson Json = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        ReadCommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
        Converters = { new JsonStringEnumConverter<KeyRole>(JsonNamingPolicy.SnakeCaseLower), new JsonStringEnumConverter<Reach>(JsonNamingPolicy.SnakeCaseLower), new JsonStringEnumConverter<MailSecurity>(JsonNamingPolicy.SnakeCaseLower), new JsonStringEnumConverter<LogLevel>(JsonNamingPolicy.SnakeCaseLower) },
    });

    /// <summary>Reads a file; an empty configuration when there is none.</summary>
    /// <exception cref="CommandException">It is not JSON, or says something that is not known or not possible: the message says where and what.</exception>
    public static QanatConfiguration Read(string file)
    {
        if (!File.Exists(file)) return new QanatConfiguration();
        try
        {
            string text = File.ReadAllText(file);
            QanatConfiguration read = JsonSerializer.Deserialize(text, Json.QanatConfiguration) ?? new QanatConfiguration();
            string[] complaints = [.. read.Complaints().Select(complaint => WithLine(complaint, text))];
            return complaints.Length == 0 ? read : throw new CommandException($"{file}: {string.Join(" ", complaints)}");
        }
        catch (JsonException error)
        {
            string where = error.LineNumber is { } line ? $" (line {line + 1})" : "";
            throw new CommandException($"{file}{where}: {Worded(error)}", error);
        }
    }

    /// <summary>What is wrong, in the words of whoever wrote the file.</summary>
    private static string Worded(JsonException error)
    {
        string setting = error.Path is { Length: > 2 } path ? path[2..] : "the file";
        if (error.Message.Contains("could not be mapped", StringComparison.Ordinal)) return $"there is no setting '{setting}'; `qanat config schema` has all of them.";
        if (error.Message.Contains("could not be converted", StringComparison.Ordinal)) return $"'{setting}' cannot have this value; `qanat config schema` has its kind.";
        return error.Message.Split(" Path:")[0];
    }

    /// <summary>Settings in which two configurations differ, by their names in the file.</summary>
    public static ImmutableArray<string> Differences(QanatConfiguration one, QanatConfiguration other)
    {
        ArgumentNullException.ThrowIfNull(one);
        ArgumentNullException.ThrowIfNull(other);
        (JsonObject first, JsonObject second) = (one.ToJson(), other.ToJson());
        return [.. first.Concat(second).Select(pair => pair.Key).Distinct().Where(name => !JsonNode.DeepEquals(first[name], second[name])).Order(StringComparer.Ordinal)];
    }

    /// <summary>This one with some settings of another.</summary>
    public QanatConfiguration With(IEnumerable<string> settings, QanatConfiguration other)
    {
        ArgumentNullException.ThrowIfNull(settings);
        ArgumentNullException.ThrowIfNull(other);
        (JsonObject mine, JsonObject theirs) = (ToJson(), other.ToJson());
        foreach (string name in settings) mine[name] = theirs[name]?.DeepClone();
        return mine.Deserialize(Json.QanatConfiguration)!;
    }

    public ImmutableArray<IPNetwork> Networks() => [.. (AllowedNetworks ?? []).Select(IPNetwork.Parse)];
    public LogLevel LogLevelOrStandard() => LogLevel ?? Microsoft.Extensions.Logging.LogLevel.Warning;
    public TimeSpan DrainMax() => DrainSeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : StandardDrain;

    public RateOptions RateOptions()
    {
        RateOptions standard = new();
        return standard with
        {
            QueueMax = Line?.QueueMax ?? standard.QueueMax,
            QueueWaitMax = Line?.WaitSeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : standard.QueueWaitMax,
            RateWaitMax = Line?.RateWaitSeconds is { } rateSeconds ? TimeSpan.FromSeconds(rateSeconds) : standard.RateWaitMax,
        };
    }

    public KeptOptions KeptOptions()
    {
        KeptOptions standard = new();
        return Kept is not { } kept ? standard : standard with
        {
            FilesMax = kept.FilesMax ?? standard.FilesMax,
            FileBytesMax = Bytes(kept.FileMegabytesMax) ?? standard.FileBytesMax,
            ResponsesMax = kept.ResponsesMax ?? standard.ResponsesMax,
            ResponseBytesMax = Bytes(kept.ResponseMegabytesMax) ?? standard.ResponseBytesMax,
            TasksMax = kept.TasksMax ?? standard.TasksMax,
            TaskBytesMax = Bytes(kept.TaskMegabytesMax) ?? standard.TaskBytesMax,
            TasksUnderWayMax = kept.TasksUnderWayMax ?? standard.TasksUnderWayMax,
            BatchesMax = kept.BatchesMax ?? standard.BatchesMax,
            BatchesUnderWayMax = kept.BatchesUnderWayMax ?? standard.BatchesUnderWayMax,
        };

        static long? Bytes(int? megabytes) => (long?)megabytes << 20;
    }

    /// <summary>Everything that cannot be, each as a sentence.</summary>
    public IEnumerable<string> Complaints()
    {
        foreach (string url in (Urls ?? "").Split([';', ','], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (!Uri.TryCreate(url.Replace("://*", "://any", StringComparison.Ordinal).Replace("://+", "://any", StringComparison.Ordinal), UriKind.Absolute, out Uri? uri) || uri.Scheme is not ("http" or "https"))
                yield return $"urls: '{url}' is not an address such as http://127.0.0.1:7777.";
            else if (uri.Scheme == "https" && Tls is null)
                yield return "urls: https needs tls.certificate.";
        }
        if (Model is { } model && !File.Exists(model) && !Directory.Exists(model) && model.Split('/').Length != 2) yield return $"model: there is no file {model}.";
        if (Threads is < 1 or > 1024) yield return "threads: from 1 to 1024.";
        if (KvMegabytes is < 1 or > MegabytesMax) yield return "kv_megabytes: from 1 to 10000000.";
        if (StateMegabytes is < 1 or > MegabytesMax) yield return "state_megabytes: from 1 to 10000000.";
        if (KvFormat is { } format && !Enum.GetNames<Qanat.Kernels.KvFormat>().Contains(format, StringComparer.OrdinalIgnoreCase)) yield return $"kv_format: '{format}' is neither f16 nor q8.";
        if (DrainSeconds is < 0 or > 3600) yield return "drain_seconds: from 0 to 3600.";
        if (Tls is { } tls && !File.Exists(tls.Certificate)) yield return $"tls.certificate: there is no file {tls.Certificate}.";
        if (Tls?.Key is { } key && !File.Exists(key)) yield return $"tls.key: there is no file {key}.";
        if (Tls is { MinVersion: not ("1.2" or "1.3") }) yield return "tls.min_version: 1.2 or 1.3.";
        if (Tls?.HstsSeconds is < 0 or > 63_072_000) yield return "tls.hsts_seconds: from 0 to 63072000 (two years).";
        foreach (string network in (AllowedNetworks ?? []).Where(each => !IPNetwork.TryParse(each, out _))) yield return $"allowed_networks: '{network}' is not a network such as 10.1.0.0/16.";
        foreach (string complaint in OpenId?.Complaints() ?? []) yield return complaint;
        foreach (string complaint in Mail?.Complaints() ?? []) yield return complaint;
        if (Line?.QueueMax is < 0 or > 1_000_000) yield return "line.queue_max: from 0 to 1000000.";
        if (Line?.WaitSeconds is < 0 or > 3600) yield return "line.wait_seconds: from 0 to 3600.";
        if (Line?.RateWaitSeconds is < 0 or > 3600) yield return "line.rate_wait_seconds: from 0 to 3600.";
        foreach (string complaint in Kept?.Complaints() ?? []) yield return complaint;
    }

    private JsonObject ToJson() => JsonSerializer.SerializeToNode(this, Json.QanatConfiguration)!.AsObject();

    /// <summary>A complaint begins with the setting that it is about: the line where that is.</summary>
    private static string WithLine(string complaint, string text)
    {
        string[] path = complaint.Split(':')[0].Split('.');
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        Utf8JsonReader reader = new(bytes, new JsonReaderOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
        int found = 0, at = 0;
        while (found < path.Length && reader.Read())
        {
            if (reader.TokenType != JsonTokenType.PropertyName || reader.CurrentDepth != found + 1 || !reader.ValueTextEquals(path[found])) continue;
            (found, at) = (found + 1, (int)reader.TokenStartIndex);
        }
        if (found == 0) return complaint;
        int line = 1 + bytes.AsSpan(0, at).Count((byte)'\n');
        return string.Create(CultureInfo.InvariantCulture, $"line {line}: {complaint}");
    }

    /// <summary>The JSON Schema of the file, as docs/qanat.schema.json shows it.</summary>
    public static string SchemaText()
    {
        JsonNode schema = Json.QanatConfiguration.GetJsonSchemaAsNode(new JsonSchemaExporterOptions { TreatNullObliviousAsNonNullable = true });
        JsonObject root = schema.AsObject();
        root.Insert(0, "$schema", "https://json-schema.org/draft/2020-12/schema");
        root.Insert(1, "title", "qanat.json");
        return schema.ToJsonString(new JsonSerializerOptions { WriteIndented = true, NewLine = "\n" }) + "\n";
    }
}

/// <param name="Certificate">A PEM or PFX file.</param>
/// <param name="Key">The PEM file of its key; null: it is in the certificate's file.</param>
/// <param name="MinVersion">The oldest version that is spoken: 1.2 or 1.3.</param>
/// <param name="HstsSeconds">For how long browsers are told to come by https only; null or 0: they are not told.</param>
/// <param name="HttpOnlyLeads">Whether addresses with http lead pages to https and refuse APIs; otherwise they serve as well.</param>
public sealed record TlsConfiguration(string Certificate, string? Key = null, string MinVersion = "1.2", int? HstsSeconds = null, bool HttpOnlyLeads = true)
{
    internal SslProtocols Protocols => MinVersion == "1.3" ? SslProtocols.Tls13 : SslProtocols.Tls12 | SslProtocols.Tls13;
}

/// <summary>The line before limits, where tenants, projects and keys do not say otherwise.</summary>
/// <param name="QueueMax">How many wait at one level.</param>
/// <param name="WaitSeconds">How long for a place under a limit of concurrency.</param>
/// <param name="RateWaitSeconds">How long for a rate that is used up; null or 0: it is refused at once.</param>
public sealed record LineConfiguration(int? QueueMax = null, int? WaitSeconds = null, int? RateWaitSeconds = null);

/// <summary>How much each tenant may keep, and have under way, at most (ADR 78). Null: as <see cref="KeptOptions"/> says; 0: none at all.</summary>
/// <param name="FilesMax">Files, those that batches write with them.</param>
/// <param name="ResponsesMax">Stored responses.</param>
/// <param name="TasksMax">Results of DashScope's tasks.</param>
/// <param name="BatchesMax">Batches that run or ended lately.</param>
public sealed record KeptConfiguration(int? FilesMax = null, int? FileMegabytesMax = null, int? ResponsesMax = null, int? ResponseMegabytesMax = null, int? TasksMax = null, int? TaskMegabytesMax = null, int? TasksUnderWayMax = null,
    int? BatchesMax = null, int? BatchesUnderWayMax = null)
{
    private const int Most = 1_000_000_000;

    internal IEnumerable<string> Complaints()
    {
        (string, int?)[] all =
        [
            ("files_max", FilesMax), ("file_megabytes_max", FileMegabytesMax), ("responses_max", ResponsesMax), ("response_megabytes_max", ResponseMegabytesMax), ("tasks_max", TasksMax),
            ("task_megabytes_max", TaskMegabytesMax), ("tasks_under_way_max", TasksUnderWayMax), ("batches_max", BatchesMax), ("batches_under_way_max", BatchesUnderWayMax),
        ];
        foreach ((string name, int? value) in all)
            if (value is < 0 or > Most) yield return string.Create(CultureInfo.InvariantCulture, $"kept.{name}: from 0 to {Most}.");
    }
}

[JsonSerializable(typeof(QanatConfiguration))]
internal sealed partial class ConfigurationJson : JsonSerializerContext;
