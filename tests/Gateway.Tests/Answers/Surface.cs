namespace Qanat.Gateway.Tests;

/// <summary>One of the APIs that generate, with a request that holds every field it reads.</summary>
internal sealed record Surface(string Path, string Body, string StreamFields, string StreamHeaders = "")
{
    private const string Tool = """{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"x":{"type":"string"}}}}}""";

    public static readonly Surface[] All =
    [
        new("/v1/chat/completions", $$$"""{"model":"scripted-1","messages":[{"role":"user","content":"Hi"}],"max_tokens":5,"temperature":0.5,"tools":[{{{Tool}}}],"user":"u"}""", "\"stream\":true"),
        new("/v1/completions", """{"model":"scripted-1","prompt":"Hi","max_tokens":5,"temperature":0.5,"user":"u"}""", "\"stream\":true"),
        new("/v1/responses", """
            {"model":"scripted-1","store":false,"instructions":"Be brief.","input":[{"role":"user","content":[{"type":"input_text","text":"Grüße 🙂"}]},{"type":"reasoning","id":"rs_1","summary":[],"content":[]},
            {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"1"}],"max_output_tokens":5,"temperature":0.5,"top_p":0.9,"tools":
            [{"type":"function","name":"f","parameters":{"type":"object"},"strict":false},{"type":"web_search"}],"tool_choice":"auto","parallel_tool_calls":true,"reasoning":{"effort":"low","summary":"auto"},
            "text":{"format":{"type":"text"}},"include":["reasoning.encrypted_content"],"metadata":{"a":"b"},"user":"u","truncation":"auto"}
            """, "\"stream\":true"),
        new("/v1/messages", """
            {"model":"scripted-1","max_tokens":5,"system":[{"type":"text","text":"Be brief."}],"messages":[{"role":"user","content":"Grüße 🙂"},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},
            {"type":"tool_use","id":"c","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":"1"}]}],"tools":[{"name":"f","input_schema":{"type":"object"}}],
            "tool_choice":{"type":"auto"},"thinking":{"type":"enabled","budget_tokens":1024},"metadata":{"user_id":"u"},"stop_sequences":["END"],"temperature":0.5,"top_p":0.9,"top_k":4}
            """, "\"stream\":true"),
        new("/api/v1/services/aigc/text-generation/generation", $$$"""
            {"model":"scripted-1","input":{"messages":[{"role":"user","content":"Grüße 🙂"}]},"parameters":{"result_format":"message","incremental_output":true,"max_tokens":5,"temperature":0.5,"top_p":0.9,"top_k":4,
            "seed":7,"stop":["END"],"enable_thinking":true,"thinking_budget":10,"n":1,"tools":[{{{Tool}}}],"tool_choice":"auto"} }
            """, "\"stream\":true", "X-DashScope-SSE: enable\r\n"),
        new("/api/chat", $$$"""
            {"model":"scripted-1","stream":false,"messages":[{"role":"user","content":"Grüße 🙂"},{"role":"assistant","content":"","thinking":"t","tool_calls":[{"function":{"name":"f","arguments":{} }}]},
            {"role":"tool","content":"1"}],"tools":[{{{Tool}}}],"think":true,"format":"json","options":{"num_predict":5,"temperature":0.5,"stop":["END"],"repeat_penalty":1.1},"keep_alive":"5m"}
            """, "\"stream\":true"),
        new("/api/generate", """{"model":"scripted-1","stream":false,"prompt":"Hi","system":"Be brief.","raw":false,"think":false,"format":"json","options":{"num_predict":5}}""", "\"stream\":true"),
    ];

    public static TheoryData<string> Paths => [.. All.Select(each => each.Path)];

    public static Surface Of(string path) => All.Single(each => each.Path == path);

    /// <summary>The request as a stream: a field that is said twice counts as it was said last.</summary>
    public string Streamed => With(StreamFields);

    public string With(string fields) => Body.TrimEnd()[..^1] + "," + fields + "}";
}
