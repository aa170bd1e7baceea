namespace Qanat.Cli;

/// <summary>Whether a licence lets a model be served to others for money.</summary>
public enum CommercialHosting
{
    Free,

    /// <summary>Under conditions that nobody can check from here: it must be accepted, with a reason.</summary>
    Conditional,

    /// <summary>Forbidden without a licence of one's own from the publisher: it must be accepted, with a reason.</summary>
    Forbidden,

    /// <summary>Nobody here has read it: it must be accepted, with a reason.</summary>
    Unknown,
}

/// <summary>A licence and what it asks of who hosts the model.</summary>
/// <param name="Terms">What must be known before hosting, in one sentence; null when nothing binds.</param>
public sealed record Licence(string Id, CommercialHosting Hosting, string? Terms)
{
    private static readonly Licence QwenResearch = new("qwen-research", CommercialHosting.Forbidden, "for research and evaluation only: any commercial use needs a licence from the publisher");
    private static readonly Licence Qwen = new("qwen", CommercialHosting.Conditional, "a service with more than 100 million monthly users needs a licence from the publisher, and \"Built with Qwen\" must be shown");
    private static readonly Licence QwenCommunity = new("qwen-community", CommercialHosting.Forbidden, "serving the model to others as a service or in a work assistant needs a licence from the publisher first, whatever the revenue");
    private static readonly Licence QwenMax = new("qwen-max", CommercialHosting.Conditional, "a service with more than 50 million US dollars of revenue in twelve months needs a licence; beyond 100 million users or 20 million dollars a month the model's name must be shown");

    /// <summary>Permissive licences that ask nothing of a host but to keep the notice.</summary>
    private static readonly HashSet<string> Permissive = new(StringComparer.OrdinalIgnoreCase) { "apache-2.0", "mit", "bsd-3-clause", "bsd-2-clause", "isc", "cc0-1.0" };

    /// <summary>Models whose licence differs from what their tags say or leave open: a part of the repository's name, in lower case.</summary>
    private static readonly (string Part, Licence Licence)[] ByName =
    [
        ("qwen2.5-3b", QwenResearch), ("qwen2.5-coder-3b", QwenResearch), ("qwen2.5-72b", Qwen), ("qwen3.8-flash-next", QwenCommunity), ("qwen3.8-2.4t", QwenMax), ("qwen3.8-max", QwenMax),
    ];

    /// <summary>The licence of a model: by its name where that is known, else by the identifier that its repository or file gives.</summary>
    public static Licence Of(string repository, string? id)
    {
        ArgumentNullException.ThrowIfNull(repository);
        string name = repository.ToLowerInvariant();
        foreach ((string part, Licence licence) in ByName)
        {
            if (name.Contains(part, StringComparison.Ordinal)) return licence;
        }
        if (string.IsNullOrWhiteSpace(id)) return new Licence("none given", CommercialHosting.Unknown, "the repository names no licence");
        return Permissive.Contains(id)
            ? new Licence(id.ToLowerInvariant(), CommercialHosting.Free, null)
            : new Licence(id, CommercialHosting.Unknown, $"the licence \"{id}\" is not one that is known here: read it");
    }
}
