using System.Security.Claims;
using Microsoft.Extensions.Logging;
using Qanat.Books;
using Qanat.Gateway;

namespace Qanat.Console;

/// <summary>Turns what a provider says of a person into an identity of the directory, by the rules in force at that moment.</summary>
internal sealed class OpenIdPeople(DirectoryState directory, ILogger<OpenIdPeople> log)
{
    /// <summary>The first of these that the token has is the person's name.</summary>
    private static readonly string[] NameClaims = ["name", "preferred_username", "email", "sub"];

    /// <param name="person">The claims of a token that was found good.</param>
    /// <exception cref="ApiException">403: no rule lets them in, or their identity was revoked here.</exception>
    public async Task<ApiKey> AdmitAsync(OpenIdProvider provider, ClaimsPrincipal person, CancellationToken cancel)
    {
        OutsideTerms outside = new(Required(person, "iss"), Required(person, "sub"));
        string name = NameOf(person);
        string who = $"{name} ({provider.Name})";
        OpenIdRule? rule = provider.AllRules.FirstOrDefault(each => person.HasClaim(each.Claim, each.Value));
        if (rule is null)
        {
            await directory.ExpireOutsiderAsync(who, outside, cancel);
            throw Refused($"{provider.Name} knows you, but nothing here is meant for you. Ask whoever runs this cloud for access.");
        }
        Tenant? tenant = directory.Current.FindTenant(rule.Tenant);
        if (tenant is null || directory.Current.FindProject(tenant.Id, rule.Project) is not { } project)
        {
            log.LogWarning("A rule of open_id names the tenant '{Tenant}' and its project '{Project}', which do not exist: nobody is let in by it.", rule.Tenant, rule.Project);
            throw Refused("The rule that is meant for you names a tenant or project that does not exist here. Tell whoever runs this cloud.");
        }
        return await directory.AdmitOutsiderAsync(who, outside, new NewKeyOrder(project, name, rule.Role, null, new KeyTerms { Reach = rule.Reach }), cancel);
    }

    private static string NameOf(ClaimsPrincipal person)
    {
        string name = NameClaims.Select(claim => person.FindFirst(claim)?.Value).First(value => !string.IsNullOrWhiteSpace(value))!;
        string printable = string.Concat(name.Where(letter => !char.IsControl(letter) && !char.IsSurrogate(letter))).Trim();
        return printable.Length switch
        {
            0 => "somebody",
            > DirectoryState.NameLengthMax => printable[..DirectoryState.NameLengthMax],
            _ => printable,
        };
    }

    private static string Required(ClaimsPrincipal person, string claim) => person.FindFirst(claim)?.Value is { Length: > 0 and <= 1000 } value ? value : throw Refused($"The provider's token has no usable '{claim}'.");

    private static ApiException Refused(string why) => new(403, "permission_error", "not_admitted", why);
}
