using System.Collections.Immutable;

namespace Qanat.Engine;

/// <summary>How a model thinks before it answers, in its tokens.</summary>
/// <param name="IsOpen">The prompt ends within the thought; otherwise a thought begins when the first token of the answer opens it.</param>
public sealed record ThinkingOptions(int OpenToken, int CloseToken, bool IsOpen)
{
    /// <summary>Tokens of thought after which it is ended; null: no limit.</summary>
    public int? TokensMax { get; init; }

    /// <summary>What ends it, the closing token included: a sentence the model was trained to go on from.</summary>
    public ImmutableArray<int> Ending { get; init; } = [];
}

/// <summary>Follows the thought of one sequence: counts its tokens and ends it when there are too many.</summary>
internal sealed class Thought(ThinkingOptions? options)
{
    private enum Place { Before, Within, Ending, Behind }

    private Place _place = options is null ? Place.Behind : options.IsOpen ? Place.Within : Place.Before;
    private int _ending;

    /// <summary>Tokens of the thought, its marks included.</summary>
    public int Tokens { get; private set; }

    /// <summary>The token that must come next because the thought is over its limit; null: the model chooses.</summary>
    public int? Forced => _place switch
    {
        Place.Ending => options!.Ending[_ending],
        Place.Within when options!.TokensMax <= Tokens && options.Ending.Length > 0 => options.Ending[0],
        _ => null,
    };

    public void Append(int token)
    {
        if (_place == Place.Behind) return;
        if (Forced is not null)
        {
            // The model was not asked for these, but they were computed and are part of the answer.
            _place = Place.Ending;
            Tokens++;
            if (++_ending == options!.Ending.Length) _place = Place.Behind;
            return;
        }
        if (_place == Place.Before && token != options!.OpenToken)
        {
            _place = Place.Behind;
            return;
        }
        Tokens++;
        _place = token == options!.CloseToken ? Place.Behind : Place.Within;
    }
}
