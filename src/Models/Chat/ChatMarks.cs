namespace Qanat.Models;

/// <summary>The marks of Qwen's chat formats. All are single tokens of its vocabularies but the tags inside a call.</summary>
internal static class ChatMarks
{
    public const string TurnStart = "<|im_start|>", TurnEnd = "<|im_end|>";
    public const string ThinkStart = "<think>", ThinkEnd = "</think>";
    public const string CallStart = "<tool_call>", CallEnd = "</tool_call>";
    public const string ResponseStart = "<tool_response>", ResponseEnd = "</tool_response>";
    public const string FunctionStart = "<function=", FunctionEnd = "</function>";
    public const string ParameterStart = "<parameter=", ParameterEnd = "</parameter>";
}
