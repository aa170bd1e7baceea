using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Qanat.Books;

/// <summary>Everything before an instant is closed: from then on nothing is dated there. Digest: of the trial balance at that instant, so that a later change is found.</summary>
public sealed record PeriodClosed(string Name, Instant Through, string Digest)
{
    internal static PeriodClosed Read(FactLine line)
    {
        Instant through = line.Time("through");
        if (through.HourStart != through) throw line.Wrong("through: a period ends at a full hour.");
        return new PeriodClosed(line.Word(1, "The period's name"), through, line.Need("digest"));
    }

    internal string ToText() => $"close {Name} through {FactValue.Text(Through)} digest {Digest}";

    /// <summary>SHA-256 over every account's balance.</summary>
    internal static string DigestOf(TrialBalance trial)
    {
        var text = new StringBuilder();
        foreach (AccountBalance balance in trial.Accounts.Where(a => !a.Amount.IsZero))
            text.Append(CultureInfo.InvariantCulture, $"{balance.Account} {balance.Amount}\n");
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())));
    }
}

/// <summary>What someone outside the books knows an account to stand at, itself and all below it: a bank statement, a stocktake.</summary>
public sealed record BalanceAssertion(string Name, Account Account, Instant At, Money Balance)
{
    internal static BalanceAssertion Read(FactLine line) => new(line.Word(1, "The assertion's name"), line.Need("account", path => new Account(path)), line.Time("at"), line.Money("balance", line.Currency()));
}

/// <summary>Money of one currency was exchanged for that of another.</summary>
public sealed record Exchange(string Name, Instant At, Money Sold, Money Bought)
{
    internal IEnumerable<Due> Dues()
    {
        Account account = Accounts.CurrencyExchange.Below(Name);
        yield return new Due("exchange", $"{Sold} for {Bought}", account, Accounts.Cash, Dimensions.None, Sold);
        yield return new Due("exchange", $"{Sold} for {Bought}", account, Accounts.Cash, Dimensions.None, -Bought);
    }

    internal static Exchange Read(FactLine line) => new(line.Word(1, "The exchange's name"), line.Time("at"),
        line.Money("sell", line.Need("sell-currency", c => new Currency(c))), line.Money("buy", line.Need("buy-currency", c => new Currency(c))));
}
