using CsCheck;

namespace Qanat.Books.Tests;

/// <summary>Whatever is done to the books, in whatever order, they stay in balance.</summary>
public class AnyOrderTests
{
    private const long Day = 24 * Instant.NanosecondsPerHour;

    [Fact]
    public async Task The_journal_sums_to_zero_and_every_identity_holds_after_any_sequence_of_operations() =>
        await Gen.Select(RandomMonth.Gen, Gen.Select(Gen.Int[0, 11], Gen.Long[0, 1_000_000]).Array[1, 14]).SampleAsync(async (month, operations) =>
        {
            await using var store = new MemoryBookStore();
            await month.RecordAsync(store);
            var bookkeeper = new Bookkeeper(store);
            for (int i = 0; i < operations.Length; i++)
            {
                await CarryOutAsync(store, bookkeeper, operations[i].Item1, operations[i].Item2, i);
                TrialBalance trial = await Statements.TrialBalanceAsync(store, Period.All.To);
                Assert.True(trial.IsZero, $"after operation {i} of kind {operations[i].Item1}: {string.Join(", ", trial.Sums)}");
            }
            await bookkeeper.PostAsync();
            ReferenceTests.AssertSound(await BooksCheck.RunAsync(store));
            foreach (BalanceSheet sheet in await Statements.BalanceSheetAsync(store, Period.All.To)) Assert.True(sheet.IsBalanced);
        }, iter: 60);

    [Fact]
    public async Task Every_line_of_the_profit_and_loss_adds_up_to_its_result() => await RandomMonth.Gen.SampleAsync(async month =>
    {
        await using var store = new MemoryBookStore();
        await month.RecordAsync(store);
        await new Bookkeeper(store).PostAsync();
        await DeclareAsync(store, $"bill rack pool {RandomMonth.Pools[0]} for hosting amount 31 from 2026-11-01 to 2026-12-01");
        await PeriodEnd.PostAsync(store, Sample.Start.Plus(31 * Day));
        foreach (ProfitTotal total in (await Statements.ProfitAndLossAsync(store, Period.All, GroupBy.Tenant)).Totals)
        {
            Money zero = Money.Zero(total.Revenue.Currency);
            Money earned = total.Lines.Where(l => l.Account.IsUnder(Accounts.Revenue)).Aggregate(zero, (sum, l) => sum + l.Amount), spent = total.Lines.Where(l => !l.Account.IsUnder(Accounts.Revenue)).Aggregate(zero, (sum, l) => sum + l.Amount);
            Assert.Equal((total.Revenue, total.Result), (earned, earned - spent));
        }
    }, iter: 30);

    private static async Task CarryOutAsync(IBookStore store, Bookkeeper bookkeeper, int kind, long amount, int index)
    {
        Declarations declared = await Declarations.ReadAsync(store);
        Instant open = declared.ClosedThrough > Sample.Start ? declared.ClosedThrough : Sample.Start;
        string from = FactValue.Text(open), to = FactValue.Text(open.Plus(30 * Day)), pool = RandomMonth.Pools[index % 2].Value, tenant = RandomMonth.Tenant(index % 2 + 1).Tenant.ToString(), money = new Money(amount * 1_000_003, Currency.Usd).ToDecimalText();
        switch (kind)
        {
            case 0: await bookkeeper.PostAsync(); break;
            case 1: await PeriodEnd.PostAsync(store, open.Plus(Day + amount)); break;
            case 2: await DeclareAsync(store, $"bill b{index} pool {pool} for hosting amount {money} from {from} to {to}"); break;
            case 3: await DeclareAsync(store, $"asset a{index} pool {pool} price {money} in-service {from} life 90days"); break;
            case 4: await DeclareAsync(store, $"credit c{index} tenant {tenant} amount {money} paid {from} then charge"); break;
            case 5: await DeclareAsync(store, $"contract k{index} tenant {tenant} from {from} discount 5% commitment {money}"); break;
            case 6: await DeclareAsync(store, $"rerate r{index} from 2026-11-01 to 2026-12-01 tenant {tenant} price own reason \"again\""); break;
            case 7: await DeclareAsync(store, $"exchange x{index} at {from} sell {money} sell-currency USD buy 1 buy-currency EUR"); break;
            case 8: await DeclareAsync(store, $"capital p{index} at {from} amount {money}"); break;
            case 9: await DeclareAsync(store, $"training t{index} model tuned from {from} to {to} policy {(amount % 2 == 0 ? "expense" : "capitalise")} life 60days data {money}"); break;
            case 10: await PeriodClosing.CloseAsync(store, bookkeeper, $"p{index}", open.Plus(Instant.NanosecondsPerHour).HourStart, open.Plus(Day), "test"); break;
            default: await LateAsync(store, amount, index); break;
        }
    }

    private static Task DeclareAsync(IBookStore store, string text) => store.AppendAsync(new Declared(Declaration.Of(text, Sample.Start)));

    private static async Task LateAsync(IBookStore store, long tokens, int index)
    {
        var prices = new PriceBook(await store.ReadPricesAsync());
        var usage = new OutsideUsage("elsewhere", $"late-{index}", Sample.Start, Sample.Start.Plus(tokens), RandomMonth.Tenant(1), new ModelName("m"), new DeploymentName("elsewhere/m"), new PoolName("elsewhere"),
            Operation.Chat, Outcome.Completed, new TokenCounts(tokens, 0, 0, tokens / 2, 0));
        await store.AppendAsync(new HoldSettled(usage.ToRecord(prices, await Declarations.ReadAsync(store), 0)));
    }
}
