namespace Qanat.Books.Tests;

/// <summary>What is bought from upstreams, from the record to the statements.</summary>
public class UpstreamUseTests
{
    private static readonly CancellationToken Cancel = CancellationToken.None;
    private static readonly PoolName Upstream = new("upstream/gpu-1");
    private static readonly PriceVersion Price = Sample.Price("p", Sample.Start, Sample.Rates("input 1 output 2"));

    private static UpstreamUse Use(UsageCheckState state, params ReadOnlySpan<UpstreamAttempt> attempts) => new([.. attempts], state, new TokenCounts(1000, 0, 0, 499, 0));

    private static UpstreamAttempt Served => new("gpu-1", AttemptEnd.Served, new TokenCounts(1000, 0, 0, 500, 20), Sample.Rates("input 0.5 output 1"));

    private static UsageRecord Record(string name, UpstreamUse use, Instant at) => new(new RequestId(Sample.Id(name)), at, at, at, Sample.Party(), Sample.Model, new DeploymentName(Upstream.Value), Upstream,
        Operation.Chat, Outcome.Completed, new TokenCounts(1000, 0, 0, 500, 20), default, Price.Id, Rating.Charge(Price, new RatedUsage(new TokenCounts(1000, 0, 0, 500, 20))), null, use.Cost, Upstream: use);

    [Fact]
    public void Its_text_reads_back_to_the_same()
    {
        UpstreamUse use = Use(UsageCheckState.Differs, new UpstreamAttempt("qwen cloud", AttemptEnd.TimedOut, new TokenCounts(1000, 0, 0, 0, 0), Sample.Rates("input 0.5 output 1 cache-read 0.1")),
            new UpstreamAttempt("b", AttemptEnd.Refused, default, null), Served);
        Assert.Equal(use, UpstreamUse.Parse(use.ToString()));
        Assert.NotEqual(use, use with { State = UsageCheckState.Agrees });
        Assert.ThrowsAny<FormatException>(() => UpstreamUse.Parse("state 1 counted 0/0/0/0/0"));
        Assert.ThrowsAny<FormatException>(() => UpstreamUse.Parse("state agrees counted 0/0/0/0"));
    }

    /// <summary>A blank before it keeps it from the fast way.</summary>
    [Fact]
    public void Its_text_reads_the_same_as_it_is_written_and_word_by_word_wherever_it_ends()
    {
        string text = Use(UsageCheckState.Differs, new UpstreamAttempt("qwen cloud", AttemptEnd.TimedOut, new TokenCounts(1000, 0, 0, 0, 0), Sample.Rates("input 0.5 output 1 cache-read 0.1")),
            new UpstreamAttempt("b", AttemptEnd.Refused, default, null), Served with { Rates = TokenRates.PerMillion(new Currency("CNY"), "1", "2") }).ToString();
        string[] others = ["state agrees counted 1,000/0/0/1/0", "counted 1/0/0/1/0 state agrees", "state agrees,missing counted 1/0/0/1/0", "state AGREES counted 1/0/0/1/0", "state agrees counted +1/0/0/1/0", "state agrees counted 1/0/0/1/0 # that is all",
            "state agrees counted 1/0/0/1/0 attempt a served 1/0/0/1/0 rates \"input 1 output 2\"", "state agrees counted 1/0/0/1/0 attempt a served 1/0/0/1/0 currency usd rates \"input 1 output 2\"", "state agrees counted 1/0/0/1/0/"];
        foreach (string each in others.Concat(Enumerable.Range(0, text.Length + 1).Select(end => text[..end]))) Assert.Equal(Read(" " + each), Read(each));
        Assert.NotNull(Read(text));

        static UpstreamUse? Read(string text)
        {
            try
            {
                return UpstreamUse.Parse(text);
            }
            catch (Exception wrong) when (wrong is FormatException or ArgumentException)
            {
                return null;
            }
        }
    }

    [Fact]
    public void Its_cost_is_that_of_every_attempt_and_unknown_when_one_price_is()
    {
        UpstreamAttempt late = Served with { End = AttemptEnd.TimedOut, Tokens = new TokenCounts(1000, 0, 0, 0, 0) };
        Assert.Equal(Sample.Usd("0.0015"), Use(UsageCheckState.Agrees, late, Served).Cost);
        Assert.Null(Use(UsageCheckState.Agrees, late with { Rates = null }, Served).Cost);
        Assert.Null(Use(UsageCheckState.Agrees, late with { Rates = TokenRates.PerMillion(new Currency("CNY"), "1", "2") }, Served).Cost);
    }

    [Fact]
    public async Task Its_cost_is_owed_to_the_upstream_and_lowers_the_margin_and_the_check_finds_a_changed_one()
    {
        var store = new MemoryBookStore();
        await store.AppendAsync(new PriceAdded(Price), Cancel);
        await store.AppendAsync(new HoldSettled(Record("one", Use(UsageCheckState.Agrees, Served), Sample.Start.Plus(1))), Cancel);
        await store.AppendAsync(new HoldSettled(Record("two", Use(UsageCheckState.Missing, Served), Sample.Start.Plus(2))), Cancel);
        await new Bookkeeper(store).PostAsync(Cancel);
        ReferenceTests.AssertSound(await BooksCheck.RunAsync(store, Cancel));

        ProfitAndLoss pnl = await Statements.ProfitAndLossAsync(store, Period.All, GroupBy.Model, Cancel);
        Assert.Equal(Sample.Usd("0.004"), Assert.Single(pnl.Rows).Revenue);
        Assert.Equal(Sample.Usd("0.002"), Assert.Single(pnl.Rows).ComputeCost);
        TrialBalance trial = await Statements.TrialBalanceAsync(store, Period.All.To, Cancel);
        Assert.Equal(Sample.Usd("-0.002"), trial.Accounts.Single(a => a.Account == Accounts.AccruedUpstream).Amount);

        UsageRecord tampered = Record("three", Use(UsageCheckState.Agrees, Served), Sample.Start.Plus(3)) with { Cost = Sample.Usd("0.01") };
        await store.AppendAsync(new HoldSettled(tampered), Cancel);
        Assert.False((await BooksCheck.RunAsync(store, Cancel)).Identities.Single(i => i.Name == "costs re-derive").IsOk);
    }
}
