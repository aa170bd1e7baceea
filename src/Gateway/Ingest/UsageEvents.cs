using System.Text.Json;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Reads CloudEvents 1.0 in structured form as usage. Attributes: id and source name the event for ever; time is when the request was completed unless data says so; data has the counts.</summary>
internal sealed class UsageEvents(DirectoryState directory, TimeProvider clock)
{
    public const string Type = "qanat.usage.v1";

    private const long TokensMax = 1_000_000_000_000;

    /// <summary>Clocks of other machines may be ahead by this much.</summary>
    private static readonly TimeSpan AheadMax = TimeSpan.FromMinutes(5);

    /// <summary>The attributes and fields that are read.</summary>
    public static Schema Event { get; } = Schema.Object(Field.Needed("specversion", Schema.OneOf("Of CloudEvents", "1.0")), Field.Needed("type", Schema.OneOf("What it tells", Type)),
        Field.Needed("data", Schema.Object(Field.Needed("tenant", Schema.Text("Whose usage it is: a tenant by its id or name")), Field.May("project", Schema.Text("One of the tenant's projects by its name").Defaults(DirectoryState.DefaultProject)),
            Field.May("key", Schema.Text("One of the project's keys by its id or name; without it, the first")), Field.May("user", Schema.Text("For which of the tenant's users")), Field.Needed("model", Schema.Text("Which model was asked")),
            Field.May("deployment", Schema.Text("What served it; without it, source and model")), Field.May("pool", Schema.Text("The pool that it costs; without it, the source")),
            Field.May("operation", Schema.OneOf("What it was", "chat", "completion", "embedding", "rerank", "batch", "train").Defaults("chat")),
            Field.May("outcome", Schema.OneOf("How it ended", "completed", "aborted_by_client", "cut_by_limit", "failed", "recovered").Defaults("completed")),
            Field.May("placed_at", Schema.Time("When it was asked for; without it, when it was completed")), Field.May("completed_at", Schema.Time("When it was completed; without it, the time of the event")),
            Field.May("tokens", Schema.Object([.. from name in (string[])["input", "cache_read", "cache_write", "output", "reasoning"] select Field.May(name, Schema.Integer("Tokens", 0, TokensMax))])),
            Field.May("cache", Schema.OneOf("Whether caching was asked for", "implicit", "explicit").Defaults("implicit")))),
        Field.May("time", Schema.Time("When the request was completed; needed unless data says it")), Field.Needed("source", Schema.Text("Where it was metered: with the id it names the event for ever")), Field.Needed("id", Schema.Text("Which of the source's events")))
        .Called("UsageEvent");

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
        long Count(string name) => tokens.Integer(name, 0, TokensMax) ?? 0;
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
