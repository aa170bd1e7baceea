using System.Text.Json.Nodes;

namespace Qanat.Gateway;

/// <summary>What requests hold, as far as it is read here; fields beyond it are ignored.</summary>
internal static class RequestSchemas
{
    private const string Sampling = """
        "temperature":{"type":"number","minimum":0,"maximum":2},"top_p":{"type":"number","minimum":0,"maximum":1},"top_k":{"type":"integer"},"min_p":{"type":"number"},"presence_penalty":{"type":"number"},
        "frequency_penalty":{"type":"number"},"repetition_penalty":{"type":"number"},"seed":{"type":"integer"},"logit_bias":{"type":"object"},
        "stop":{"oneOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]}
        """;

    private const string Chat = """
        "messages":{"type":"array","minItems":1,"items":{"type":"object","required":["role"],"properties":{"role":{"enum":["system","developer","user","assistant","tool"]},
        "content":{"oneOf":[{"type":"string"},{"type":"array","items":{"type":"object"}}]},"reasoning_content":{"type":"string"},"tool_calls":{"type":"array"},"tool_call_id":{"type":"string"}}}},
        "tools":{"type":"array"},"tool_choice":{},"parallel_tool_calls":{"type":"boolean"},"enable_thinking":{"type":"boolean"}
        """;

    private const string Streamed = "\"stream\":{\"type\":\"boolean\"},\"stream_options\":{\"type\":\"object\",\"properties\":{\"include_usage\":{\"type\":\"boolean\"}}}";
    private const string Model = "\"model\":{\"type\":\"string\"}";

    public static JsonObject All()
    {
        JsonObject schemas = [];
        Add(schemas, "Error", ["error"], "\"error\":{}");
        Add(schemas, "ChatRequest", ["model", "messages"], Model, Chat, Sampling, Streamed,
            "\"max_tokens\":{\"type\":\"integer\",\"minimum\":1},\"max_completion_tokens\":{\"type\":\"integer\",\"minimum\":1},\"n\":{\"type\":\"integer\"},\"logprobs\":{\"type\":\"boolean\"},\"top_logprobs\":{\"type\":\"integer\"},\"user\":{\"type\":\"string\"},\"response_format\":{\"type\":\"object\"}");
        Add(schemas, "CompletionRequest", ["model", "prompt"], Model, "\"prompt\":{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"array\"}]},\"max_tokens\":{\"type\":\"integer\"},\"echo\":{\"type\":\"boolean\"},\"logprobs\":{\"type\":\"integer\"}", Sampling, Streamed);
        Add(schemas, "ResponseRequest", ["model", "input"], Model,
            "\"input\":{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"array\",\"items\":{\"type\":\"object\"}}]},\"instructions\":{\"type\":\"string\"},\"previous_response_id\":{\"type\":\"string\"},\"store\":{\"type\":\"boolean\"},\"max_output_tokens\":{\"type\":\"integer\"}," +
            "\"tools\":{\"type\":\"array\"},\"tool_choice\":{},\"reasoning\":{\"type\":\"object\"},\"text\":{\"type\":\"object\"},\"include\":{\"type\":\"array\"},\"metadata\":{\"type\":\"object\"}", Sampling, Streamed);
        Add(schemas, "MessageRequest", ["model", "messages", "max_tokens"], Model,
            "\"messages\":{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":\"object\"}},\"system\":{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"array\"}]},\"max_tokens\":{\"type\":\"integer\",\"minimum\":1},\"stop_sequences\":{\"type\":\"array\"}," +
            "\"tools\":{\"type\":\"array\"},\"tool_choice\":{\"type\":\"object\"},\"thinking\":{\"type\":\"object\"},\"metadata\":{\"type\":\"object\"},\"stream\":{\"type\":\"boolean\"}");
        Add(schemas, "NativeRequest", ["model", "input"], Model,
            "\"input\":{\"type\":\"object\"},\"parameters\":{\"type\":\"object\",\"properties\":{\"result_format\":{\"enum\":[\"text\",\"message\"]},\"incremental_output\":{\"type\":\"boolean\"},\"enable_thinking\":{\"type\":\"boolean\"},\"max_tokens\":{\"type\":\"integer\"}}}");
        Add(schemas, "OllamaChatRequest", ["model", "messages"], Model, "\"messages\":{\"type\":\"array\"},\"tools\":{\"type\":\"array\"},\"think\":{},\"format\":{},\"options\":{\"type\":\"object\"},\"stream\":{\"type\":\"boolean\",\"default\":true}");
        Add(schemas, "OllamaGenerateRequest", ["model"], Model, "\"prompt\":{\"type\":\"string\"},\"system\":{\"type\":\"string\"},\"raw\":{\"type\":\"boolean\"},\"think\":{},\"format\":{},\"options\":{\"type\":\"object\"},\"stream\":{\"type\":\"boolean\",\"default\":true}");
        Add(schemas, "OllamaShowRequest", ["model"], Model);
        Add(schemas, "EmbeddingRequest", ["model", "input"], Model, "\"input\":{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"array\"}]},\"encoding_format\":{\"enum\":[\"float\",\"base64\"]},\"dimensions\":{\"type\":\"integer\"}");
        Add(schemas, "RerankRequest", ["model", "query", "documents"], Model, "\"query\":{\"type\":\"string\"},\"documents\":{\"type\":\"array\"},\"top_n\":{\"type\":\"integer\"},\"return_documents\":{\"type\":\"boolean\"},\"instruct\":{\"type\":\"string\"}");
        Add(schemas, "FileUpload", ["file", "purpose"], "\"file\":{\"type\":\"string\",\"format\":\"binary\"},\"purpose\":{\"enum\":[\"batch\"]}");
        Add(schemas, "BatchRequest", ["input_file_id", "endpoint"], "\"input_file_id\":{\"type\":\"string\"},\"endpoint\":{\"enum\":[\"/v1/chat/completions\",\"/v1/completions\"]},\"completion_window\":{\"type\":\"string\",\"default\":\"24h\"},\"metadata\":{\"type\":\"object\"}");
        return schemas;
    }

    private static void Add(JsonObject schemas, string name, string[] required, params string[] properties) => schemas[name] = new JsonObject
    {
        ["type"] = "object",
        ["required"] = new JsonArray([.. required.Select(field => (JsonNode)field)]),
        ["properties"] = JsonNode.Parse("{" + string.Join(',', properties) + "}"),
    };
}
