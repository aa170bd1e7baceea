using System.Text.Json;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Reads CloudEvents 1.0 in structured form as usage. Attributes: id and source name the event for ever; time is when the request was completed unless data says so; data has the counts.</summary>
internal sealed class UsageEvents(DirectoryState directory, TimeProvider clock)
{
    public const string Type = "qanat.usage.v1";

    /// <summary>Clocks of other machines may be ahead by this much.</summary>
    private static readonly TimeSpan AheadMax = TimeSpan.FromMinutes(5);

    /// <exception cref="ApiException">400: an attribute or field is missing or not what it must be.</exception>
    public (OutsideUsage Usage, Caller Whose) Read(JsonElement element)
    {
        if (element.ValueKind != JsonValueKind.Object) throw Refusal.Type("event", "an object", JsonFields.Kind(element));
        JsonFields attributes = new(element, "");
        if (attributes.RequiredText("specversion") is var version && version != "1.0") throw Refusal.Value("specversion", "only CloudEvents 1.0 is understood.");
        if (attributes.RequiredText("type") is var type && type != Type) throw Refusal.Value("type", $"it must be '{Type}'.");
        JsonFields data = attributes.Object("data") ?? throw Refusal.Missing("data");
        Instant? time = attributes.Text("time") is { } said ? AdminRequest.ParseTime(said, "time") : null;
        Instant completed = data.Text("completed_at") is { } end ? AdminRequest.ParseTime(end, "data.completed_at") : time ?? throw Refusal.Missing("time");
        Instant placed = data.Text("placed_at") is { } start ? AdminRequest.ParseTime(start, "data.placed_at") : completed;
        if (placed > completed) throw Refusal.Value("data.placed_at", "it must not be after the request was completed.");
        if (completed > Instant.From(clock.GetUtcNow() + AheadMax)) throw Refusal.Value("time", "it lies in the future.");
        Caller whose = Whose(data);
        Party party = new(whose.Tenant.Id, whose.Project.Id, whose.Key.Id, data.Text("user"));
        string model = Name(data.RequiredText("model"), "data.model"), source = Name(attributes.RequiredText("source"), "source");
        OutsideUsage usage = new(source, Name(attributes.RequiredText("id"), "id"), placed, completed, party, new ModelName(model),
            new DeploymentName(Name(data.Text("deployment") ?? $"{source}/{model}", "data.deployment")), new PoolName(Name(data.Text("pool") ?? source, "data.pool")),
            Operation(data.Text("operation")), Outcome(data.Text("outcome")), Tokens(data), Cache(data.Text("cache")));
        return (usage, whose);
    }

    /// <summary>Tenant, project ("default" without one) and key (the tenant's first without one) that the usage belongs to.</summary>
    private Caller Whose(JsonFields data)
    {
        DirectoryModel now = directory.Current;
        string tenantName = data.RequiredText("tenant");
        Tenant tenant = now.FindTenant(tenantName) ?? throw Refusal.Value("data.tenant", $"there is no tenant '{tenantName}'.");
        string projectName = data.Text("project") ?? DirectoryState.DefaultProject;
        Project project = now.FindProject(tenant.Id, projectName) ?? throw Refusal.Value("data.project", $"the tenant has no project '{projectName}'.");
        string? keyName = data.Text("key");
        ApiKey key = now.Keys.FirstOrDefault(each => each.Project == project.Id && (keyName is null || each.Name == keyName || each.Id.ToString() == keyName))
            ?? throw Refusal.Value("data.key", keyName is null ? "the project has no key yet: create one for the system that reports its usage." : $"the project has no key '{keyName}'.");
        return new Caller(tenant, project, key);
    }

    /// <summary>None at all: the usage is missing, which is a state of its own and never zero money.</summary>
    private static TokenCounts Tokens(JsonFields data)
    {
        if (data.Object("tokens") is not { } tokens) return default;
        long Count(string name) => tokens.Integer(name, 0, 1_000_000_000_000) ?? 0;
        TokenCounts counts = new(Count("input"), Count("cache_read"), Count("cache_write"), Count("output"), Count("reasoning"));
        return counts.CacheRead + counts.CacheWrite <= counts.Input && counts.Reasoning <= counts.Output
            ? counts
            : throw Refusal.Value("data.tokens", "cache_read and cache_write are parts of input, reasoning is a part of output.");
    }

    private static Operation Operation(string? text) => text switch
    {
        null or "chat" => Qanat.Books.Operation.Chat,
        "completion" => Qanat.Books.Operation.Completion,
        "embedding" => Qanat.Books.Operation.Embedding,
        "rerank" => Qanat.Books.Operation.Rerank,
        "batch" => Qanat.Books.Operation.Batch,
        "train" => Qanat.Books.Operation.Train,
        _ => throw Refusal.Value("data.operation", "it must be chat, completion, embedding, rerank, batch or train."),
    };

    private static Outcome Outcome(string? text) => text switch
    {
        null or "completed" => Qanat.Books.Outcome.Completed,
        "aborted_by_client" => Qanat.Books.Outcome.AbortedByClient,
        "cut_by_limit" => Qanat.Books.Outcome.CutByLimit,
        "failed" => Qanat.Books.Outcome.Failed,
        "recovered" => Qanat.Books.Outcome.Recovered,
        _ => throw Refusal.Value("data.outcome", "it must be completed, aborted_by_client, cut_by_limit, failed or recovered."),
    };

    private static CacheMode Cache(string? text) => text switch
    {
        null or "implicit" => CacheMode.Implicit,
        "explicit" => CacheMode.Explicit,
        _ => throw Refusal.Value("data.cache", "it must be implicit or explicit."),
    };

    private static string Name(string text, string param) =>
        text.Length is > 0 and <= 500 && !text.Any(char.IsControl) ? text : throw Refusal.Value(param, "it needs 1 to 500 printable characters.");
}
