using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>Re-rates and re-costs every usage record and adds them up.</summary>
internal sealed class UsageCheck
{
    private readonly PriceBook prices;
    private readonly CostBook costs;
    private readonly Dictionary<string, Contract> contracts;
    private readonly Dictionary<string, long> freeTokens = new(StringComparer.Ordinal);
    private readonly UsageTally tally = new();
    private readonly List<ulong> ids = [];
    private readonly Findings rates = new();
    private readonly Findings costings = new();
    private readonly Findings twice = new();
    private readonly Findings openAndSettled = new();
    private long priced, costed, openHolds;

    public UsageCheck(PriceBook prices, CostBook costs, Declarations declared) =>
        (this.prices, this.costs, contracts) = (prices, costs, declared.Contracts.ToDictionary(c => c.Name, StringComparer.Ordinal));

    public long Records { get; private set; }

    /// <summary>As <see cref="BooksReport"/> says.</summary>
    public long UsageMissing { get; private set; }
    public long UsageDiffers { get; private set; }
    public long PostedRecords { get; private set; }

    /// <summary>Sum of all posted ids as numbers: equal sums and counts on both sides show that the same records are meant, without holding them.</summary>
    public UInt128 PostedIdSum { get; private set; }

    public Dictionary<Currency, Int128> PostedCharges { get; } = [];
    public Dictionary<(PoolName Pool, Currency Currency), Int128> PostedCosts { get; } = [];

    /// <summary>Device nanoseconds of settled records and of open holds.</summary>
    public Dictionary<PoolName, Int128> DeviceTime { get; } = [];

    /// <summary>How many records the store counts and nobody showed.</summary>
    public long Unreached { get; private set; }

    public void Add(UsageRecord record, bool isPosted)
    {
        Add(record);
        if (isPosted) AddPosted(record);
    }

    /// <summary>After the last record.</summary>
    public async Task CompleteAsync(IBookReader store, CancellationToken cancel)
    {
        ImmutableArray<UsageSum> sums = await store.SumUsageAsync(new SumQuery(Period.All, GroupBy.None), cancel).ConfigureAwait(false);
        Unreached = sums.Sum(s => s.Requests) - Records;
        foreach (OpenHold open in await store.ReadOpenHoldsAsync(cancel).ConfigureAwait(false))
            await AddOpenAsync(store, open, cancel).ConfigureAwait(false);
        await FindSettledTwiceAsync(store, cancel).ConfigureAwait(false);
        await tally.CompleteAsync(store, cancel).ConfigureAwait(false);
    }

    public IEnumerable<Identity> Identities()
    {
        yield return new Identity("charges re-rate", "", "records with a charge", priced, "of them equal to their tokens at the price version used", priced - rates.Count, IdentityUnit.Of("records"), rates.Texts);
        ImmutableArray<string> over = [.. freeTokens.Where(f => f.Value > (contracts.GetValueOrDefault(f.Key)?.Free?.Tokens ?? 0)).Select(f => $"Contract {f.Key} gave {f.Value} free tokens.")];
        yield return new Identity("no free quota is exceeded", "", "contracts that gave free tokens", freeTokens.Count, "of them that gave no more than agreed", freeTokens.Count - over.Length, IdentityUnit.Of("contracts"), over);
        yield return new Identity("costs re-derive", "", "records with a cost", costed, "of them equal to their device time at the pool rate used, or to what upstreams ask", costed - costings.Count, IdentityUnit.Of("records"), costings.Texts);
        yield return new Identity("no request is settled twice", "", "usage records", Records, "of them with an id of their own", Records - twice.Count, IdentityUnit.Of("records"), twice.Texts);
        yield return new Identity("no hold is both open and settled", "", "open holds", openHolds, "of them without a usage record", openHolds - openAndSettled.Count, IdentityUnit.Of("holds"), openAndSettled.Texts);
        yield return tally.Identity();
    }

    internal static UInt128 Number(RequestId id)
    {
        Span<byte> bytes = stackalloc byte[16];
        id.Value.TryWriteBytes(bytes, bigEndian: true, out _);
        return new UInt128(System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(bytes), System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]));
    }

    private void Add(UsageRecord record)
    {
        Records++;
        if (record.IsUsageMissing || record.Upstream is { State: UsageCheckState.Missing } && record.Tokens != default) UsageMissing++;
        if (record.Upstream is { State: UsageCheckState.Differs }) UsageDiffers++;
        tally.Add(record);
        ids.Add(Short(record.Id));
        DeviceTime[record.Pool] = DeviceTime.GetValueOrDefault(record.Pool) + record.Device.TotalNanoseconds;
        if (record.Charge is not null || record.Price is not null) Rerate(record);
        if (record.Cost is not null || record.PoolRate is not null || record.Upstream is not null) Recost(record);
    }

    private void AddPosted(UsageRecord record)
    {
        PostedRecords++;
        PostedIdSum = unchecked(PostedIdSum + Number(record.Id));
        if (record.Charge is { } charge) PostedCharges[charge.Currency] = PostedCharges.GetValueOrDefault(charge.Currency) + charge.Picos;
        if (record.Cost is { } cost) PostedCosts[(record.Pool, cost.Currency)] = PostedCosts.GetValueOrDefault((record.Pool, cost.Currency)) + cost.Picos;
    }

    private void Rerate(UsageRecord record)
    {
        priced++;
        PriceVersion? version = record.Price is { } id ? prices.Get(id) : null;
        if (version is null) rates.Add($"Request {record.Id} has a charge of {record.Charge} and no price version that is known.");
        else if (ChargeOf(version, record) is var charge && charge != record.Charge)
            rates.Add($"Request {record.Id} was charged {record.Charge}; its tokens at price version {version.Id} make {charge}.");
    }

    /// <summary>The charge made again: at the price list, or as its basis and the contract named there say. Null: they contradict each other.</summary>
    private Money? ChargeOf(PriceVersion version, UsageRecord record)
    {
        if (record.Basis is not { } basis) return Rating.Charge(version, record.Rated);
        Contract? contract = basis.Contract is { } name ? contracts.GetValueOrDefault(name) : null;
        if (basis.Contract is not null && contract is null || basis.FreeTokens > 0 && contract?.Free is null) return null;
        if (basis.FreeTokens > 0) freeTokens[contract!.Name] = freeTokens.GetValueOrDefault(contract.Name) + basis.FreeTokens;
        ChargeBasis? made = contract?.Transfer is null
            ? ContractRating.Rate(version, contract, record.Rated, basis.FreeTokens)
            : ContractRating.Transfer(version, contract, record.Rated, record.Cost);
        return made is not null && made == basis ? made.Charge : null;
    }

    private void Recost(UsageRecord record)
    {
        costed++;
        if (record.Upstream is { } use)
        {
            if (use.Cost != record.Cost) costings.Add($"Request {record.Id} was costed at {record.Cost}; what it bought from upstreams makes {use.Cost}.");
            return;
        }
        PoolRate? rate = record.PoolRate is { } id ? costs.Get(id) : null;
        if (rate is null || rate.Pool != record.Pool) costings.Add($"Request {record.Id} costs {record.Cost} and has no rate of pool '{record.Pool}' that is known.");
        else if (CostBook.Cost(rate, record.Device) is var cost && cost != record.Cost)
            costings.Add($"Request {record.Id} was costed at {record.Cost}; its device time at pool rate {rate.Id} makes {cost}.");
    }

    private async Task AddOpenAsync(IBookReader store, OpenHold open, CancellationToken cancel)
    {
        openHolds++;
        if (WorkInProgress.PoolOf(costs, open.Hold) is { } pool)
            DeviceTime[pool] = DeviceTime.GetValueOrDefault(pool) + open.Progress.Device.TotalNanoseconds;
        if (!(await store.ReadUsageAsync(new UsageQuery(Period.All, Id: open.Hold.Id, Limit: 1), cancel).ConfigureAwait(false)).IsEmpty)
            openAndSettled.Add($"Request {open.Hold.Id} has a usage record and still holds {open.Hold.Amount}.");
    }

    /// <summary>Of each id eight bytes were kept. Where two are equal, another pass over the records looks at the whole ids.</summary>
    private async Task FindSettledTwiceAsync(IBookReader store, CancellationToken cancel)
    {
        ids.Sort();
        HashSet<ulong> suspicious = [];
        for (int index = 1; index < ids.Count; index++)
            if (ids[index] == ids[index - 1]) suspicious.Add(ids[index]);
        ids.Clear();
        if (suspicious.Count == 0) return;
        HashSet<RequestId> seen = [];
        await foreach (UsageRecord record in store.StreamUsageAsync(new UsageQuery(Period.All), cancel).ConfigureAwait(false))
        {
            if (suspicious.Contains(Short(record.Id)) && !seen.Add(record.Id)) twice.Add($"Request {record.Id} is settled twice.");
        }
    }

    private static ulong Short(RequestId id)
    {
        UInt128 number = Number(id);
        return unchecked((ulong)number + 0x9E37_79B9_7F4A_7C15 * (ulong)(number >> 64));
    }
}
