namespace Qanat.Outlook;

/// <summary>Tokens of one kind sold in a period and what a million of them brings.</summary>
public sealed record TokenSales(string Kind, double Tokens, double PricePerMillion)
{
    public double Income => Tokens / 1e6 * PricePerMillion;
}

/// <summary>A margin always says what it is a share of.</summary>
public readonly record struct ServingMargins(double OfCost, double OfRevenue);

/// <summary>The cost of serving from rented or owned nodes, as operators publish it: nodes x accelerators x hours x rent.</summary>
public static class ServingCost
{
    public static double Cost(double nodes, int acceleratorsPerNode, double hours, double rentPerAcceleratorHour) => nodes * acceleratorsPerNode * hours * rentPerAcceleratorHour;

    public static double Income(IEnumerable<TokenSales> sales) => sales.Sum(s => s.Income);

    public static ServingMargins Margins(double income, double cost) => new((income - cost) / cost, (income - cost) / income);

    /// <summary>Hours of one node that tokens take at a rate in tokens a second.</summary>
    public static double NodeHours(double tokens, double tokensPerSecond) => tokens / tokensPerSecond / 3600;

    /// <summary>The margin of who rents, from the margin of who owns and the lessor's own: the lessor's income is the renter's cost, so 1 - own = (1 - rent)(1 - lessor).</summary>
    public static double RentedMargin(double ownedMargin, double lessorMargin) => 1 - (1 - ownedMargin) / (1 - lessorMargin);
}
