using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>Compares the journal with what people declared about it: closed periods, invoices, balance assertions.</summary>
internal static class DeclaredCheck
{
    public static async Task<ImmutableArray<Identity>> RunAsync(IBookReader store, Declarations declared, CancellationToken cancel)
    {
        var identities = ImmutableArray.CreateBuilder<Identity>();
        var changed = new Findings();
        foreach (PeriodClosed closed in declared.Closes)
        {
            if (PeriodClosed.DigestOf(await Statements.TrialBalanceAsync(store, closed.Through, cancel).ConfigureAwait(false)) != closed.Digest)
                changed.Add($"The balances at the end of '{closed.Name}' are not those with which it was closed.");
        }
        identities.Add(new Identity("closed periods are unchanged", "", "closed periods", declared.Closes.Length, "of them with the balances they were closed with", declared.Closes.Length - changed.Count, IdentityUnit.Of("periods"), changed.Texts));
        identities.Add(await InvoiceRegister.CheckAsync(store, declared, cancel).ConfigureAwait(false));
        foreach (BalanceAssertion assertion in declared.BalanceAssertions)
        {
            TrialBalance trial = await Statements.TrialBalanceAsync(store, assertion.At, cancel).ConfigureAwait(false);
            Int128 balance = trial.Accounts.Where(a => a.Account.IsUnder(assertion.Account) && a.Amount.Currency == assertion.Balance.Currency).Aggregate(Int128.Zero, (sum, a) => sum + a.Amount.Picos);
            identities.Add(new Identity("balance assertion", assertion.Name, $"{assertion.Account} in the journal", balance, $"as asserted at {FactValue.Text(assertion.At)}", assertion.Balance.Picos, IdentityUnit.Of(assertion.Balance.Currency), []));
        }
        return identities.ToImmutable();
    }
}
