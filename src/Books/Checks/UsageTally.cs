using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>Adds usage up by day, tenant, model and pool, record by record, and compares that with the sums the store keeps.</summary>
internal sealed class UsageTally
{
    private const GroupBy Groups = GroupBy.Tenant | GroupBy.Model | GroupBy.Pool | GroupBy.Day;
    private readonly Dictionary<Key, Figures> made = [];
    private readonly Findings differing = new();
    private long groups;
    private Key lastKey;
    private Figures? last;

    public void Add(UsageRecord record)
    {
        var key = new Key(record.CompletedAt.DayStart, record.Party.Tenant, record.Model, record.Pool);
        // Records come posting by posting: mostly the group is the one before.
        if (last is null || key != lastKey)
        {
            if (!made.TryGetValue(key, out last)) made[key] = last = new Figures();
            lastKey = key;
        }
        last.Requests++;
        if (record.Charge is null) last.Unpriced++;
        if (record.Cost is null) last.Uncosted++;
        last.Tokens += record.Tokens;
        last.Device += record.Device;
        if (record.Charge is { } charge) last.Charges[charge.Currency] = last.Charges.GetValueOrDefault(charge.Currency) + charge.Picos;
        if (record.Cost is { } cost) last.Costs[cost.Currency] = last.Costs.GetValueOrDefault(cost.Currency) + cost.Picos;
    }

    /// <summary>After the last record.</summary>
    public async Task CompleteAsync(IBookReader store, CancellationToken cancel)
    {
        foreach (UsageSum sum in await store.SumUsageAsync(new SumQuery(Period.All, Groups), cancel).ConfigureAwait(false))
        {
            var key = new Key(sum.Key.Start!.Value, sum.Key.Tenant!.Value, sum.Key.Model!.Value, sum.Key.Pool!.Value);
            if (made.TryGetValue(key, out Figures? figures)) figures.Subtract(sum);
            else differing.Add($"The store sums usage of {key}, of which there is no record.");
        }
        groups = made.Count + differing.Count;
        foreach ((Key key, Figures figures) in made.Where(group => !group.Value.AreZero))
            differing.Add($"The records of {key} make other sums than the store keeps; the difference is {figures}.");
        made.Clear();
    }

    public Identity Identity() => new("daily sums are the records'", "", "sums of usage by day, tenant, model and pool", groups, "of them equal to their records added up", groups - differing.Count, IdentityUnit.Of("sums"), differing.Texts);

    private readonly record struct Key(Instant Day, TenantId Tenant, ModelName Model, PoolName Pool)
    {
        public override string ToString() => $"{Tenant} on {Model} and '{Pool}' from {Day}";
    }

    private sealed class Figures
    {
        public long Requests, Unpriced, Uncosted;
        public TokenCounts Tokens;
        public DeviceTime Device;
        public Dictionary<Currency, Int128> Charges { get; } = [];
        public Dictionary<Currency, Int128> Costs { get; } = [];

        public bool AreZero => (Requests, Unpriced, Uncosted, Tokens, Device) == default && Charges.Values.All(c => c == 0) && Costs.Values.All(c => c == 0);

        public void Subtract(UsageSum sum)
        {
            Requests -= sum.Requests;
            Unpriced -= sum.Unpriced;
            Uncosted -= sum.Uncosted;
            Tokens = new TokenCounts(Tokens.Input - sum.Tokens.Input, Tokens.CacheRead - sum.Tokens.CacheRead, Tokens.CacheWrite - sum.Tokens.CacheWrite, Tokens.Output - sum.Tokens.Output, Tokens.Reasoning - sum.Tokens.Reasoning);
            Device = new DeviceTime(Device.PrefillNanoseconds - sum.Device.PrefillNanoseconds, Device.DecodeNanoseconds - sum.Device.DecodeNanoseconds);
            Charges[sum.Charge.Currency] = Charges.GetValueOrDefault(sum.Charge.Currency) - sum.Charge.Picos;
            Costs[sum.Cost.Currency] = Costs.GetValueOrDefault(sum.Cost.Currency) - sum.Cost.Picos;
        }

        public override string ToString() => $"{Requests} requests, {Tokens.Input} input and {Tokens.Output} output tokens, {string.Join(", ", Charges.Select(c => new Money(c.Value, c.Key)))} charged, {string.Join(", ", Costs.Select(c => new Money(c.Value, c.Key)))} cost";
    }
}
