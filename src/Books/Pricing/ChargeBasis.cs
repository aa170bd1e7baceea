using System.Globalization;
using System.Text;

namespace Qanat.Books;

/// <summary>What a charge was made from besides tokens and price version: charge = list - discount - free. Kept with the usage record, so that the charge can be made again from it alone.</summary>
/// <param name="List">At the price version, before contract.</param>
/// <param name="FreeTokens">Tokens taken from the contract's free quota.</param> <param name="Free">What they would have cost.</param>
/// <param name="Contract">The contract's name. Null: none.</param>
public sealed record ChargeBasis(CacheMode Cache, Money List, Money Discount, long FreeTokens, Money Free, string? Contract)
{
    public Money Charge => List - Discount - Free;

    /// <summary>Reads "list 12.5 discount 1.25 free-tokens 100 free 0.3 cache explicit contract acme-2026".</summary>
    /// <exception cref="FormatException">A word is unknown or not an amount.</exception>
    public static ChargeBasis Parse(string text, Currency currency)
    {
        FactLine line = FactLine.Read("basis " + text);
        Money Amount(string keyword) => line.FindMoney(keyword, currency) ?? Money.Zero(currency);
        var basis = new ChargeBasis(line.Find("cache") == "explicit" ? CacheMode.Explicit : CacheMode.Implicit, line.Money("list", currency), Amount("discount"),
            line.Find("free-tokens", FactValue.Count) ?? 0, Amount("free"), line.Find("contract"));
        line.EnsureAllUsed();
        return basis;
    }

    /// <summary>The text that <see cref="Parse"/> reads.</summary>
    public override string ToString()
    {
        var text = new StringBuilder("list ").Append(List.ToDecimalText());
        if (!Discount.IsZero) text.Append(" discount ").Append(Discount.ToDecimalText());
        if (FreeTokens != 0) text.Append(CultureInfo.InvariantCulture, $" free-tokens {FreeTokens}");
        if (!Free.IsZero) text.Append(" free ").Append(Free.ToDecimalText());
        if (Cache == CacheMode.Explicit) text.Append(" cache explicit");
        if (Contract is not null) text.Append(" contract ").Append(FactLine.Quote(Contract));
        return text.ToString();
    }
}
