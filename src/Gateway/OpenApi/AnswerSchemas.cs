namespace Qanat.Gateway;

/// <summary>What answers hold that are written field by field, and their headers. A test compares them with real answers.</summary>
internal static class AnswerSchemas
{
    private static readonly Schema Decimal = Schema.Text("An exact decimal");

    /// <summary>What a call cost: beside the usage of every answer.</summary>
    public static Schema Bill { get; } = Schema.Object(Field.Needed("request_id", Schema.Id("The request in the books")), Field.May("request_ids", Schema.List(Schema.Id("One of them"), "All, when several calls served it")),
        Field.Needed("tenant", Schema.Text("Whose it is")), Field.Needed("project", Schema.Text("Of the tenant")), Field.May("served_model", Schema.Text("Which model served it, when it was another")),
        Field.Needed("charge", Schema.Text("What it is charged, exactly; null: it has no price").OrNull()), Field.Needed("cost", Schema.Text("What it cost whoever runs this, exactly; null: nobody said what an hour costs").OrNull()), Field.Needed("currency", Schema.Text().OrNull()),
        Field.Needed("device_ns", Schema.Integer("How long it was computed, in nanoseconds", 0)), Field.Needed("price", Price.OrNull()),
        Field.Needed("cost_basis", Schema.Object(Field.Needed("pool", Schema.Text()), Field.Needed("hourly_cost", Decimal), Field.Needed("currency", Schema.Text()), Field.Needed("practical_capacity_percent", Decimal),
            Field.Needed("version", Schema.Id("Of the pool's rate")), Field.Needed("assumed", Schema.Flag("Nobody has confirmed it"))).OrNull()),
        Field.Needed("states", Schema.List(Schema.Text(), "What is to be known of it, such as usage_missing, unpriced, uncosted or cost_assumed")), Field.May("stop_reason", Schema.OneOf("Why it was ended before its time", "budget", "loop")), Field.May("notice", Schema.Text("What whoever runs this says of the model"))).Called("Bill");

    public static Schema Error { get; } = Schema.Object([Field.Needed("error", Schema.Object([.. ErrorFields])), Field.Needed("object", Schema.Text("error")), .. ErrorFields]).Called("Error");

    public static Schema Chat { get; } = Generation(Field.Needed("message", Schema.Object(Field.Needed("role", Schema.Text()), Field.Needed("content", Schema.Text().OrNull()), Field.May("reasoning_content", Schema.Text("What the model thought")),
        Field.May("tool_calls", Schema.List(Schema.AnyObject)), Field.Needed("refusal", Schema.Text().OrNull())))).Called("ChatAnswer");

    public static Schema Completion { get; } = Generation(Field.Needed("text", Schema.Text())).Called("CompletionAnswer");

    public static Schema Embedding { get; } = Schema.Object(Field.Needed("object", Schema.Text("list")), Field.Needed("model", Schema.Text()),
        Field.Needed("data", Schema.List(Schema.Object(Field.Needed("object", Schema.Text("embedding")), Field.Needed("index", Schema.Integer("Of the text", 0)), Field.Needed("embedding", Schema.Either("Numbers, or their bytes in base64", Schema.List(Schema.Any), Schema.Text()))))),
        Field.Needed("usage", Schema.Object(Field.Needed("prompt_tokens", Count), Field.Needed("total_tokens", Count), Field.Needed("x_qanat", Bill)))).Called("EmbeddingAnswer");

    public static Schema Ranking { get; } = Schema.Object(Field.Needed("id", Schema.Text()), Field.Needed("object", Schema.Text("list")), Field.Needed("model", Schema.Text()),
        Field.Needed("results", Schema.List(Schema.Object(Field.Needed("index", Schema.Integer("Of the document", 0)), Field.Needed("relevance_score", Schema.Number("How well it answers", 0, 1)), Field.May("document", Schema.Object(Field.Needed("text", Schema.Text())))), "The best first")),
        Field.Needed("usage", Schema.Object(Field.Needed("input_tokens", Count), Field.Needed("total_tokens", Count), Field.Needed("x_qanat", Bill)))).Called("Ranking");

    public static Schema Model { get; } = Schema.Object(Field.Needed("id", Schema.Text("Its name")), Field.Needed("object", Schema.Text("model")), Field.Needed("created", Schema.Integer("Since when it is served, in seconds since 1970", 0)), Field.Needed("owned_by", Schema.Text()),
        Field.Needed("max_model_len", Schema.Integer("Tokens of prompt and answer together", 1)), Field.Needed("x_qanat", Schema.Object(Field.May("notice", Schema.Text()), Field.Needed("price", Price.OrNull())))).Called("Model");

    public static Schema Models { get; } = Schema.Object(Field.Needed("object", Schema.Text("list")), Field.Needed("data", Schema.List(Model)));

    public static Schema File { get; } = Schema.Object(Field.Needed("id", Schema.Text()), Field.Needed("object", Schema.Text("file")), Field.Needed("bytes", Count), Field.Needed("created_at", Seconds), Field.Needed("expires_at", Seconds), Field.Needed("filename", Schema.Text()),
        Field.Needed("purpose", Schema.OneOf("Who wrote it", "batch", "batch_output")), Field.Needed("status", Schema.Text()), Field.Needed("status_details", Schema.Text().OrNull())).Called("File");

    public static Schema Batch { get; } = Schema.Object(Field.Needed("id", Schema.Text()), Field.Needed("object", Schema.Text("batch")), Field.Needed("endpoint", RequestSchemas.Batch.FieldOf("endpoint").Schema), Field.Needed("model", Schema.Text().OrNull()), Field.Needed("errors", Schema.AnyObject.OrNull()),
        Field.Needed("input_file_id", Schema.Text()), Field.Needed("completion_window", Schema.Text()), Field.Needed("status", Schema.OneOf("How far it is", BatchState.Words)), Field.Needed("output_file_id", Schema.Text("The answers").OrNull()), Field.Needed("error_file_id", Schema.Text("The rows that were refused").OrNull()),
        Field.Needed("created_at", Seconds), Field.Needed("in_progress_at", Seconds.OrNull()), Field.Needed("expires_at", Seconds), Field.Needed("finalizing_at", Seconds.OrNull()), Field.Needed("completed_at", Seconds.OrNull()), Field.Needed("failed_at", Seconds.OrNull()), Field.Needed("expired_at", Seconds.OrNull()),
        Field.Needed("cancelling_at", Seconds.OrNull()), Field.Needed("cancelled_at", Seconds.OrNull()), Field.Needed("request_counts", Schema.Object(Field.Needed("total", Count), Field.Needed("completed", Count), Field.Needed("failed", Count))),
        Field.Needed("usage", Schema.AnyObject.OrNull()), Field.Needed("metadata", Schema.AnyObject.OrNull())).Called("Batch");

    /// <summary>As OpenAI's lists are.</summary>
    public static Schema Page(Schema of) => Schema.Object(Field.Needed("object", Schema.Text("list")), Field.Needed("data", Schema.List(of)), Field.Needed("first_id", Schema.Text().OrNull()), Field.Needed("last_id", Schema.Text().OrNull()), Field.Needed("has_more", Schema.Flag("There is another page")));

    public static Schema Deleted { get; } = Schema.Object(Field.Needed("id", Schema.Text()), Field.Needed("object", Schema.Text()), Field.Needed("deleted", Schema.Flag("It is gone"))).Called("Deleted");

    /// <summary>As each API words its errors.</summary>
    public static Schema ErrorOf(string tag) => tag switch
    {
        Tags.Anthropic => Schema.Object(Field.Needed("type", Schema.Text("error")), Field.Needed("error", Schema.Object([.. ErrorFields])), Field.May("request_id", Schema.Text("In the server's log"))).Called("MessageError"),
        Tags.DashScope => Schema.Object(Field.Needed("code", Schema.Text()), Field.Needed("message", Schema.Text("What to do")), Field.Needed("param", Schema.Text().OrNull()), Field.Needed("request_id", Schema.Text("In the server's log"))).Called("NativeError"),
        Tags.Ollama => Schema.Object(Field.Needed("error", Schema.Text("What to do")), Field.Needed("code", Schema.Text().OrNull()), Field.Needed("param", Schema.Text().OrNull())).Called("OllamaError"),
        _ => Error,
    };

    /// <summary>Headers of the answer to a call: what it cost, and what is left of the rates of whoever asked.</summary>
    public static IEnumerable<Field> HeadersOfCalls { get; } =
    [
        Field.May("x-qanat-request-id", Schema.Text("The requests in the books that it is")), Field.May("x-request-id", Schema.Text("The first of them")), Field.May("x-qanat-hold", Schema.Text("What was held for it in the budgets")),
        Field.May("x-qanat-currency", Schema.Text("Of all amounts")), Field.May("x-qanat-price-input-per-million", Decimal), Field.May("x-qanat-price-output-per-million", Decimal),
        Field.May("x-qanat-served-model", Schema.Text("Which model served it, when it was another")), Field.May("x-qanat-attempts", Schema.Text("How often upstreams were asked")), Field.May("x-qanat-notice", Schema.Text("What whoever runs this says of the model")),
        Field.May(BillHeaders.Charge, Schema.Text("What it is charged, exactly, or unpriced; a trailer of a stream")), Field.May(BillHeaders.Cost, Schema.Text("What it cost, exactly, or uncosted; a trailer of a stream")), Field.May(BillHeaders.DeviceTime, Schema.Text("How long it was computed, in nanoseconds; a trailer of a stream")),
        .. from what in (string[])["requests", "tokens"]
           from field in (Field[])
           [
               Field.May($"x-ratelimit-limit-{what}", Schema.Text($"How many {what} a minute may have, at the tightest limit")), Field.May($"x-ratelimit-remaining-{what}", Schema.Text($"How many {what} are left of it")),
               Field.May($"x-ratelimit-reset-{what}", Schema.Text("When it is whole again, such as 1.5s or 6m0s")),
           ]
           select field,
    ];

    private static Schema Generation(Field said) => Schema.Object(Field.Needed("id", Schema.Text()), Field.Needed("object", Schema.Text()), Field.Needed("created", Seconds), Field.Needed("model", Schema.Text()), Field.Needed("system_fingerprint", Schema.Text()),
        Field.Needed("choices", Schema.List(Schema.Object(Field.Needed("index", Schema.Integer("Of the choice", 0)), said, Field.Needed("logprobs", Schema.AnyObject.OrNull()), Field.Needed("finish_reason", Schema.Text("Why it ended"))))), Field.Needed("usage", Usage));

    private static Schema Usage => Schema.Object(Field.Needed("prompt_tokens", Count), Field.Needed("completion_tokens", Count), Field.Needed("total_tokens", Count), Field.Needed("prompt_tokens_details", Schema.AnyObject), Field.Needed("completion_tokens_details", Schema.AnyObject), Field.Needed("x_qanat", Bill)).Called("Usage");

    private static Field[] ErrorFields =>
    [
        Field.Needed("message", Schema.Text("What is wrong, and what to do")), Field.Needed("type", Schema.Text()), Field.Needed("param", Schema.Text("What of the request is meant").OrNull()), Field.Needed("code", Schema.Text("For programs").OrNull()),
    ];

    private static Schema Price => Schema.Object([Field.Needed("currency", Schema.Text()), .. from kind in (string[])["input", "output"] select Field.Needed(kind + "_per_million", Decimal),
        .. from kind in (string[])["cache_read", "cache_write", "explicit_cache_read", "reasoning"] select Field.May(kind + "_per_million", Decimal), Field.May("version", Schema.Id("Of the price")), Field.May("source", Schema.Text("Where it is from")), Field.May("assumed", Schema.Flag("Nobody has confirmed it"))]);

    private static Schema Count => Schema.Integer("How many", 0);
    private static Schema Seconds => Schema.Integer("Seconds since 1970", 0);
}
