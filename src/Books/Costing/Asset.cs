namespace Qanat.Books;

public enum DepreciationMethod { StraightLine, UnitsOfProduction }

/// <summary>Something bought and used over years, or a component of it with a life of its own.</summary>
/// <param name="EndOfLife">Straight-line: when the residual is reached. Units of production: the end of time.</param>
/// <param name="LifeHours">Units of production: hours of device time after which the residual is reached; otherwise 0.</param>
/// <param name="PartOf">The asset it is a component of.</param>
public sealed record Asset(string Name, PoolName Pool, Money Price, Money Residual, Instant InService, DepreciationMethod Method, Instant EndOfLife, long LifeHours, string? PartOf)
{
    internal static Asset Read(FactLine line)
    {
        string name = line.Word(1, "The asset's name");
        Currency currency = line.Currency();
        Instant inService = line.Time("in-service");
        Money price = line.Money("price", currency), residual = line.FindMoney("residual", currency) ?? Money.Zero(currency);
        if (price.IsNegative || residual.IsNegative || residual > price) throw line.Wrong("The residual must lie between zero and the price.");
        long hours = line.Find("life-hours", FactValue.Count) ?? 0;
        Instant end = hours > 0 ? Period.All.To : line.Need("life", span => FactValue.After(inService, span));
        if (end <= inService) throw line.Wrong("The life must be longer than nothing.");
        return new Asset(name, line.Need("pool", p => new PoolName(p)), price, residual, inService, hours > 0 ? DepreciationMethod.UnitsOfProduction : DepreciationMethod.StraightLine, end, hours, line.Find("part-of"));
    }
}

/// <summary>A new estimate of an asset's life or residual. What is not yet depreciated is spread over what is left from here; the past stays as it is.</summary>
public sealed record AssetRevised(string Asset, Instant At, Instant? EndOfLife, long? LifeHours, Money? Residual) : IUnnamed
{
    internal static AssetRevised Read(FactLine line) => new(line.Word(1, "The asset's name"), line.Time("at"), line.FindTime("ends"), line.Find("life-hours", FactValue.Count), line.FindMoney("residual", line.Currency()));
}

/// <summary>An asset leaves service: what is not depreciated is written off, less what it was sold for.</summary>
public sealed record AssetRetired(string Asset, Instant At, Money Proceeds)
{
    internal static AssetRetired Read(FactLine line)
    {
        Currency currency = line.Currency();
        return new(line.Word(1, "The asset's name"), line.Time("at"), line.FindMoney("proceeds", currency) ?? Money.Zero(currency));
    }
}
