using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>What became of one credit.</summary>
public sealed record CreditPosition(Credit Credit, Money Drawn, Money Expired)
{
    public Money Left => Credit.Amount - Drawn - Expired;

    /// <summary>Draws a tenant's charges from its credits: day by day (UTC), from the credit that expires first. What no credit covers stays a receivable.
    /// Only the sum of a day's charges counts, not the order of its requests.</summary>
    /// <param name="charges">The tenant's usage charges by day, in one currency.</param>
    public static ImmutableArray<CreditPosition> Of(IEnumerable<Credit> credits, IEnumerable<DayCharge> charges, Instant at)
    {
        Credit[] ordered = [.. credits.Where(c => c.PaidAt < at).OrderBy(c => c.ExpiresAt?.UnixNanoseconds ?? long.MaxValue).ThenBy(c => c.PaidAt).ThenBy(c => c.Name, StringComparer.Ordinal)];
        Money[] left = [.. ordered.Select(c => c.Amount)];
        foreach (DayCharge day in charges.Where(d => d.Day < at).OrderBy(d => d.Day))
        {
            Money open = day.Charge;
            for (int i = 0; i < ordered.Length && !open.IsZero && !open.IsNegative; i++)
            {
                if (ordered[i].Amount.Currency != open.Currency || day.Day < ordered[i].PaidAt.DayStart || ordered[i].ExpiresAt is { } end && day.Day >= end) continue;
                Money drawn = left[i] < open ? left[i] : open;
                left[i] -= drawn;
                open -= drawn;
            }
        }
        return [.. ordered.Select((credit, i) => new CreditPosition(credit, credit.Amount - left[i], credit.ExpiresAt is { } end && end <= at ? left[i] : Money.Zero(credit.Amount.Currency)))];
    }
}

/// <summary>A tenant's usage charges of one day.</summary>
public readonly record struct DayCharge(Instant Day, Money Charge);
