using System.Text;

namespace Qanat.Gateway;

/// <summary>A piece of an answer: what the model thought, and what it says.</summary>
internal readonly record struct AnswerPiece(string Reasoning, string Content)
{
    public static readonly AnswerPiece Nothing = new("", "");

    public bool IsEmpty => Reasoning.Length == 0 && Content.Length == 0;
}

/// <summary>Tells a Qwen model's thoughts, between &lt;think&gt; and &lt;/think&gt; at the beginning of its answer, from the answer itself, whatever pieces the text comes in.
/// Line breaks around the marks belong to neither.</summary>
internal sealed class ThinkingSplit
{
    private const string OpenMark = "<think>";
    private const string CloseMark = "</think>";

    private readonly StringBuilder held = new();
    private Part part;
    private bool atStart = true;

    /// <param name="promptOpensThinking">The prompt already ends with the opening mark.</param>
    public ThinkingSplit(bool promptOpensThinking) => part = promptOpensThinking ? Part.Reasoning : Part.Unknown;

    private enum Part { Unknown, Reasoning, Content }

    /// <summary>Takes the next text; gives what is certain of it.</summary>
    public AnswerPiece Add(string text)
    {
        if (part == Part.Content && !atStart) return new AnswerPiece("", text);
        held.Append(text);
        if (part == Part.Unknown && !TryDecide()) return AnswerPiece.Nothing;
        string reasoning = part == Part.Reasoning ? TakeReasoning() : "";
        string content = part == Part.Content ? TakeContent() : "";
        return new AnswerPiece(reasoning, content);
    }

    /// <summary>The text has ended: gives what was held back.</summary>
    public AnswerPiece Finish()
    {
        string rest = held.ToString();
        held.Clear();
        return part == Part.Reasoning ? new AnswerPiece(rest.TrimEnd('\n'), "") : new AnswerPiece("", atStart && part == Part.Content ? rest.TrimStart('\n') : rest);
    }

    /// <summary>Whether the answer begins with the opening mark, after nothing but white space.</summary>
    private bool TryDecide()
    {
        string text = held.ToString();
        string trimmed = text.TrimStart();
        if (trimmed.StartsWith(OpenMark, StringComparison.Ordinal))
        {
            held.Remove(0, text.Length - trimmed.Length + OpenMark.Length);
            part = Part.Reasoning;
            return true;
        }
        if (OpenMark.StartsWith(trimmed, StringComparison.Ordinal)) return false;
        part = Part.Content;
        // Without thoughts the answer is told as it is, white space and all.
        atStart = false;
        return true;
    }

    private string TakeReasoning()
    {
        string text = held.ToString();
        if (atStart)
        {
            string trimmed = text.TrimStart('\n');
            held.Remove(0, text.Length - trimmed.Length);
            if (trimmed.Length == 0) return "";
            text = trimmed;
            atStart = false;
        }
        int close = text.IndexOf(CloseMark, StringComparison.Ordinal);
        if (close >= 0)
        {
            held.Remove(0, close + CloseMark.Length);
            part = Part.Content;
            atStart = true;
            return text[..close].TrimEnd('\n');
        }
        int certain = CertainLength(text);
        held.Remove(0, certain);
        return text[..certain];
    }

    private string TakeContent()
    {
        string text = held.ToString();
        if (atStart) text = text.TrimStart('\n');
        held.Clear();
        if (text.Length > 0) atStart = false;
        return text;
    }

    /// <summary>How much of the text cannot be the line breaks before a closing mark, or a part of one.</summary>
    private static int CertainLength(string text)
    {
        int certain = text.Length;
        for (int length = Math.Min(CloseMark.Length - 1, text.Length); length > 0; length--)
        {
            if (!CloseMark.AsSpan().StartsWith(text.AsSpan(text.Length - length), StringComparison.Ordinal)) continue;
            certain = text.Length - length;
            break;
        }
        while (certain > 0 && text[certain - 1] == '\n') certain--;
        return certain;
    }
}
