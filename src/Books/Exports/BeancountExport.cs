using System.Globalization;
using System.Text;

namespace Qanat.Books;

/// <summary>Writes the journal in beancount's format, with an assertion of every balance at its end, so that an independent checker recomputes them with no tolerance.</summary>
public static class BeancountExport
{
    /// <summary>Writes the whole journal. The same journal always gives the same text; lines end with LF.</summary>
    /// <returns>The number of transactions written.</returns>
    public static async Task<long> WriteAsync(IBookReader store, TextWriter writer, CancellationToken cancel = default)
    {
        TrialBalance trial = await Statements.TrialBalanceAsync(store, Period.All.To, cancel).ConfigureAwait(false);
        var text = new StringBuilder("; Qanat journal. Amounts are exact; dates are UTC. Check with: bean-check FILE\n\n");
        foreach (Account account in trial.Accounts.Select(a => a.Account).Distinct())
            text.Append(CultureInfo.InvariantCulture, $"1970-01-01 open {NameOf(account)}\n");

        long count = 0;
        Instant last = new(0);
        await foreach (Transaction transaction in store.StreamJournalAsync(new JournalQuery(Period.All), cancel).ConfigureAwait(false))
        {
            Append(text, transaction);
            last = transaction.At;
            count++;
            await writer.WriteAsync(text, cancel).ConfigureAwait(false);
            text.Clear();
        }
        // A balance holds at the beginning of its day: the day after the last transaction.
        string after = last.ToDateTimeOffset().AddDays(1).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        foreach (AccountBalance line in trial.Accounts)
        {
            // Beancount's balance of an account is its own and that of all accounts below it.
            Money whole = trial.Accounts.Where(a => a.Amount.Currency == line.Amount.Currency && a.Account.IsUnder(line.Account)).Aggregate(Money.Zero(line.Amount.Currency), (sum, a) => sum + a.Amount);
            text.Append(CultureInfo.InvariantCulture, $"\n{after} balance {NameOf(line.Account)}  {whole.ToRoundedText(12)} ~ 0 {line.Amount.Currency}");
        }
        await writer.WriteAsync(text.Append('\n'), cancel).ConfigureAwait(false);
        await writer.FlushAsync(cancel).ConfigureAwait(false);
        return count;
    }

    /// <summary>An account in beancount's spelling: five roots, parts that begin with a capital or a digit. Different accounts always have different names.</summary>
    public static string NameOf(Account account)
    {
        string[] parts = account.Path.Split(':');
        string root = Accounts.KindOf(account) switch
        {
            AccountKind.Asset => "Assets",
            AccountKind.Liability => "Liabilities",
            AccountKind.Equity => "Equity",
            AccountKind.Revenue => "Income",
            _ => "Expenses",
        };
        IEnumerable<string> below = string.Equals(parts[0], "cost of revenue", StringComparison.Ordinal) ? parts : parts.Skip(1);
        return string.Join(':', below.Select(PartOf).Prepend(root));
    }

    private static string PartOf(string part)
    {
        var name = new StringBuilder(part.Length);
        foreach (char c in part)
        {
            if (char.IsAsciiLetterOrDigit(c)) name.Append(c);
            else if (c == ' ') name.Append('-');
            else name.Append(CultureInfo.InvariantCulture, $"-X{(int)c:X2}");
        }
        // Beancount asks for a capital: a small letter becomes one, and what begins otherwise is marked.
        if (char.IsAsciiLetterLower(name[0])) name[0] = char.ToUpperInvariant(name[0]);
        else name.Insert(0, '0');
        return name.ToString();
    }

    private static void Append(StringBuilder text, Transaction transaction)
    {
        text.Append(CultureInfo.InvariantCulture, $"\n{transaction.At.ToDateTimeOffset():yyyy-MM-dd} * \"{Clean(transaction.Template)}\" \"{Clean(transaction.Memo)}\"\n");
        text.Append(CultureInfo.InvariantCulture, $"  id: \"{transaction.Id}\"\n");
        foreach (Entry entry in transaction.Entries)
        {
            text.Append(CultureInfo.InvariantCulture, $"  {NameOf(entry.Account)}  {entry.Amount.ToRoundedText(12)} {entry.Amount.Currency}\n");
            Tag("tenant", entry.Dimensions.Tenant?.ToString());
            Tag("project", entry.Dimensions.Project?.ToString());
            Tag("model", entry.Dimensions.Model?.ToString());
            Tag("deployment", entry.Dimensions.Deployment?.ToString());
            Tag("pool", entry.Dimensions.Pool?.ToString());
        }

        void Tag(string name, string? value)
        {
            if (value is not null) text.Append(CultureInfo.InvariantCulture, $"    {name}: \"{Clean(value)}\"\n");
        }
    }

    private static string Clean(string text)
    {
        var clean = new StringBuilder(text.Length);
        foreach (char c in text)
            clean.Append(c is '"' or '\\' || char.IsControl(c) ? ' ' : c);
        return clean.ToString();
    }
}
