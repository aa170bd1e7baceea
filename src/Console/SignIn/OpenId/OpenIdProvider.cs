using Qanat.Books;
using Qanat.Gateway;

namespace Qanat.Console;

/// <summary>An OpenID provider that vouches for people, and what those it vouches for may do here.</summary>
/// <param name="Authority">Its address, below which /.well-known/openid-configuration lies: https, except on this machine.</param>
/// <param name="ClientId">What the provider calls this server.</param>
/// <param name="Name">As the button on the sign-in page calls it.</param>
/// <param name="ClientSecretFile">A file with the secret that this server shows the provider; null: it proves itself by PKCE alone.</param>
/// <param name="Scopes">What is asked for beside `openid`; null: profile and email.</param>
/// <param name="PublicUrl">Where browsers reach this server, when requests do not say so because a proxy stands before it; null: as requests say.</param>
/// <param name="Rules">The first that fits decides what somebody may do. Whom none fits is not let in.</param>
public sealed record OpenIdProvider(string Authority, string ClientId, string Name = "OpenID Connect", string? ClientSecretFile = null, IReadOnlyList<string>? Scopes = null, string? PublicUrl = null,
    IReadOnlyList<OpenIdRule>? Rules = null)
{
    public const int RulesMax = 1000;
    private static readonly string[] StandardScopes = ["profile", "email"];

    internal IReadOnlyList<string> AskedScopes => Scopes ?? StandardScopes;
    internal IReadOnlyList<OpenIdRule> AllRules => Rules ?? [];

    /// <summary>Everything that cannot be, each as a sentence.</summary>
    public IEnumerable<string> Complaints()
    {
        if (!Uri.TryCreate(Authority, UriKind.Absolute, out Uri? authority) || !(authority.Scheme == "https" || authority.Scheme == "http" && authority.IsLoopback))
            yield return $"open_id.authority: '{Authority}' must be an https address.";
        if (string.IsNullOrWhiteSpace(ClientId)) yield return "open_id.client_id: it is empty.";
        if (ClientSecretFile is { } file && !File.Exists(file)) yield return $"open_id.client_secret_file: there is no file {file}.";
        if (PublicUrl is { } url && (!Uri.TryCreate(url, UriKind.Absolute, out Uri? outside) || outside.Scheme is not ("http" or "https") || outside.PathAndQuery != "/"))
            yield return $"open_id.public_url: '{url}' is not an address such as https://ai.example.org.";
        if (AllRules.Count is 0 or > RulesMax) yield return $"open_id.rules: from 1 to {RulesMax}; without one nobody is let in.";
        foreach (OpenIdRule rule in AllRules)
        {
            if (string.IsNullOrWhiteSpace(rule.Claim) || string.IsNullOrWhiteSpace(rule.Value) || string.IsNullOrWhiteSpace(rule.Tenant)) yield return "open_id.rules: each needs claim, value, role and tenant.";
            if (rule.Role == KeyRole.Inference) yield return "open_id.rules: the role inference is for programs, which do not sign in.";
        }
    }
}

/// <summary>Whoever's token has this value of this claim is this here.</summary>
/// <param name="Tenant">By name.</param>
/// <param name="Reach">Their tenant only, unless said otherwise, whatever the role.</param>
public sealed record OpenIdRule(string Value, KeyRole Role, string Tenant, string Claim = "groups", Reach Reach = Reach.Tenant, string Project = DirectoryState.DefaultProject);
