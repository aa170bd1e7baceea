using System.Text;

namespace Qanat.Models;

/// <summary>Collects a prompt of text and marks. Text between two marks is tokenized as one, as it would be in the rendered whole; it never becomes a mark.</summary>
internal sealed class PromptWriter(BpeTokenizer tokenizer)
{
    private readonly StringBuilder _text = new();
    private readonly List<int> _tokens = [];

    public PromptWriter Text(string text)
    {
        _text.Append(text);
        return this;
    }

    /// <summary>A mark of the format, such as &lt;|im_start|&gt;. Vocabularies that do not have it as a token write it as text.</summary>
    public PromptWriter Mark(string mark)
    {
        if (!tokenizer.TryTokenOf(mark, out int token))
            return Text(mark);
        Flush();
        _tokens.Add(token);
        return this;
    }

    /// <summary>Text of a template's own: the marks in it are marks.</summary>
    public PromptWriter TextWithMarks(ReadOnlySpan<char> text)
    {
        while (tokenizer.TryFindAdded(text, out int index, out AddedToken added))
        {
            _text.Append(text[..index]);
            Flush();
            _tokens.Add(added.Id);
            text = text[(index + added.Text.Length)..];
        }
        _text.Append(text);
        return this;
    }

    public int[] Finish()
    {
        Flush();
        return [.. _tokens];
    }

    private void Flush()
    {
        if (_text.Length == 0)
            return;
        tokenizer.Encode(_text.ToString(), SpecialText.AsPlainText, _tokens);
        _text.Clear();
    }
}
