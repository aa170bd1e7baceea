using System.Collections.Immutable;
using System.Text;

namespace Qanat.Engine;

/// <summary>How a model thinks before it answers. A thought is told by its text, as whoever reads the answer tells it: the same mark may be one token or be spelled in several.</summary>
/// <param name="Open">The mark that begins a thought.</param>
/// <param name="Close">The mark that ends it.</param>
/// <param name="IsOpen">The prompt ends within the thought; otherwise an answer begins with one when it begins with the mark.</param>
public sealed record ThinkingOptions(string Open, string Close, bool IsOpen)
{
    /// <summary>At the beginning of a line this mark ends a thought as well, and is no part of it; null: nothing else ends one.</summary>
    public string? Call { get; init; }

    /// <summary>Tokens of thought after which it is ended; null: no limit.</summary>
    public int? TokensMax { get; init; }

    /// <summary>What ends it, in tokens, the closing mark included: a sentence the model was trained to go on from.</summary>
    public ImmutableArray<int> Ending { get; init; } = [];
}

/// <summary>Follows the thought of one sequence: counts its tokens and ends it when there are too many.</summary>
internal sealed class Thought
{
    private enum Place { Before, Within, Ending, Behind }

    private readonly ThinkingOptions? _options;
    private readonly Mark _open, _close, _call;
    private Place _place;
    private int _ending;
    private int _undecided;
    private bool _isClosed;
    private bool _beginsLine = true;

    public Thought(ThinkingOptions? options)
    {
        _options = options;
        _place = options is null ? Place.Behind : options.IsOpen ? Place.Within : Place.Before;
        (_open, _close, _call) = (new Mark(options?.Open), new Mark(options?.Close), new Mark(options?.Call));
    }

    /// <summary>Tokens of the thought, its marks included.</summary>
    public int Tokens { get; private set; }

    /// <summary>The token that shall come next because the thought is over its limit; null: the model chooses.</summary>
    public int? Forced => _place switch
    {
        Place.Ending => _options!.Ending[_ending],
        Place.Within when _options!.TokensMax <= Tokens && _options.Ending.Length > 0 => _options.Ending[0],
        _ => null,
    };

    /// <summary>Takes the token that came.</summary>
    /// <param name="bytes">Its text.</param>
    public void Append(int token, ReadOnlySpan<byte> bytes)
    {
        if (_place == Place.Behind) return;
        if (_place == Place.Before)
        {
            Begin(bytes);
            return;
        }
        if (Forced == token)
        {
            // The model was not asked for these, but they were computed and are part of the answer.
            Tokens++;
            Follow(bytes);
            _place = ++_ending == _options!.Ending.Length ? Place.Behind : Place.Ending;
            return;
        }
        if (_place == Place.Ending && _isClosed)
        {
            _place = Place.Behind;
            return;
        }
        // What the answer must be did not allow the ending, or the rest of it: the thought goes on.
        (_place, _ending) = (Place.Within, 0);
        Follow(bytes);
        if (_isClosed || !_call.IsWhole) Tokens++;
        if (_isClosed || _call.IsWhole) _place = Place.Behind;
    }

    /// <summary>The answer's first tokens: white space, then the mark or something else.</summary>
    private void Begin(ReadOnlySpan<byte> bytes)
    {
        _undecided++;
        for (int i = 0; i < bytes.Length; i++)
        {
            if (_open.IsEmpty && bytes[i] is (byte)' ' or (>= (byte)'\t' and <= (byte)'\r')) continue;
            if (!_open.Take(bytes[i], onlyHere: true))
            {
                _place = Place.Behind;
                return;
            }
            if (!_open.IsWhole) continue;
            Tokens = _undecided;
            _place = Place.Within;
            Follow(bytes[(i + 1)..]);
            if (_isClosed) _place = Place.Behind;
            return;
        }
    }

    /// <summary>Looks for what ends the thought.</summary>
    private void Follow(ReadOnlySpan<byte> bytes)
    {
        if (_isClosed) return;
        foreach (byte next in bytes)
        {
            _close.Take(next, onlyHere: false);
            if (_beginsLine || !_call.IsEmpty) _call.Take(next, onlyHere: true);
            _beginsLine = next == '\n';
            _isClosed |= _close.IsWhole;
            if (_isClosed || _call.IsWhole) return;
        }
    }

    /// <summary>How much of a mark has come. No mark has its first character twice.</summary>
    private sealed class Mark(string? text)
    {
        private readonly byte[] _text = Encoding.UTF8.GetBytes(text ?? "");
        private int _come;

        public bool IsEmpty => _come == 0;
        public bool IsWhole => _come == _text.Length && _come > 0;

        /// <summary>Whether the next byte goes on with it.</summary>
        /// <param name="onlyHere">It cannot begin anew with this byte.</param>
        public bool Take(byte next, bool onlyHere)
        {
            bool goesOn = _come < _text.Length && _text[_come] == next;
            _come = goesOn ? _come + 1 : !onlyHere && _text.Length > 0 && _text[0] == next ? 1 : 0;
            return goesOn;
        }
    }
}
