using System.Collections.Immutable;
using System.Net;

namespace Qanat.Gateway;

/// <summary>What a key is bound to, checked: which models, paths and networks, and until when. Empty lists bind nothing.</summary>
public sealed record KeyScope(ImmutableArray<string> Models, ImmutableArray<string> Endpoints, ImmutableArray<string> Networks, DateTimeOffset? ExpiresAt)
{
    private const int TextLengthMax = 200;

    /// <exception cref="ApiException">400: too many, too long, or not a path or network.</exception>
    public static KeyScope Checked(IReadOnlyList<string> models, IReadOnlyList<string> endpoints, IReadOnlyList<string> networks, DateTimeOffset? expiresAt) => new(
        CheckedModels(models), CheckedEndpoints(endpoints), CheckedNetworks(networks), expiresAt);

    public KeyTerms On(KeyTerms terms)
    {
        ArgumentNullException.ThrowIfNull(terms);
        return terms with { Models = Models, Endpoints = Endpoints, Networks = Networks, ExpiresAt = ExpiresAt };
    }

    public static ImmutableArray<string> CheckedModels(IReadOnlyList<string> texts) => All(texts, "models", _ => true, "");
    public static ImmutableArray<string> CheckedEndpoints(IReadOnlyList<string> texts) => All(texts, "endpoints", text => text.StartsWith('/'), "it must be the beginning of a path, such as /v1/chat.");
    public static ImmutableArray<string> CheckedNetworks(IReadOnlyList<string> texts) => All(texts, "networks", text => IPNetwork.TryParse(text, out _), "it must be a network such as 10.1.0.0/16 or 2001:db8::/32.");

    private static ImmutableArray<string> All(IReadOnlyList<string> texts, string name, Predicate<string> good, string complaint)
    {
        if (texts.Count > KeyTerms.ScopesMax) throw Refusal.Value(name, $"at most {KeyTerms.ScopesMax} are allowed.");
        for (int index = 0; index < texts.Count; index++)
        {
            if (texts[index].Length is 0 or > TextLengthMax) throw Refusal.Value($"{name}[{index}]", $"it needs 1 to {TextLengthMax} characters.");
            if (!good(texts[index])) throw Refusal.Value($"{name}[{index}]", complaint);
        }
        return [.. texts];
    }
}
