using Qanat.Books;

namespace Qanat.Store.Tests;

public abstract partial class StoreTestKit
{
    [Fact]
    public async Task Every_kind_of_fact_there_is_can_be_stored()
    {
        Hold settled = Facts.NewHold(), released = Facts.NewHold();
        UsageRecord record = Facts.RecordOf(settled);
        Fact[] one = [
            .. Facts.Directory,
            new Declared(new Declaration(new DeclarationId(Facts.NewId()), TestBooks.At(0), "text")),
            new Audited(new AuditEntry(TestBooks.At(0), "who", "what", "whom", null, null)),
            new HoldPlaced(settled), new HoldPlaced(released), new HoldExtended(settled.Id, TestBooks.Usd(2_000_000)),
            new HoldMoved(settled.Id, settled.Deployment, settled.Pool ?? new PoolName("other")),
            TestBooks.Steps([TestBooks.ProgressOf(settled, 1)], TestBooks.Stretch(0, 1)),
            new HoldSettled(record), new HoldReleased(released.Id, TestBooks.At(1), "why"),
            new TransactionPosted(Facts.NewTransaction(), [record.Id]),
            new DemoCleared(TestBooks.At(2), null),
            new Together([]),
        ];
        await Append(one);
        IEnumerable<Type> kinds = typeof(Fact).Assembly.GetTypes().Where(type => type.IsSubclassOf(typeof(Fact)) && !type.IsAbstract);
        Assert.Equal(kinds.Select(type => type.Name).Order(StringComparer.Ordinal), one.Select(fact => fact.GetType().Name).Distinct().Order(StringComparer.Ordinal));
    }
}
