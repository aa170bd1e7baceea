using System.Globalization;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Whether a tenant's transcripts are kept, who reads one, and deleting them: each with its audit line.</summary>
public sealed class TranscriptChanges(DirectoryState directory, TranscriptStore store, IBookStore books, TimeProvider clock)
{
    public const int DaysMax = 3650;

    /// <param name="days">How long each is kept from now on; null: no more are kept, and those that are stay until they expire or are deleted.</param>
    /// <exception cref="ApiException">400: not from 1 to <see cref="DaysMax"/>.</exception>
    public Task<Tenant> KeepAsync(string who, TenantId tenant, int? days, CancellationToken cancel) => days is < 1 or > DaysMax
        ? throw Refusal.Value("days", FormattableString.Invariant($"it must be from 1 to {DaysMax}, or null to keep nothing."))
        : directory.SetTermsAsync(who, "tenant.keep", tenant, terms => terms with { KeepDays = days }, cancel);

    /// <summary>That somebody reads what others said is written down before they do.</summary>
    public async Task<Transcript?> ReadAsync(string who, TenantId tenant, RequestId id, CancellationToken cancel)
    {
        if (await store.FindAsync(tenant, id, cancel) is not { } transcript) return null;
        await AuditAsync(who, "transcript.read", id.ToString(), null);
        return transcript;
    }

    public async Task<bool> DeleteAsync(string who, TenantId tenant, RequestId id, CancellationToken cancel)
    {
        if (!await store.DeleteAsync(tenant, id, cancel)) return false;
        await AuditAsync(who, "transcript.delete", id.ToString(), null);
        return true;
    }

    /// <summary>Deletes all of a tenant's. How many they were.</summary>
    public async Task<int> DeleteAllAsync(string who, Tenant tenant, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(tenant);
        int deleted = await store.DeleteAllAsync(tenant.Id, null, cancel);
        await AuditAsync(who, "transcript.delete_all", tenant.Name, deleted.ToString(CultureInfo.InvariantCulture));
        return deleted;
    }

    private Task AuditAsync(string who, string action, string subject, string? after) =>
        books.AppendAsync(new Audited(new AuditEntry(Instant.Now(clock), who, action, subject, null, after)), CancellationToken.None);
}
