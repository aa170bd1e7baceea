using System.Collections.Immutable;

namespace Qanat.Gateway;

/// <summary>A generation as one of the APIs asked for it: the calls to serve (one per prompt) and how the answer is to be told.</summary>
/// <param name="Calls">All with the same number of choices; choice c of prompt p is choice p x Choices + c of the answer.</param>
/// <param name="EchoTexts">Per call, text that is put before each of its answers; empty: none.</param>
internal sealed record GenerationRequest(ServedModel Model, ImmutableArray<Call> Calls, bool Stream, bool IncludeUsage, ImmutableArray<string> EchoTexts)
{
    public int ChoiceCount => Calls.Length * Calls[0].Choices;
    public bool WithLogprobs => Calls[0].TopLogprobs >= 0;

    public int ChoiceIndex(int prompt, int choice) => prompt * Calls[0].Choices + choice;
}
