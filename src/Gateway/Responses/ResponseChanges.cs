using System.Globalization;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Which of a tenant's responses are stored, and deleting them: each with its audit line.</summary>
public sealed class ResponseChanges(DirectoryState directory, ResponseStore store, IBookStore books, TimeProvider clock)
{
    /// <summary>Holds for what is asked from now on; fewer days hold for what is stored already, too.</summary>
    /// <exception cref="ApiException">400: not from 1 to <see cref="StoringTerms.DaysMax"/> days.</exception>
    public Task<Tenant> SetAsync(string who, TenantId tenant, StoringTerms terms, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(terms);
        return terms.Days is < 1 or > StoringTerms.DaysMax
            ? throw Refusal.Value("days", FormattableString.Invariant($"it must be from 1 to {StoringTerms.DaysMax}."))
            : directory.SetTermsAsync(who, "tenant.responses", tenant, now => now with { Responses = terms.Which, ResponseDays = terms.Days }, cancel);
    }

    /// <summary>Deletes all of a tenant's. How many they were.</summary>
    public async Task<int> DeleteAllAsync(string who, Tenant tenant, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(tenant);
        int deleted = await store.DeleteAllAsync(tenant.Id, null, cancel);
        await books.AppendAsync(new Audited(new AuditEntry(Instant.Now(clock), who, "response.delete_all", tenant.Name, null, deleted.ToString(CultureInfo.InvariantCulture))), CancellationToken.None);
        return deleted;
    }
}
