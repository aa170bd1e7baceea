using Qanat.Books;

namespace Qanat.Store.Tests;

/// <summary>The kit on SQLite, and what is SQLite's own.</summary>
public sealed class SqliteStoreTests : StoreTestKit
{
    private readonly TestDirectory _directory = new();

    protected override async Task<IStore> OpenAsync() => await SqliteBookStore.OpenAsync(_directory.Path, Clock);

    protected override ValueTask RemoveAsync()
    {
        _directory.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task An_amount_or_a_sum_beyond_64_bits_of_thousandths_is_refused_and_never_wrong()
    {
        Int128 most = (Int128)long.MaxValue * 1_000_000_000 + 999_999_999;
        UsageRecord largest = Facts.NewRecord(charge: new Money(most, TestBooks.Eur));
        await Append(new HoldSettled(largest));
        await IsRefused(new HoldSettled(Facts.NewRecord(charge: new Money(most + 1, TestBooks.Eur))));
        await IsRefused(new HoldSettled(Facts.NewRecord(charge: new Money(1, TestBooks.Eur))));
        await Append(new HoldSettled(Facts.NewRecord(charge: new Money(-most, TestBooks.Eur))), new HoldSettled(Facts.NewRecord(charge: new Money(1, TestBooks.Eur))));
        Assert.Equal(new Money(1, TestBooks.Eur), (await Store.SumUsageAsync(new SumQuery(Period.All, GroupBy.None), Cancel)).Single(sum => sum.Charge.Currency == TestBooks.Eur).Charge);
    }
}
