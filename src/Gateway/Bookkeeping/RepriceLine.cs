using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>What a re-rating changes for one tenant and model.</summary>
public sealed record RepriceLine(TenantId Tenant, ModelName Model, long Requests, Money Before, Money After)
{
    public Money Change => After - Before;

    public static async Task<ImmutableArray<RepriceLine>> ReadAsync(IBookReader books, Rerating rerating, Declarations declared, PriceBook prices, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(books);
        ArgumentNullException.ThrowIfNull(rerating);
        ArgumentNullException.ThrowIfNull(declared);
        ImmutableArray<Rerating> after = declared.Reratings.Add(rerating);
        Dictionary<(TenantId, ModelName, Currency), RepriceLine> lines = [];
        await foreach (UsageRecord record in books.StreamUsageAsync(new UsageQuery(rerating.Period, rerating.Tenant, Model: rerating.Model), cancel))
        {
            if (Rerating.ChargeOf(record, declared.Reratings, prices, declared.Contracts) is not { } before || Rerating.ChargeOf(record, after, prices, declared.Contracts) is not { } charge) continue;
            if (before.Currency != charge.Currency) throw Refusal.Value("text", $"the price is in {charge.Currency}, what was charged is in {before.Currency}.");
            Money zero = Money.Zero(charge.Currency);
            RepriceLine line = lines.GetValueOrDefault((record.Party.Tenant, record.Model, charge.Currency)) ?? new RepriceLine(record.Party.Tenant, record.Model, 0, zero, zero);
            lines[(record.Party.Tenant, record.Model, charge.Currency)] = line with { Requests = line.Requests + 1, Before = line.Before + before, After = line.After + charge };
        }
        return [.. lines.Values.OrderBy(line => line.Tenant.Value).ThenBy(line => line.Model.Value, StringComparer.Ordinal)];
    }
}
