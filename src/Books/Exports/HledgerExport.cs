using System.Globalization;
using System.Text;

namespace Qanat.Books;

/// <summary>Writes the journal in hledger's format, so that an independent program can recompute every balance. All 12 decimals, dimensions as tags, oldest first; the same journal always gives the same text.</summary>
public static class HledgerExport
{
    /// <summary>Writes the whole journal, or that of a period. Lines end with LF whatever the writer's own line ending.</summary>
    /// <returns>The number of transactions written.</returns>
    public static async Task<long> WriteAsync(IBookReader store, TextWriter writer, Period? period = null, CancellationToken cancel = default)
    {
        var text = new StringBuilder("; Qanat journal. Amounts are exact; dates are UTC. Check with: hledger -f FILE balance\n\n");
        foreach (ChartLine line in Accounts.Chart)
            text.Append(CultureInfo.InvariantCulture, $"account {line.Account}  ; type:{TypeOf(line)}\n");

        long count = 0;
        var currencies = new HashSet<Currency>();
        await foreach (Transaction transaction in store.StreamJournalAsync(new JournalQuery(period ?? Period.All), cancel).ConfigureAwait(false))
        {
            foreach (Currency currency in transaction.Entries.Select(e => e.Amount.Currency).Distinct())
                if (currencies.Add(currency)) text.Append(CultureInfo.InvariantCulture, $"\ncommodity 1000.000000000000 {currency}\n");
            Append(text, transaction);
            count++;
            await writer.WriteAsync(text, cancel).ConfigureAwait(false);
            text.Clear();
        }
        await writer.WriteAsync(text, cancel).ConfigureAwait(false);
        await writer.FlushAsync(cancel).ConfigureAwait(false);
        return count;
    }

    private static void Append(StringBuilder text, Transaction transaction)
    {
        text.Append(CultureInfo.InvariantCulture, $"\n{transaction.At.ToDateTimeOffset():yyyy-MM-dd} {Clean(transaction.Template)} | {Clean(transaction.Memo)}\n");
        text.Append(CultureInfo.InvariantCulture, $"    ; id:{transaction.Id}, at:{transaction.At.UnixNanoseconds}\n");
        foreach (Entry entry in transaction.Entries)
        {
            text.Append(CultureInfo.InvariantCulture, $"    {entry.Account}  {Fixed(entry.Amount)} {entry.Amount.Currency}");
            AppendTags(text, entry.Dimensions);
            text.Append('\n');
        }
    }

    private static void AppendTags(StringBuilder text, Dimensions dimensions)
    {
        string separator = "  ; ";
        void Tag(string name, string? value)
        {
            if (value is null) return;
            text.Append(separator).Append(name).Append(':').Append(Clean(value));
            separator = ", ";
        }
        Tag("tenant", dimensions.Tenant?.ToString());
        Tag("project", dimensions.Project?.ToString());
        Tag("model", dimensions.Model?.ToString());
        Tag("deployment", dimensions.Deployment?.ToString());
        Tag("pool", dimensions.Pool?.ToString());
    }

    /// <summary>Always 12 decimals, so that hledger infers full precision.</summary>
    private static string Fixed(Money amount) => amount.ToRoundedText(12);

    /// <summary>hledger's own separators inside free text would start a comment, a tag's end or a new line.</summary>
    private static string Clean(string text)
    {
        var clean = new StringBuilder(text.Length);
        foreach (char c in text)
            clean.Append(c is ';' or '|' or ',' || char.IsControl(c) ? ' ' : c);
        return clean.ToString().Trim();
    }

    private static char TypeOf(ChartLine line) => line.Kind switch
    {
        AccountKind.Asset => 'A',
        AccountKind.Liability => 'L',
        AccountKind.Equity => 'E',
        AccountKind.Revenue => 'R',
        _ => 'X',
    };
}
