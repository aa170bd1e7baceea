using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Passwords of accounts: hashed by ASP.NET Core Identity (PBKDF2 with HMAC-SHA-512 and a salt of its own for each).</summary>
public static class Passwords
{
    public const int LengthMin = 12;

    /// <summary>Longer ones are refused before they are hashed.</summary>
    public const int LengthMax = 256;

    private const int Iterations = 210_000;
    private static readonly PasswordHasher<AccountTerms> Hasher = new(Options.Create(new PasswordHasherOptions { IterationCount = Iterations }));
    private static readonly AccountTerms Nobody = new("", "");

    /// <summary>What is verified when there is no such account, so that the answer comes no sooner.</summary>
    private static readonly Lazy<string> NobodysHash = new(() => Hasher.HashPassword(Nobody, "nobody's password"));

    /// <exception cref="ApiException">400: too short or too long.</exception>
    public static string Hash(string password)
    {
        ArgumentNullException.ThrowIfNull(password);
        return password.Length is >= LengthMin and <= LengthMax ? Hasher.HashPassword(Nobody, password) : throw Refusal.Value("password", $"it needs {LengthMin} to {LengthMax} characters.");
    }

    /// <summary>The account that this login and password belong to; null: there is none, whichever of the two is wrong.</summary>
    public static ApiKey? Verify(DirectoryState directory, string login, string password)
    {
        ArgumentNullException.ThrowIfNull(directory);
        ArgumentNullException.ThrowIfNull(password);
        if (password.Length > LengthMax) return null;
        ApiKey? found = directory.Current.FindAccount(login.Trim());
        string hash = found is null ? NobodysHash.Value : KeyTerms.Of(found).Account!.PasswordHash;
        bool right = Hasher.VerifyHashedPassword(Nobody, hash, password) != PasswordVerificationResult.Failed;
        return right && found is not null && directory.Works(found) ? found : null;
    }
}
