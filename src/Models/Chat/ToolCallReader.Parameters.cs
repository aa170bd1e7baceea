using Pieces = System.Collections.Immutable.ImmutableArray<Qanat.Models.AnswerPiece>.Builder;

namespace Qanat.Models;

/// <content>Arguments in the XML form: values are text, and become JSON as the tool's schema says.</content>
internal sealed partial class ToolCallReader
{
    private enum Verdict { No, Yes, NeedsMore }

    private bool AdvanceParameters(Pieces pieces)
    {
        held.SkipWhiteSpace();
        ReadOnlySpan<char> text = held.Span;
        if (text.IsEmpty) return false;
        if (StartsWith(text, ChatMarks.ParameterStart, out bool mayBegin)) return BeginParameter(pieces);
        bool endsFunction = StartsWith(text, ChatMarks.FunctionEnd, out bool mayEndFunction);
        bool endsCall = StartsWith(text, ChatMarks.CallEnd, out bool mayEndCall);
        if (mayBegin || mayEndFunction || mayEndCall) return false;
        Argue("}", pieces);
        if (endsFunction)
        {
            held.Skip(ChatMarks.FunctionEnd.Length);
            place = Place.Tail;
            return true;
        }
        if (endsCall) held.Skip(ChatMarks.CallEnd.Length);
        return Close();
    }

    private bool BeginParameter(Pieces pieces)
    {
        ReadOnlySpan<char> name = held.Span[ChatMarks.ParameterStart.Length..];
        int end = name.IndexOf('>');
        if (end < 0 && name.Length < NameLengthMax && !name.Contains('\n')) return false;
        if (end < 0 || end > NameLengthMax || name[..end].Contains('\n'))
        {
            Argue("}", pieces);
            return Close();
        }
        parameter = name[..end].ToString();
        held.Skip(ChatMarks.ParameterStart.Length + end + 1);
        Argue($"{(hasParameter ? ", " : "")}\"{ParameterSchemas.Escape(parameter)}\": ", pieces);
        hasParameter = true;
        bool isText = schemas!.IsText(parameter);
        if (isText) Argue("\"", pieces);
        place = isText ? Place.StringValue : Place.OtherValue;
        atValueStart = true;
        valueScanned = 0;
        return true;
    }

    /// <summary>A value ends at a closing tag that is followed by what may follow one: code within the value may contain the tag itself.</summary>
    private bool AdvanceValue(Pieces pieces)
    {
        if (place == Place.StringValue && atValueStart && held.Length > 0)
        {
            if (held.Span[0] == '\n') held.Skip(1);
            atValueStart = false;
        }
        ReadOnlySpan<char> text = held.Span;
        int at = valueScanned;
        for (; at < text.Length; at++)
        {
            int tag = text[at..].IndexOf('<');
            if (tag < 0)
            {
                at = text.Length;
                break;
            }
            at += tag;
            Verdict verdict = EndsValue(text[at..], out int skipped);
            if (verdict == Verdict.NeedsMore) break;
            if (verdict == Verdict.No) continue;
            EndValue(at, skipped, pieces);
            return true;
        }
        if (place == Place.StringValue)
        {
            int certain = at > 0 && text[at - 1] == '\n' ? at - 1 : at;
            ArgueString(held.Take(certain), pieces);
            at -= certain;
        }
        valueScanned = at;
        return false;
    }

    private void EndValue(int length, int skipped, Pieces pieces)
    {
        string value = held.Take(length);
        if (place == Place.StringValue)
        {
            ArgueString(value.EndsWith('\n') ? value[..^1] : value, pieces);
            Argue("\"", pieces);
        }
        else
        {
            Argue(schemas!.Coerce(parameter, Trimmed(value)), pieces);
        }
        held.Skip(skipped);
        place = Place.Parameters;
    }

    /// <summary>The answer ended within a value, or right behind it. A value that was cut off stays open, so that nobody takes it for whole.</summary>
    private void FinishValue(bool wasCut, Pieces pieces)
    {
        ReadOnlySpan<char> rest = held.Span[valueScanned..];
        bool isClosed = rest.StartsWith(ChatMarks.ParameterEnd) || rest.StartsWith(ChatMarks.FunctionEnd);
        int length = isClosed ? valueScanned : held.Length;
        if (isClosed || !wasCut)
        {
            EndValue(length, 0, pieces);
            if (!wasCut) Argue("}", pieces);
        }
        else if (place == Place.StringValue)
        {
            ArgueString(held.Take(length), pieces);
        }
    }

    /// <summary>Whether a text that begins with an angle bracket ends a value.</summary>
    /// <param name="skipped">Characters of it that belong to the value's end alone.</param>
    private static Verdict EndsValue(ReadOnlySpan<char> text, out int skipped)
    {
        skipped = 0;
        if (StartsWith(text, ChatMarks.ParameterEnd, out bool mayEnd))
        {
            skipped = ChatMarks.ParameterEnd.Length;
            return Follows(text[skipped..], ChatMarks.ParameterStart, ChatMarks.FunctionEnd, ChatMarks.CallEnd);
        }
        // The closing tag of the parameter itself may be forgotten.
        if (StartsWith(text, ChatMarks.FunctionEnd, out bool mayEndFunction)) return Follows(text[ChatMarks.FunctionEnd.Length..], ChatMarks.CallEnd);
        return mayEnd || mayEndFunction ? Verdict.NeedsMore : Verdict.No;
    }

    private static Verdict Follows(ReadOnlySpan<char> text, params ReadOnlySpan<string> marks)
    {
        text = text.TrimStart();
        bool may = text.IsEmpty;
        foreach (string mark in marks)
        {
            if (StartsWith(text, mark, out bool mayFollow)) return Verdict.Yes;
            may |= mayFollow;
        }
        return may ? Verdict.NeedsMore : Verdict.No;
    }

    /// <summary>Without the line breaks that the form puts around a value.</summary>
    private static string Trimmed(string value)
    {
        if (value.StartsWith('\n')) value = value[1..];
        return value.EndsWith('\n') ? value[..^1] : value;
    }
}
