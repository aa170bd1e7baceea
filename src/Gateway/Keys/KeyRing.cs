using System.Security.Cryptography;
using Microsoft.AspNetCore.Http;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Tells whose key was shown. Reads the directory as it is at that moment: a revoked key stops working with the next request.</summary>
/// <param name="localKey">A key that only this process and the owner's commands on this machine know: it works as the oldest owner key. Null: there is none.</param>
public sealed class KeyRing(DirectoryState directory, string? localKey = null)
{
    private readonly byte[]? localHash = localKey is null ? null : [.. KeySecret.Hash(localKey)];

    /// <summary>Whether a request shows the key that only this machine knows.</summary>
    public bool IsLocal(HttpRequest request) =>
        localHash is not null && Callers.KeyOf(request) is { Length: > 0 and <= KeySecret.LengthMax } key && CryptographicOperations.FixedTimeEquals(localHash, KeySecret.Hash(key).AsSpan());

    /// <summary>Finds the caller of a key that exists and is not revoked.</summary>
    public bool TryAuthenticate(string key, out Caller caller)
    {
        caller = null!;
        return !string.IsNullOrEmpty(key) && key.Length <= KeySecret.LengthMax && TryAuthenticate(KeySecret.Hash(key).AsSpan(), out caller);
    }

    /// <summary>The same by the key's hash.</summary>
    internal bool TryAuthenticate(ReadOnlySpan<byte> hash, out Caller caller)
    {
        caller = null!;
        DirectoryModel now = directory.Current;
        bool local = localHash is not null && CryptographicOperations.FixedTimeEquals(localHash, hash);
        ApiKey? found = local ? now.Keys.FirstOrDefault(DirectoryModel.IsCloudOwner) : now.FindKey(hash);
        if (local && found is not null)
        {
            caller = new Caller(now.Tenant(found.Tenant), now.Project(found.Project), found);
            return true;
        }
        // The lookup compares a few bytes of a hash; the whole of it is compared in constant time, so that timing tells nothing about stored hashes.
        if (found is null || !CryptographicOperations.FixedTimeEquals(found.Hash.AsSpan(), hash) || !directory.Works(found)) return false;
        caller = new Caller(now.Tenant(found.Tenant), now.Project(found.Project), found);
        return true;
    }
}
