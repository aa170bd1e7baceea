using Qanat.Books;

namespace Qanat.Console;

/// <summary>Roles in words.</summary>
internal static class RoleText
{
    public static string Short(KeyRole role) => role switch
    {
        KeyRole.Owner => "do everything",
        KeyRole.Finance => "keep the books",
        KeyRole.Operator => "run the cloud",
        KeyRole.Developer => "develop",
        KeyRole.Viewer => "look on",
        _ => "send requests",
    };

    /// <param name="payer">Who pays for requests sent with it.</param>
    public static string Describe(KeyRole role, string payer) => role switch
    {
        KeyRole.Owner => "do everything: owner",
        KeyRole.Finance => "see money, change prices, costs and limits: finance",
        KeyRole.Operator => "run models, tenants, keys and limits: operator",
        KeyRole.Developer => $"send requests, paid by {payer}, and see them: developer",
        KeyRole.Viewer => "see and change nothing: viewer",
        _ => $"send requests, paid by {payer}, and see no pages",
    };
}
