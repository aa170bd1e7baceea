using System.Collections.Frozen;
using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>The one table of who may do what. docs/access.md shows the same table; a test compares them.</summary>
public static class Roles
{
    /// <summary>What makes sense within one tenant; everything else shows or changes what is not the tenant's own.</summary>
    private static readonly FrozenSet<Permission> OfTenants =
    [
        Permission.Infer, Permission.SeeDirectory, Permission.ChangeKeys, Permission.ChangeBudgets, Permission.SeeUsage, Permission.SeePrices, Permission.SeeInvoices,
        Permission.SeeTranscripts, Permission.ChangeTranscripts,
    ];

    private static readonly FrozenDictionary<KeyRole, FrozenSet<Permission>> Table = new Dictionary<KeyRole, FrozenSet<Permission>>
    {
        [KeyRole.Owner] = [.. Enum.GetValues<Permission>()],
        [KeyRole.Finance] =
        [
            Permission.SeeStatus, Permission.SeeDirectory, Permission.ChangeLimits, Permission.ChangeBudgets, Permission.SeeUsage, Permission.SeePrices, Permission.ChangePrices,
            Permission.SeeCosts, Permission.ChangeCosts, Permission.SeeBooks, Permission.ChangeBooks, Permission.SeeInvoices, Permission.SeeAudit,
        ],
        [KeyRole.Operator] =
        [
            Permission.Infer, Permission.SeeStatus, Permission.SeeDirectory, Permission.ChangeTenants, Permission.ChangeLimits, Permission.ChangeKeys, Permission.ChangeBudgets,
            Permission.SeeUsage, Permission.SeePrices, Permission.SeeCosts, Permission.SeeAudit, Permission.Operate,
        ],
        [KeyRole.Developer] = [Permission.Infer, Permission.SeeStatus, Permission.SeeDirectory, Permission.SeeUsage, Permission.SeePrices],
        [KeyRole.Viewer] =
            [Permission.SeeStatus, Permission.SeeDirectory, Permission.SeeUsage, Permission.SeePrices, Permission.SeeCosts, Permission.SeeBooks, Permission.SeeInvoices],
        [KeyRole.Inference] = [Permission.Infer],
    }.ToFrozenDictionary();

    /// <summary>In the order of the table: for people first, programs last.</summary>
    public static readonly ImmutableArray<KeyRole> All = [KeyRole.Owner, KeyRole.Finance, KeyRole.Operator, KeyRole.Developer, KeyRole.Viewer, KeyRole.Inference];

    public static bool Allows(KeyRole role, Reach reach, Permission permission) =>
        Table.TryGetValue(role, out FrozenSet<Permission>? all) && all.Contains(permission) && (reach == Reach.Cloud || OfTenants.Contains(permission));

    /// <summary>Whether identities that reach their own tenant only can have it at all.</summary>
    public static bool IsOfTenants(Permission permission) => OfTenants.Contains(permission);

    /// <summary>Whether one identity has everything another has or would have: only then may it make or end it.</summary>
    public static bool Covers(KeyRole role, Reach reach, KeyRole otherRole, Reach otherReach) =>
        reach >= otherReach && Enum.GetValues<Permission>().All(permission => !Allows(otherRole, otherReach, permission) || Allows(role, reach, permission));

    public static ImmutableArray<KeyRole> With(Permission permission) => [.. All.Where(role => Table[role].Contains(permission))];
}
