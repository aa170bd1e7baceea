using System.Text;

namespace Qanat.Models;

/// <summary>Part of an answer's text: what the model thought, and what it says.</summary>
internal readonly record struct SplitText(string Reasoning, string Content)
{
    public static readonly SplitText Nothing = new("", "");
}

/// <summary>Tells a Qwen model's thoughts, between &lt;think&gt; and &lt;/think&gt; at the beginning of its answer, from the answer itself, whatever pieces the text comes in.
/// Line breaks around the marks belong to neither.</summary>
internal sealed class ThinkingSplit
{
    private readonly StringBuilder held = new();
    private readonly string[] closings;
    private Part part;
    private bool atStart = true;

    /// <param name="promptOpensThinking">The prompt already ends with the opening mark.</param>
    /// <param name="callEndsThinking">A call of a tool at the beginning of a line ends the thought: models forget the closing mark before it.</param>
    public ThinkingSplit(bool promptOpensThinking, bool callEndsThinking)
    {
        part = promptOpensThinking ? Part.Reasoning : Part.Unknown;
        closings = callEndsThinking ? [ChatMarks.ThinkEnd, ChatMarks.CallStart] : [ChatMarks.ThinkEnd];
    }

    private enum Part { Unknown, Reasoning, Content }

    /// <summary>Takes the next text; gives what is certain of it.</summary>
    public SplitText Add(string text)
    {
        if (part == Part.Content && !atStart) return new SplitText("", text);
        held.Append(text);
        if (part == Part.Unknown && !TryDecide()) return SplitText.Nothing;
        string reasoning = part == Part.Reasoning ? TakeReasoning() : "";
        string content = part == Part.Content ? TakeContent() : "";
        return new SplitText(reasoning, content);
    }

    /// <summary>The text has ended: gives what was held back.</summary>
    public SplitText Finish()
    {
        string rest = held.ToString();
        held.Clear();
        return part == Part.Reasoning ? new SplitText(rest.TrimEnd('\n'), "") : new SplitText("", atStart && part == Part.Content ? rest.TrimStart('\n') : rest);
    }

    /// <summary>Whether the answer begins with the opening mark, after nothing but white space.</summary>
    private bool TryDecide()
    {
        string text = held.ToString();
        string trimmed = text.TrimStart();
        if (trimmed.StartsWith(ChatMarks.ThinkStart, StringComparison.Ordinal))
        {
            held.Remove(0, text.Length - trimmed.Length + ChatMarks.ThinkStart.Length);
            part = Part.Reasoning;
            return true;
        }
        if (ChatMarks.ThinkStart.StartsWith(trimmed, StringComparison.Ordinal)) return false;
        part = Part.Content;
        // Without thoughts the answer is told as it is, white space and all.
        atStart = false;
        return true;
    }

    private string TakeReasoning()
    {
        string text = held.ToString();
        bool startsThought = atStart;
        if (atStart)
        {
            string trimmed = text.TrimStart('\n');
            held.Remove(0, text.Length - trimmed.Length);
            if (trimmed.Length == 0) return "";
            text = trimmed;
        }
        if (FindEnd(text, startsThought) is (int end, int skipped))
        {
            held.Remove(0, end + skipped);
            part = Part.Content;
            atStart = true;
            return text[..end].TrimEnd('\n');
        }
        int certain = CertainLength(text);
        if (certain > 0) atStart = false;
        held.Remove(0, certain);
        return text[..certain];
    }

    /// <summary>Where the thought ends, and how much of the text there is no part of the answer.</summary>
    private (int End, int Skipped)? FindEnd(string text, bool startsThought)
    {
        int close = text.IndexOf(ChatMarks.ThinkEnd, StringComparison.Ordinal);
        if (closings.Length > 1)
        {
            for (int call = text.IndexOf(ChatMarks.CallStart, StringComparison.Ordinal); call >= 0; call = text.IndexOf(ChatMarks.CallStart, call + 1, StringComparison.Ordinal))
            {
                if (close >= 0 && close < call) break;
                if (call == 0 ? startsThought : text[call - 1] == '\n') return (call, 0);
            }
        }
        return close < 0 ? null : (close, ChatMarks.ThinkEnd.Length);
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
    private int CertainLength(string text)
    {
        int certain = text.Length - closings.Max(mark => TextWindow.MayBegin(text, mark));
        while (certain > 0 && text[certain - 1] == '\n') certain--;
        return certain;
    }
}
