using System.Collections.Immutable;
using Qanat.Gateway;
using Qanat.Outlook;

namespace Qanat.Console;

/// <summary>Companies and investments as the outlook pages read them: what comes with Qanat and what lies in the folder of this server. Texts are read anew each time a page is opened.</summary>
public sealed class OutlookDesk(ConsoleOptions options, BooksPoster poster)
{
    private OutlookData Data => options.OutlookFolder is { } folder ? OutlookData.BuiltInAnd(folder) : OutlookData.BuiltIn;

    public ImmutableArray<string> Companies => Data.Companies;
    public ImmutableArray<string> Investments => [.. Data.Names(InvestmentEnding).Select(name => name[..^InvestmentEnding.Length]).Order(StringComparer.Ordinal)];

    private const string InvestmentEnding = ".invest";

    /// <summary>Null: no company is called that.</summary>
    /// <exception cref="OutlookDataException">The company's texts have faults; each is named with its line.</exception>
    public OutlookSession? Open(string company) => Companies.Contains(company, StringComparer.Ordinal) ? OutlookSession.Open(CompanyBook.Read(Data, company)) : null;

    /// <summary>Null: no investment is called that.</summary>
    /// <exception cref="OutlookDataException">The text has faults; each is named with its line.</exception>
    public async Task<Investment?> ReadAsync(string name, CancellationToken cancel)
    {
        if (!Investments.Contains(name, StringComparer.Ordinal)) return null;
        Investment investment = InvestmentText.Read(Data.Read(name + InvestmentEnding), name + InvestmentEnding);
        ImmutableArray<ActualCashFlow> closed = investment.Books is null ? [] : await poster.PostThenAsync(store => ActualCashFlow.ReadAsync(store, investment, cancel), cancel);
        return investment with { Actuals = [.. closed.Concat(investment.Actuals.Where(own => closed.All(month => month.Month != own.Month))).OrderBy(month => month.Month)] };
    }
}
