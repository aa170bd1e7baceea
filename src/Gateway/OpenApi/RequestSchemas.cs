using System.Collections.Immutable;

namespace Qanat.Gateway;

/// <summary>What requests of the models' APIs may hold, as far as it is read here; fields beyond it are ignored. A test compares it with what is read.</summary>
internal static class RequestSchemas
{
    private static readonly Field Model = Field.Needed("model", Schema.Text("The name of a model that is served here"));
    private static readonly Field Stream = Field.May("stream", Schema.Flag("Tell the answer while it is made").Defaults(false));
    private static readonly Field StreamOptions = Field.May("stream_options", Schema.Object(Field.May("include_usage", Schema.Flag("Usage and cost in a chunk of their own at the end"))));
    private static readonly Schema TextOrParts = Schema.Either("A text, or its parts", Schema.Text(), Schema.List(Schema.Object(Field.Needed("type", Schema.Text()), Field.May("text", Schema.Text()), Field.May("refusal", Schema.Text()), CacheControl)));
    private static readonly Field Tokens = Field.May("max_tokens", Schema.Integer("At most so many tokens are generated, as far as there is room for them", 1));
    private static readonly Field ThinkingBudget = Field.May("thinking_budget", Schema.Integer("At most so many tokens of thoughts", 1));
    private static readonly Field EnableThinking = Field.May("enable_thinking", Schema.Flag("Whether the model thinks before it answers; without it, as it does by itself"));
    private static readonly Field ParallelCalls = Field.May("parallel_tool_calls", Schema.Flag("More than one tool may be called in an answer").Defaults(true));
    private static readonly Field IgnoreEos = Field.May("ignore_eos", Schema.Flag("Go on where the model would end"));
    private static readonly Field CacheKey = Field.May("prompt_cache_key", Schema.Text("Requests of the same key begin alike: they are served where that is in the cache"));
    private static readonly Field Metadata = Field.May("metadata", Schema.AnyObject);

    private static Field CacheControl => Field.May("cache_control", Schema.AnyObject);

    private static readonly Field Tools = Field.May("tools", Schema.List(Schema.Object(Field.May("type", Schema.OneOf("Only functions", "function")),
        Field.Needed("function", Schema.Object(Field.Needed("name", Schema.Text()), Field.May("description", Schema.Text()), Field.May("parameters", Schema.AnyObject), Field.May("strict", Schema.Flag("Arguments are held to the parameters while they are made"))))), "What the model may call"));

    private static Field Mode => Field.May("mode", Schema.Text("Of allowed tools: auto or required"));
    private static Field OnlyTools => Field.May("tools", Schema.List(Schema.AnyObject, "Those that are allowed, of the tools of the request"));

    private static readonly Field ToolChoice = Field.May("tool_choice", Schema.Either("auto, none, required, or a function by its name", Schema.Text(), Schema.Object(Field.Needed("type", Schema.Text("function or allowed_tools")), Field.May("function", Schema.Object(Field.Needed("name", Schema.Text()))), Field.May("name", Schema.Text("Of responses")),
        Field.May("allowed_tools", Schema.Object(Mode, OnlyTools)), Mode, OnlyTools)));

    public static Schema Chat(GatewayOptions options) => Schema.Object(Model, Messages, Tokens, Field.May("max_completion_tokens", Tokens.Schema), Choices(options), Stream, StreamOptions, Tools, ToolChoice, ParallelCalls,
        Field.May("functions", Schema.List(Schema.AnyObject, "Only empty: functions are offered as tools")), EnableThinking, Field.May("thinking_budget", Schema.Integer("At most so many tokens of thoughts", 0)), Field.May("preserve_thinking", Schema.Flag("Earlier thoughts stay in the prompt")), Effort,
        Field.May("chat_template_kwargs", Schema.Object(EnableThinking, ThinkingBudget, Field.May("preserve_thinking", Schema.Flag("Earlier thoughts stay in the prompt")))),
        Field.May("continue_final_message", Schema.Flag("The answer goes on from the last message")), Field.May("add_generation_prompt", Schema.Flag("The answer begins a turn")),
        IgnoreEos, CacheKey, Metadata)
        .With(Probabilities(options)).With(Formats).With(Drawing(options)).With(Users(options)).Called("ChatRequest");

    public static Schema Completion(GatewayOptions options) => Schema.Object(Model, Field.Needed("prompt", Schema.Either("A text, tokens, or several of either", Schema.Text(), Schema.List(Schema.Any))), Tokens, Choices(options), Stream, StreamOptions,
        Field.May("best_of", Schema.Integer("Only as n", 1, options.ChoicesMax)), Field.May("suffix", Schema.Text("Only empty")), Field.May("echo", Schema.Flag("Tell the prompt before the answer")),
        Field.May("logprobs", Schema.Either("The logarithms of the probabilities of so many tokens", Schema.Integer("How many", 0, options.TopLogprobsMax), Schema.Flag("Of the chosen one"))), IgnoreEos, CacheKey, Metadata)
        .With(Drawing(options)).With(Users(options)).Called("CompletionRequest");

    public static Schema Response(GatewayOptions options) => Schema.Object(Model, Field.Needed("input", Schema.Either("A text, or items", Schema.Text(), Schema.List(Item))), Field.May("instructions", Schema.Text("What the system says")),
        Field.May("previous_response_id", Schema.Text("A response that is stored, to go on from")), Field.May("store", Schema.Flag("It is stored, so that another may go on from it")), Field.May("max_output_tokens", Tokens.Schema), Stream,
        Field.May("background", Schema.Flag("Only false")), Field.May("conversation", Schema.AnyObject.OrNull()),
        Field.May("tools", Schema.List(Schema.Object(Field.Needed("type", Schema.Text("Those that are not functions are left out")), Field.May("name", Schema.Text()), Field.May("description", Schema.Text()), Field.May("parameters", Schema.AnyObject), Field.May("strict", Schema.Flag("Arguments are held to the parameters while they are made"))))),
        ToolChoice, ParallelCalls, EnableThinking, ThinkingBudget, Field.May("reasoning", Schema.Object(Effort with { Name = "effort" }, Field.May("summary", Schema.Text("none, or thoughts are told")))),
        Field.May("text", Schema.Object(Field.May("format", Named.With(Field.Needed("type", Schema.OneOf("What the answer is held to", "text", "json_object", "json_schema")))))),
        Field.May("include", Schema.List(Schema.Text(), "What else is told, such as reasoning.encrypted_content")), CacheKey, Metadata)
        .With([.. Drawing(options).Where(field => field.Name != "stop")]).With(Users(options)).Called("ResponseRequest");

    public static Schema Message(GatewayOptions options) => MessageToCount.With(Field.Needed("max_tokens", Tokens.Schema), Stream, Field.May("stop_sequences", Schema.List(Schema.Text(), StopWords(options))))
        .With([.. Drawing(options).Where(field => field.Name != "stop")]).Called("MessageRequest");

    /// <summary>It need not say how long its answer may be.</summary>
    public static Schema MessageToCount { get; } = Schema.Object(Model,
        Field.Needed("messages", Schema.List(Schema.Object(Field.Needed("role", Schema.OneOf("Who says it", "user", "assistant", "system")), Field.Needed("content", Schema.Either("A text, or blocks", Schema.Text(), Schema.List(Block)))), "The conversation, which begins with a user")),
        Field.May("system", Schema.Either("What the system says", Schema.Text(), Schema.List(Block))),
        Field.May("tools", Schema.List(Schema.Object(Field.Needed("name", Schema.Text()), Field.May("type", Schema.Text("Those that are not custom are left out")), Field.May("description", Schema.Text()), Field.May("input_schema", Schema.AnyObject),
            Field.May("strict", Schema.Flag("Arguments are held to the schema while they are made")), CacheControl))),
        Field.May("tool_choice", Schema.Object(Field.Needed("type", Schema.OneOf("Whether a tool is called", "auto", "any", "tool", "none")), Field.May("name", Schema.Text()), Field.May("disable_parallel_tool_use", Schema.Flag("One call at most")))),
        Field.May("thinking", Schema.Object(Field.Needed("type", Schema.OneOf("Whether the model thinks", "enabled", "adaptive", "disabled")), Field.May("budget_tokens", Schema.Integer("At most so many tokens of thoughts", 1)))),
        Field.May("output_config", Schema.Object(Field.May("effort", Schema.OneOf("How long it thinks", "low", "medium", "high", "xhigh", "max")), Field.May("format", Held))), Field.May("output_format", Held), CacheControl,
        Field.May("metadata", Schema.Object(Field.May("user_id", Schema.Text("For which of the tenant's users the request is"))))).Called("MessageToCount");

    /// <summary>DashScope's text generation.</summary>
    public static Schema Native(GatewayOptions options) => Schema.Object(Model, Field.Needed("input", Schema.Object(Messages with { IsRequired = false }, Field.May("prompt", Schema.Text("Instead of messages: what a user says")))),
        Field.May("parameters", Schema.Object(Field.May("result_format", Schema.OneOf("How the answer is told", "text", "message")), Field.May("incremental_output", Schema.Flag("Each part of a stream has only what is new")), Tokens, Choices(options),
            EnableThinking, ThinkingBudget, Effort, Tools, ToolChoice, ParallelCalls).With(Probabilities(options)).With(Formats).With(Drawing(options)).With(Users(options))), CacheKey, Metadata).Called("NativeRequest");

    /// <summary>DashScope's embeddings.</summary>
    public static Schema NativeEmbedding(GatewayOptions options) => Schema.Object(Model, Field.Needed("input", Schema.Object(Field.Needed("texts", Texts(options)))),
        Field.May("parameters", Schema.Object(Field.May("text_type", Schema.OneOf("What the texts are", "document", "query").Defaults("document")), Field.May("instruct", Schema.Text("What queries are asked for")),
            Field.May("dimension", Dimensions), Field.May("output_type", Schema.OneOf("Only this", "dense"))).With(Users(options)))).Called("NativeEmbeddingRequest");

    /// <summary>DashScope's rankings.</summary>
    public static Schema NativeRerank(GatewayOptions options) => Schema.Object(Field.Needed("input", Schema.Object(Query, Documents(options))), Model, Field.May("parameters", Schema.Object(Ranked).With(Users(options)))).Called("NativeRerankRequest");

    public static Schema Embedding(GatewayOptions options) => Schema.Object(Model, Field.Needed("input", Texts(options)), Field.May("encoding_format", Schema.OneOf("How vectors are written", "float", "base64").Defaults("float")),
        Field.May("dimensions", Dimensions)).With(Users(options)).Called("EmbeddingRequest");

    public static Schema Rerank(GatewayOptions options) => Schema.Object(Model, Query, Documents(options)).With(Ranked).With(Users(options)).Called("RerankRequest");

    public static Schema OllamaChat(GatewayOptions options) => Schema.Object(Field.May("messages", Schema.List(Schema.Object(Field.Needed("role", Schema.OneOf("Who says it", "system", "user", "assistant", "tool")), Field.May("content", Schema.Text()),
            Field.May("thinking", Schema.Text()), Field.May("images", Schema.List(Schema.Text(), "Only empty: pictures are not read")), Field.May("tool_call_id", Schema.Text()),
            Field.May("tool_calls", Schema.List(Schema.Object(Field.May("id", Schema.Text()), Field.Needed("function", Schema.Object(Field.Needed("name", Schema.Text()), Field.May("arguments", Schema.AnyObject))))))), "The conversation; without it, the model is loaded, which it is already")))
        .With(OllamaWishes(options)).Called("OllamaChatRequest");

    public static Schema OllamaGenerate(GatewayOptions options) => Schema.Object(Field.May("prompt", Schema.Text("What a user says; without it, the model is loaded, which it is already")), Field.May("system", Schema.Text("What the system says")),
        Field.May("raw", Schema.Flag("The prompt goes to the model as it is")), Field.May("suffix", Schema.Text("Only empty")), Field.May("images", Schema.List(Schema.Text(), "Only empty: pictures are not read"))).With(OllamaWishes(options)).Called("OllamaGenerateRequest");

    public static Schema OllamaEmbed(GatewayOptions options) => OllamaModel.With(Field.May("input", Texts(options)), Field.May("prompt", Texts(options)), Field.May("dimensions", Dimensions)).With(Users(options)).Called("OllamaEmbedRequest");

    /// <summary>Clients name the model in either field.</summary>
    public static Schema OllamaModel { get; } = Schema.Object(Field.May("model", Schema.Text("The name of a model that is served here, with the tag :latest or without; one of the two is needed")), Field.May("name", Schema.Text("The same, as it was called before"))).Called("OllamaModelRequest");

    public static Schema Upload { get; } = Schema.Object(Field.Needed("file", Schema.Binary("The rows, one in JSON a line: custom_id, method (POST), url (the batch's endpoint) and body (the request)")), Field.Needed("purpose", Schema.OneOf("What for", "batch"))).Called("FileUpload");

    public static Schema Batch { get; } = Schema.Object(Field.Needed("endpoint", Schema.OneOf("Where each row would be sent by itself", BatchRowServing.Endpoints)), Field.May("completion_window", Schema.Text("From 24h to 336h, or 1d to 14d").Defaults("24h")),
        Field.Needed("input_file_id", Schema.Text("A file of requests")), Metadata).Called("BatchRequest");

    private static Field Messages => Field.Needed("messages", Schema.List(Schema.Object(Field.Needed("role", Schema.OneOf("Who says it", "system", "developer", "user", "assistant", "tool", "function")),
        Field.May("content", TextOrParts), Field.May("reasoning_content", Schema.Text("What an assistant thought")), Field.May("reasoning", Schema.Text("The same")), Field.May("tool_call_id", Schema.Text("Which call a tool answers")),
        Field.May("tool_calls", Schema.List(Schema.Object(Field.May("id", Schema.Text()), Field.Needed("function", Schema.Object(Field.Needed("name", Schema.Text()), Field.May("arguments", Schema.Either("JSON as text, or an object", Schema.Text(), Schema.AnyObject))))))),
        Field.May("function_call", Schema.Object(Field.Needed("name", Schema.Text()), Field.May("arguments", Schema.Text("JSON, of what an assistant called before there were tools")))),
        Field.May("partial", Schema.Flag("The answer goes on from this message, which is the last")), CacheControl), "The conversation; at least one message"));

    /// <summary>What was said, thought, called or answered before; items of other kinds are left out.</summary>
    private static Schema Item => Schema.Object(Field.May("type", Schema.Text("message, reasoning, function_call, function_call_output, item_reference").Defaults("message")), Field.May("id", Schema.Text("Of the item that is referred to")), Field.May("role", Schema.Text("Who says it")),
        Field.May("content", TextOrParts), Field.May("summary", Schema.List(Schema.AnyObject)), Field.May("encrypted_content", Schema.Text("Thoughts, as they were told")), Field.May("call_id", Schema.Text("Which call it is, or answers")), Field.May("name", Schema.Text("Of the function")),
        Field.May("arguments", Schema.Text("JSON")), Field.May("output", TextOrParts));

    private static Field Effort => Field.May("reasoning_effort", Schema.OneOf("How long the model thinks", "none", "minimal", "low", "medium", "high", "xhigh", "max"));

    private static ImmutableArray<Field> Probabilities(GatewayOptions options) =>
        [Field.May("logprobs", Schema.Flag("Tell the logarithm of each token's probability")), Field.May("top_logprobs", Schema.Integer("Also of so many others that were likely", 0, options.TopLogprobsMax))];

    private static ImmutableArray<Field> Formats =>
    [
        Field.May("response_format", Schema.Object(Field.Needed("type", Schema.OneOf("What the answer is held to", "text", "json_object", "json_schema", "regex", "grammar")),
            Field.May("json_schema", Named), Field.May("schema", Schema.AnyObject), Field.May("regex", Schema.Text()), Field.May("grammar", Schema.Text()))),
        Field.May("structured_outputs", Schema.Object(Field.May("json", Schema.Any), Field.May("regex", Schema.Text()), Field.May("grammar", Schema.Text()))),
        Field.May("guided_json", Schema.Any), Field.May("guided_regex", Schema.Text()), Field.May("guided_grammar", Schema.Text()), Field.May("grammar", Schema.Text()),
    ];

    private static Schema Named => Schema.Object(Field.May("name", Schema.Text()), Field.May("schema", Schema.AnyObject), Field.May("description", Schema.Text()), Field.May("strict", Schema.Flag("A schema that cannot be held to is refused")));
    private static Schema Held => Schema.Object(Field.Needed("type", Schema.OneOf("What the answer is held to", "json_schema")), Field.Needed("schema", Schema.AnyObject));
    private static Schema Block => Schema.Object(Field.Needed("type", Schema.Text("text, document, thinking, tool_use, tool_result")), Field.May("text", Schema.Text()), Field.May("thinking", Schema.Text()), Field.May("signature", Schema.Text()),
        Field.May("id", Schema.Text()), Field.May("name", Schema.Text()), Field.May("input", Schema.AnyObject), Field.May("tool_use_id", Schema.Text()), Field.May("content", Schema.Any),
        Field.May("source", Schema.Object(Field.May("type", Schema.Text("text")), Field.May("data", Schema.Text()))), CacheControl);

    private static Schema Dimensions => Schema.Integer("Numbers of each vector; without it, as many as the model makes", 1);
    private static Field Query => Field.Needed("query", Schema.Text("What documents are to answer"));
    private static Field Documents(GatewayOptions options) => Field.Needed("documents", Schema.List(Schema.Either(null, Schema.Text(), Schema.Object(Field.Needed("text", Schema.Text()))), FormattableString.Invariant($"From 1 to {options.TextsMax} texts")));
    private static Schema Texts(GatewayOptions options) => Schema.Either(FormattableString.Invariant($"A text, or up to {options.TextsMax}"), Schema.Text(), Schema.List(Schema.Any));
    private static Field Choices(GatewayOptions options) => Field.May("n", Schema.Integer("How many answers", 1, options.ChoicesMax).Defaults(1));
    private static string StopWords(GatewayOptions options) => FormattableString.Invariant($"Where an answer ends: up to {options.StopStringsMax}, of {options.StopStringLengthMax} characters at most");

    private static ImmutableArray<Field> Ranked { get; } =
    [
        Field.May("top_n", Schema.Integer("Only so many of the best", 1)), Field.May("return_documents", Schema.Flag("Tell each document with its score").Defaults(false)),
        Field.May("instruct", Schema.Text("What a good answer is")), Field.May("instruction", Schema.Text("The same")),
    ];

    /// <summary>How tokens are drawn, and where an answer ends.</summary>
    private static ImmutableArray<Field> Drawing(GatewayOptions options) =>
    [
        Field.May("temperature", Schema.Number("0: the most likely token", 0, 2)), Field.May("top_p", Schema.Number("Of the most likely tokens, those that together have this share", 0, 1)),
        Field.May("top_k", Schema.Integer("So many of the most likely tokens; 0 and -1: all", -1)), Field.May("min_p", Schema.Number("Tokens with this share of the likeliest one's probability", 0, 1)),
        Field.May("presence_penalty", Schema.Number("Against tokens that occurred", -2, 2)), Field.May("frequency_penalty", Schema.Number("Against tokens that occurred, by how often", -2, 2)),
        Field.May("repetition_penalty", Schema.Number("Against tokens of prompt and answer; 1: none", 0.01, 10)), Field.May("seed", Schema.Integer("The same draws again", long.MinValue)),
        Field.May("logit_bias", Schema.Map(Schema.Number("Added", -100, 100), FormattableString.Invariant($"What is added to the logits of tokens, by their ids; {options.LogitBiasMax} at most"))),
        Field.May("stop", Schema.Either(StopWords(options), Schema.Text(), Schema.List(Schema.Text()))),
        Field.May("loop_tokens_max", Schema.Integer("For so many tokens an answer may repeat itself; without it, as long as it likes", SamplingFields.LoopTokensMin)),
    ];

    private static ImmutableArray<Field> Users(GatewayOptions options)
    {
        Schema user = Schema.Text(FormattableString.Invariant($"For which of the tenant's users the request is; {options.UserTagLengthMax} characters at most"));
        return [Field.May("user", user), Field.May("safety_identifier", user)];
    }

    private static ImmutableArray<Field> OllamaWishes(GatewayOptions options) =>
    [
        OllamaModel.FieldOf("model"), OllamaModel.FieldOf("name"), Stream.Defaults(true), Field.May("think", Schema.Either("Whether the model thinks, or how long", Schema.Flag("Whether"), Schema.OneOf("How long", "low", "medium", "high"))),
        Field.May("format", Schema.Either("json, or a JSON Schema", Schema.OneOf("Any JSON", "json", ""), Schema.AnyObject)), Field.May("tools", Tools.Schema),
        Field.May("options", Schema.Object(Field.May("num_predict", Schema.Integer("At most so many tokens; -1 and -2: as many as there is room for", -2)), Field.May("repeat_penalty", Schema.Number("Against tokens of prompt and answer; 1: none", 0.01, 10)))
            .With([.. Drawing(options).Where(field => field.Name != "repetition_penalty")])),
        CacheKey, Metadata, .. Users(options),
    ];
}
