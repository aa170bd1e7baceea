namespace Qanat.Books;

/// <summary>What a cost is for.</summary>
public enum CostNature { Depreciation, Energy, Hosting, Maintenance, Rent, Staff, Upstream, Other }

/// <summary>A cost of a pool for a stretch of time, spread evenly over it.</summary>
/// <param name="MarginalPermille">The part that would not arise without use; 1000 for what an upstream asks by use.</param>
public sealed record Bill(string Name, PoolName Pool, CostNature Nature, Money Amount, Period Period, int MarginalPermille)
{
    /// <summary>What has accrued up to an instant; rounded down, and exact at the end.</summary>
    public Money Until(Instant at)
    {
        Instant end = at < Period.To ? at : Period.To;
        return end <= Period.From ? Money.Zero(Amount.Currency)
            : new Money(Allocation.FloorOfProduct(Amount.Picos, end.UnixNanoseconds - Period.From.UnixNanoseconds, Period.To.UnixNanoseconds - Period.From.UnixNanoseconds), Amount.Currency);
    }

    internal static Bill Read(FactLine line)
    {
        CostNature nature = line.Need("for", ReadNature);
        return new Bill(line.Word(1, "The bill's name"), line.Need("pool", p => new PoolName(p)), nature, line.Money("amount", line.Currency()), ReadPeriod(line),
            line.Find("marginal", FactValue.Permille) ?? (nature == CostNature.Upstream ? 1000 : 0));
    }

    /// <summary>A part of someone's pay that a pool bears.</summary>
    internal static Bill ReadStaff(FactLine line)
    {
        Money pay = line.Money("amount", line.Currency());
        int permille = line.Need("share", FactValue.Permille);
        if (permille > 1000) throw line.Wrong("share: at most 100%.");
        Money share = Allocation.Part(pay, permille, 1000L - permille);
        return new Bill(line.Word(1, "The staff share's name"), line.Need("pool", p => new PoolName(p)), CostNature.Staff, share, ReadPeriod(line), 0);
    }

    internal static Period ReadPeriod(FactLine line)
    {
        var period = new Period(line.Time("from"), line.Time("to"));
        return period.From < period.To ? period : throw line.Wrong("'to' must be after 'from'.");
    }

    private static CostNature ReadNature(string text) => text switch
    {
        "hosting" => CostNature.Hosting,
        "maintenance" => CostNature.Maintenance,
        "rent" => CostNature.Rent,
        "upstream" => CostNature.Upstream,
        "energy" => CostNature.Energy,
        "other" => CostNature.Other,
        _ => throw new FormatException($"'{text}' is not a nature of a bill: write hosting, maintenance, rent, upstream, energy or other."),
    };
}

/// <summary>What a kilowatt hour costs at the meter, and how many the site draws for one that a machine uses (PUE, power usage effectiveness), from an instant on.</summary>
public sealed record Tariff(string Name, Instant From, Money PerKilowattHour, int PuePermille)
{
    internal static Tariff Read(FactLine line) => new(line.Word(1, "The tariff's name"), line.Time("from"), line.Money("kwh", line.Currency()), line.Find("pue", FactValue.Permille) ?? 1000);
}

/// <summary>What a pool draws while it runs, and what it draws besides while it is busy, from an instant on.</summary>
public sealed record PowerProfile(string Name, PoolName Pool, Instant From, long IdleMilliwatts, long BusyMilliwatts)
{
    internal static PowerProfile Read(FactLine line) => new(line.Word(1, "The power profile's name"), line.Need("pool", p => new PoolName(p)), line.Time("from"), Milliwatts(line, "idle-watts"), Milliwatts(line, "busy-watts"));

    private static long Milliwatts(FactLine line, string keyword) => (long)(line.Need(keyword, text => Money.Parse(text, Currency.Usd)).Picos / (Money.PicosPerUnit / 1000));
}

/// <summary>Energy a meter showed for a pool over a stretch of time: it stands in for the power profile there, spread evenly.</summary>
public sealed record EnergyReading(string Name, PoolName Pool, Period Period, Int128 MilliwattNanoseconds)
{
    /// <summary>1 kWh = 3.6 x 10^18 mW ns.</summary>
    public static readonly Int128 PerKilowattHour = (Int128)3_600_000_000_000 * 1_000_000;

    internal static EnergyReading Read(FactLine line) => new(line.Word(1, "The reading's name"), line.Need("pool", p => new PoolName(p)), Bill.ReadPeriod(line),
        line.Need("kwh", text => Money.Parse(text, Currency.Usd)).Picos * (PerKilowattHour / Money.PicosPerUnit));
}
