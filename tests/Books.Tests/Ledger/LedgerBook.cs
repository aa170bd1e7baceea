using System.Collections.Immutable;

namespace Qanat.Books.Tests;

/// <summary>The facts of a ledger case, recorded in a store the way the gateway would: a hold, its metered steps, its settlement.</summary>
internal sealed class LedgerBook(MemoryBookStore store)
{
    private readonly Dictionary<string, Hold> holds = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> names = new(StringComparer.Ordinal);
    private readonly List<(PoolName Pool, Instant At, long Nanoseconds)> device = [];
    private long declared;
    private readonly Bookkeeper bookkeeper = new(store);

    public Currency Currency { get; set; } = Currency.Usd;
    public MemoryBookStore Store => store;

    public Money Amount(string text)
    {
        string[] words = text.Split(' ');
        return Money.Parse(words[0], words.Length > 1 ? new Currency(words[1]) : Currency);
    }

    public static TenantId Tenant(string name) => Sample.Party(name).Tenant;
    public static ProjectId Project(string tenant, string name) => Sample.Party(tenant, name).Project;
    public static RequestId Request(string name) => new(Sample.Id("request " + name));
    public static PriceVersionId PriceId(string name) => new(Sample.Id("price " + name));

    /// <summary>A name for an id that the case gave one; the id itself otherwise.</summary>
    public string NameOf(string id) => names.GetValueOrDefault(id, id);

    public Task AddPriceAsync(LedgerLine line)
    {
        string name = line.Word(1);
        names[PriceId(name).ToString()] = name;
        Instant from = line.NeedTime("from");
        string? model = line.Find("model"), tenant = line.Find("tenant"), currency = line.Find("currency");
        Instant added = line.FindTime("added") ?? from;
        PriceFileResult read = PriceFile.Parse($"currency {currency ?? Currency.Code}\nprice {model ?? "*"} from {FactValue.Text(from)} {line.Rest()}");
        if (read.File is not { } file) throw line.Wrong(string.Join(' ', read.Errors.Select(e => e.Problem)));
        PriceVersion version = file.Entries.Single().ToVersion(PriceId(name), added) with { Tenant = tenant is null ? null : Tenant(tenant), Source = name };
        return store.AppendAsync(new PriceAdded(version));
    }

    public Task AddPoolAsync(LedgerLine line)
    {
        string pool = line.Word(1);
        Instant from = line.NeedTime("from");
        int permille = line.Find("practical") is { } percent ? int.Parse(percent.TrimEnd('%'), System.Globalization.CultureInfo.InvariantCulture) * 10 : 850;
        return store.AppendAsync(new PoolRateAdded(new PoolRate(new PoolRateId(Sample.Id($"rate {pool} {from} {line.Find("added")}")), new PoolName(pool), from, Amount(line.Need("hourly")), permille,
            IsAssumption: false, "case", line.FindTime("added") ?? from)));
    }

    /// <summary>A request from placing to settlement.</summary>
    public async Task SettleAsync(LedgerLine line)
    {
        string name = line.Word(1);
        if (!holds.TryGetValue(name, out Hold? hold)) hold = await PlaceAsync(line).ConfigureAwait(false);
        Instant completed = line.FindTime("completed") ?? hold.PlacedAt.Plus(1_000_000_000);
        UsageProgress progress = await MeterAsync(line, hold, completed).ConfigureAwait(false);
        Outcome outcome = line.Find("outcome") is { } word ? Enum.Parse<Outcome>(word.Replace("-", "", StringComparison.Ordinal), ignoreCase: true) : Outcome.Completed;
        CacheMode cache = line.Has("explicit-cache") ? CacheMode.Explicit : CacheMode.Implicit;
        await SettleAsync(hold, completed, progress, outcome, cache).ConfigureAwait(false);
        holds.Remove(name);
    }

    /// <summary>A request that stays open.</summary>
    public async Task OpenAsync(LedgerLine line) => await MeterAsync(line, await PlaceAsync(line).ConfigureAwait(false), line.FindTime("now")).ConfigureAwait(false);

    /// <summary>Usage that was metered is settled as it stands, as after a crash.</summary>
    public async Task RecoverAsync(LedgerLine line)
    {
        Hold hold = holds[line.Word(1)];
        OpenHold open = (await store.ReadOpenHoldsAsync().ConfigureAwait(false)).Single(o => o.Hold.Id == hold.Id);
        Instant completed = line.NeedTime("completed");
        await SettleAsync(hold, completed, open.Progress, Outcome.Recovered, CacheMode.Implicit).ConfigureAwait(false);
        holds.Remove(line.Word(1));
    }

    /// <summary>A stretch of a pool's time. Busy with the device time metered in it, unless it says otherwise.</summary>
    public Task RunAsync(LedgerLine line)
    {
        var pool = new PoolName(line.Word(1));
        Instant from = line.NeedTime("from"), to = line.NeedTime("to");
        CapacityState state = line.Find("as") is { } word ? Enum.Parse<CapacityState>(word, ignoreCase: true) : CapacityState.Serving;
        long busy = device.Where(d => d.Pool == pool && d.At >= from && d.At < to).Sum(d => d.Nanoseconds);
        return store.AppendAsync(new StepsMetered([], [new CapacityRecord(pool, from, to, state, busy)]));
    }

    public Task PostAsync() => bookkeeper.PostAsync();

    /// <summary>A statement of the product's own language for declared facts; tenants by their names.</summary>
    public async Task DeclareAsync(LedgerLine line)
    {
        string text = $"{line.Verb} {line.Rest()}";
        string[] words = text.Split(' ');
        for (int i = 1; i < words.Length; i++)
        {
            if (words[i - 1] == "tenant") words[i] = Tenant(words[i]).ToString();
            if (words[i - 1] == "price" && line.Verb is ("rerate" or "reservation") && words[i] != "own") words[i] = PriceId(words[i]).ToString();
        }
        Declaration declaration;
        try
        {
            declaration = Declaration.Of(string.Join(' ', words), new Instant(++declared));
            new Declarations(await store.ReadDeclarationsAsync().ConfigureAwait(false)).With(declaration);
        }
        catch (Exception wrong) when (wrong is FactFormatException or ArgumentException)
        {
            throw line.Wrong(wrong.Message);
        }
        await store.AppendAsync(new Declared(declaration)).ConfigureAwait(false);
    }

    public async Task CloseAsync(LedgerLine line)
    {
        Instant through = line.NeedTime("through");
        string name = line.Word(1);
        string? refused = line.Has("refused") ? line.Rest() : null;
        ClosingResult result = await PeriodClosing.CloseAsync(store, bookkeeper, name, through, through, "accountant").ConfigureAwait(false);
        if (refused is null && result.Closed is null) throw line.Wrong(string.Join(' ', result.Problems));
        if (refused is not null && !result.Problems.Any(p => p.Contains(refused, StringComparison.Ordinal))) throw line.Wrong($"it was not refused because of '{refused}' but: {string.Join(' ', result.Problems)}");
    }

    /// <summary>Drafts an invoice and makes it final.</summary>
    public async Task SendAsync(LedgerLine line)
    {
        var period = new Period(line.NeedTime("from"), line.NeedTime("to"));
        Invoice draft = await Invoice.DraftAsync(store, line.Word(1), Tenant(line.Need("tenant")), period, Currency).ConfigureAwait(false);
        string? refused = line.Has("refused") ? line.Rest() : null;
        try
        {
            await store.AppendAsync(new Declared(draft.Finalise(await Declarations.ReadAsync(store).ConfigureAwait(false), new Instant(++declared)))).ConfigureAwait(false);
        }
        catch (InvalidOperationException wrong)
        {
            if (refused is null || !wrong.Message.Contains(refused, StringComparison.Ordinal)) throw line.Wrong(wrong.Message);
            return;
        }
        if (refused is not null) throw line.Wrong("it was not refused");
        Assert.Equal(draft.Total, draft.Lines.Aggregate(Money.Zero(Currency), (sum, l) => sum + l.Amount));
        Assert.Equal(draft.Exact, draft.Lines.Aggregate(Money.Zero(Currency), (sum, l) => sum + l.Exact));
    }

    public Task EndPeriodAsync(LedgerLine line) => PeriodEnd.PostAsync(store, line.NeedTime("at"));

    /// <summary>What the gateway does at the end of a request: rates it under its contract, costs it, ends its hold.</summary>
    private async Task SettleAsync(Hold hold, Instant completed, UsageProgress progress, Outcome outcome, CacheMode cache)
    {
        PriceVersion? price = hold.Price is { } id ? new PriceBook(await store.ReadPricesAsync().ConfigureAwait(false)).Get(id) : null;
        UsageCost? cost = new CostBook(await store.ReadPoolRatesAsync().ConfigureAwait(false)).Cost(hold.Pool!.Value, completed, progress.Device);
        Contract? contract = Contract.Find((await Declarations.ReadAsync(store).ConfigureAwait(false)).Contracts, hold.Party.Tenant, hold.Model, hold.PlacedAt);
        var usage = new RatedUsage(progress.Tokens, hold.Operation, outcome, cache);
        ChargeBasis? basis = null;
        if (price is not null && contract?.Transfer is not null) basis = ContractRating.Transfer(price, contract, usage, cost?.Amount);
        else if (price is not null && (contract is not null || cache == CacheMode.Explicit))
        {
            long left = contract is null ? 0 : ContractRating.Left(contract, store.StreamUsageAsync(new UsageQuery(Period.All, hold.Party.Tenant)).ToBlockingEnumerable());
            basis = ContractRating.Rate(price, contract, usage, ContractRating.FreeTokens(contract, usage, hold.PlacedAt, left));
        }
        Money? charge = basis?.Charge ?? (price is null || contract?.Transfer is not null ? null : Rating.Charge(price, usage));
        await store.AppendAsync(new HoldSettled(new UsageRecord(hold.Id, hold.PlacedAt, hold.PlacedAt, completed, hold.Party, hold.Model, hold.Deployment, hold.Pool.Value, hold.Operation, outcome,
            progress.Tokens, progress.Device, charge is null ? null : price?.Id, charge, cost?.Rate, cost?.Amount, basis))).ConfigureAwait(false);
    }

    public async Task ClearDemoAsync(LedgerLine line)
    {
        if (await DemoClearing.PlanAsync(store, line.NeedTime("at")).ConfigureAwait(false) is { } plan)
            await store.AppendAsync(plan).ConfigureAwait(false);
    }

    private async Task<Hold> PlaceAsync(LedgerLine line)
    {
        string name = line.Word(1), tenant = line.Need("tenant"), project = line.Find("project") ?? "main";
        names[Request(name).ToString()] = name;
        names[Tenant(tenant).ToString()] = tenant;
        names[Project(tenant, project).ToString()] = project;
        Instant placed = line.NeedTime("placed");
        var model = new ModelName(line.Find("model") ?? Sample.Model.Value);
        var pool = new PoolName(line.Find("pool") ?? Sample.Pool.Value);
        Party party = Sample.Party(tenant, project);
        await store.AppendAsync(new TenantSaved(new Tenant(party.Tenant, tenant, placed, null, IsDemo: tenant.StartsWith("demo", StringComparison.Ordinal)))).ConfigureAwait(false);
        PriceVersion? price = new PriceBook(await store.ReadPricesAsync().ConfigureAwait(false)).Find(model, party.Tenant, placed);
        Operation operation = line.Find("as") is { } word ? Enum.Parse<Operation>(word, ignoreCase: true) : Operation.Chat;
        Money amount = price is null ? Money.Zero(Currency) : Rating.WorstCase(price, line.Count("input"), line.Count("output"), operation);
        var hold = new Hold(Request(name), placed, party, model, new DeploymentName($"{pool}/{model}"), operation, price?.Id, amount, pool);
        await store.AppendAsync(new HoldPlaced(hold)).ConfigureAwait(false);
        holds[name] = hold;
        return hold;
    }

    /// <summary>Meters up to the counts on the line, which are totals.</summary>
    private async Task<UsageProgress> MeterAsync(LedgerLine line, Hold hold, Instant? at)
    {
        UsageProgress before = (await store.ReadOpenHoldsAsync().ConfigureAwait(false)).Single(o => o.Hold.Id == hold.Id).Progress;
        var tokens = new TokenCounts(line.Count("input"), line.Count("cache-read"), line.Count("cache-write"), line.Count("output"), line.Count("reasoning"));
        var progress = new UsageProgress(hold.Id, tokens, new DeviceTime(line.Duration("prefill"), line.Duration("device") + line.Duration("decode")));
        device.Add((hold.Pool!.Value, at ?? hold.PlacedAt, progress.Device.TotalNanoseconds - before.Device.TotalNanoseconds));
        await store.AppendAsync(new StepsMetered([progress], [])).ConfigureAwait(false);
        return progress;
    }
}
