using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>What a new data directory needs before anyone can do anything: the house tenant, and the owner's key.</summary>
public static class FirstStart
{
    /// <summary>The tenant of those who run this cloud.</summary>
    public const string HouseTenant = "house";

    private const int OwnerKeyLengthMin = 8;

    /// <summary>Creates the house tenant with its project and owner key where there is no key of an owner; otherwise changes nothing and returns null.</summary>
    /// <param name="ownerKey">The owner's key when it is given from outside; null: a random one.</param>
    /// <returns>The key, to be shown this once.</returns>
    /// <exception cref="ArgumentException">The key that was given cannot be used.</exception>
    public static async Task<NewKey?> EnsureOwnerAsync(DirectoryState directory, string? ownerKey, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(directory);
        if (directory.Current.Keys.Any(DirectoryModel.IsCloudOwner)) return null;
        if (ownerKey is not null) CheckOwnerKey(ownerKey);
        const string who = "first start";
        Tenant house = directory.Current.FindTenant(HouseTenant) ?? await directory.CreateTenantAsync(who, new NewTenant(HouseTenant, null, IsDemo: false), cancel);
        Project project = directory.Current.FindProject(house.Id, DirectoryState.DefaultProject)
            ?? await directory.CreateProjectAsync(who, house, DirectoryState.DefaultProject, null, cancel);
        return await directory.CreateKeyAsync(who, new NewKeyOrder(project, "owner", KeyRole.Owner, null), ownerKey, cancel);
    }

    /// <exception cref="ArgumentException">The key is too short, too long, or has characters that cannot be sent in a header.</exception>
    public static void CheckOwnerKey(string ownerKey)
    {
        ArgumentNullException.ThrowIfNull(ownerKey);
        if (ownerKey.Length is < OwnerKeyLengthMin or > KeySecret.LengthMax || ownerKey.AsSpan().ContainsAnyExceptInRange('!', '~'))
            throw new ArgumentException($"The owner key needs {OwnerKeyLengthMin} to {KeySecret.LengthMax} printable ASCII characters without spaces.", nameof(ownerKey));
    }
}
