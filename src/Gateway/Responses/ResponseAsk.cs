using System.Text.Json.Nodes;

namespace Qanat.Gateway;

/// <summary>A request for a response: what to generate, and what its answer repeats.</summary>
internal sealed record ResponseAsk(GenerationRequest Generation)
{
    /// <summary>The items of this request as they were sent, each with an id; those of earlier responses are not among them.</summary>
    public required JsonArray Input { get; init; }

    /// <summary>Fields that the answer repeats as they were asked for or are in force.</summary>
    public required JsonObject Echo { get; init; }

    /// <summary>It could not be stored: its end says so, and not what was meant to be.</summary>
    public void SayNotStored() => Echo["store"] = false;

    /// <summary>It is to be stored: the request says so, or its tenant wants it.</summary>
    public required bool Store { get; init; }

    /// <summary>Thoughts are told as a summary, which is where the clients that ask for one look.</summary>
    public required bool SummarizesReasoning { get; init; }

    /// <summary>Thoughts are also given as one opaque text, for clients that send them back with the next request instead of having them stored.</summary>
    public required bool EncodesReasoning { get; init; }
}

/// <summary>The opaque text of thoughts. It hides nothing: the thoughts themselves are in the same item.</summary>
internal static class EncodedReasoning
{
    private const string Mark = "q1.";

    public static string Of(string reasoning) => Mark + Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(reasoning));

    /// <summary>Null: it was not made here.</summary>
    public static string? Read(string encoded)
    {
        if (!encoded.StartsWith(Mark, StringComparison.Ordinal)) return null;
        Span<byte> bytes = new byte[encoded.Length];
        return Convert.TryFromBase64String(encoded[Mark.Length..], bytes, out int written) ? System.Text.Encoding.UTF8.GetString(bytes[..written]) : null;
    }
}
