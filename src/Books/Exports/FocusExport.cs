using System.Collections.Immutable;
using System.Globalization;

namespace Qanat.Books;

/// <summary>Who the rows of a FOCUS file say provides, hosts and bills.</summary>
public sealed record FocusParties(string ServiceProvider, string HostProvider, string InvoiceIssuer);

/// <summary>Cost and usage in the FinOps Open Cost and Usage Specification (FOCUS) 1.4: what a pool cost, split over what used it, with the columns for split costs; unused capacity is a row of its own.</summary>
/// <remarks>ListCost and ContractedCost are what the tenant is charged at list price and under its contract; BilledCost is what it owes; EffectiveCost is what the device time cost the operator, so
/// that the effective costs of a pool's rows sum to the pool. x_ columns carry what FOCUS has no column for. Columns are in the order of the specification.</remarks>
public static class FocusExport
{
    public const string Version = "1.4";

    private const string Method = "time-driven-abc";

    public static readonly ImmutableArray<string> Columns =
    [
        "AllocatedMethodDetails", "AllocatedMethodId", "AllocatedResourceId", "AllocatedResourceName", "AllocatedTags", "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency",
        "BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost",
        "EffectiveCost", "HostProviderName", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit", "ResourceId", "ResourceName", "ResourceType", "ServiceCategory", "ServiceName", "ServiceProviderName",
        "ServiceSubcategory", "SubAccountId", "SubAccountType", "Tags", "x_DeviceNanoseconds", "x_InputTokens", "x_OutputTokens", "x_Unpriced", "x_Uncosted",
    ];

    /// <summary>One row for each day, tenant, project, model and pool, and one for each day's unused capacity of a pool. Use a period of whole days.</summary>
    /// <returns>The number of rows.</returns>
    public static async Task<long> WriteAsync(IBookReader store, TextWriter writer, Period period, FocusParties parties, CancellationToken cancel = default)
    {
        await CsvExport.WriteAsync(writer, Csv.Line(Columns), cancel).ConfigureAwait(false);
        long rows = 0;
        var names = (await store.ReadDirectoryAsync(cancel).ConfigureAwait(false)).Tenants.ToDictionary(t => t.Id, t => t.Name);
        var query = new SumQuery(period, GroupBy.Day | GroupBy.Tenant | GroupBy.Project | GroupBy.Model | GroupBy.Pool);
        ImmutableArray<EntrySum> entries = await store.SumEntriesAsync(query, cancel).ConfigureAwait(false);
        var busy = (await store.SumUsageAsync(new SumQuery(period, GroupBy.Day | GroupBy.Pool), cancel).ConfigureAwait(false)).GroupBy(s => (s.Key.Start, s.Key.Pool)).ToDictionary(g => g.Key, g => g.Sum(s => s.Device.TotalNanoseconds));
        foreach (UsageSum usage in (await store.SumUsageAsync(query, cancel).ConfigureAwait(false)).OrderBy(s => s.Key, GroupKeyOrder.Instance))
        {
            EntrySum[] own = [.. entries.Where(e => e.Key == usage.Key)];
            foreach (Currency currency in own.Select(e => e.Amount.Currency).Append(usage.Charge.Currency).Distinct().OrderBy(c => c.Code, StringComparer.Ordinal))
            {
                await CsvExport.WriteAsync(writer, Line(UsageRow(usage, own, currency, busy[(usage.Key.Start, usage.Key.Pool)], usage.Key.Tenant is { } t ? names.GetValueOrDefault(t) : null), period, parties, usage.Key.Start!.Value), cancel).ConfigureAwait(false);
                rows++;
            }
        }
        foreach (EntrySum sum in entries.Where(e => e.Account.IsUnder(Accounts.UnusedCapacity)).OrderBy(e => e.Key, GroupKeyOrder.Instance))
        {
            await CsvExport.WriteAsync(writer, Line(UnusedRow(sum, parties), period, parties, sum.Key.Start!.Value), cancel).ConfigureAwait(false);
            rows++;
        }
        await writer.FlushAsync(cancel).ConfigureAwait(false);
        return rows;
    }

    private static Dictionary<string, string> UsageRow(UsageSum usage, EntrySum[] entries, Currency currency, long busy, string? tenantName)
    {
        Money Sum(Func<Account, bool> belongs) => entries.Where(e => e.Amount.Currency == currency && belongs(e.Account)).Aggregate(Money.Zero(currency), (sum, e) => sum + e.Amount);
        long device = usage.Device.TotalNanoseconds, tokens = usage.Tokens.Input + usage.Tokens.Output;
        return new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["AllocatedMethodDetails"] = device == 0 ? "" : $"{{\"Elements\":[{{\"AllocatedRatio\":{new Ratio(device, busy).ToDecimalText(9)},\"UsageUnit\":\"Nanoseconds\",\"UsageQuantity\":{Number(device)}}}]}}",
            ["AllocatedMethodId"] = device == 0 ? "" : Method,
            ["AllocatedResourceId"] = device == 0 ? "" : $"{usage.Key.Tenant}/{usage.Key.Project}/{usage.Key.Model}",
            ["AllocatedResourceName"] = device == 0 ? "" : Csv.Text(usage.Key.Model?.Value),
            ["BilledCost"] = (-Sum(a => a.IsUnder(Accounts.Revenue))).ToDecimalText(),
            ["BillingAccountId"] = usage.Key.Tenant?.ToString() ?? "",
            ["BillingAccountName"] = Csv.Text(tenantName),
            ["BillingCurrency"] = currency.Code,
            ["ChargeDescription"] = Csv.Text($"{Number(usage.Requests)} requests to {usage.Key.Model}"),
            ["ConsumedQuantity"] = Number(tokens),
            ["ConsumedUnit"] = "Tokens",
            ["ContractedCost"] = (-Sum(a => a.IsUnder(Accounts.Revenue))).ToDecimalText(),
            ["EffectiveCost"] = Sum(a => a.IsUnder(Accounts.ComputeCost)).ToDecimalText(),
            ["ListCost"] = (-Sum(a => a == Accounts.UsageRevenue)).ToDecimalText(),
            ["PricingQuantity"] = Number(tokens),
            ["PricingUnit"] = "Tokens",
            ["ResourceId"] = Csv.Text(usage.Key.Pool?.Value),
            ["ResourceName"] = Csv.Text(usage.Key.Pool?.Value),
            ["SubAccountId"] = usage.Key.Project?.ToString() ?? "",
            ["SubAccountType"] = "Project",
            ["x_DeviceNanoseconds"] = Number(device),
            ["x_InputTokens"] = Number(usage.Tokens.Input),
            ["x_OutputTokens"] = Number(usage.Tokens.Output),
            ["x_Unpriced"] = Number(usage.Unpriced),
            ["x_Uncosted"] = Number(usage.Uncosted),
        };
    }

    private static Dictionary<string, string> UnusedRow(EntrySum sum, FocusParties parties) => new(StringComparer.Ordinal)
    {
        ["AllocatedMethodId"] = Method,
        ["AllocatedResourceId"] = "unused",
        ["AllocatedResourceName"] = "Unused capacity",
        ["BilledCost"] = "0",
        ["BillingAccountId"] = parties.InvoiceIssuer,
        ["BillingAccountName"] = parties.InvoiceIssuer,
        ["BillingCurrency"] = sum.Amount.Currency.Code,
        ["ChargeDescription"] = "Unused capacity",
        ["ContractedCost"] = "0",
        ["EffectiveCost"] = sum.Amount.ToDecimalText(),
        ["ListCost"] = "0",
        ["ResourceId"] = Csv.Text(sum.Key.Pool?.Value),
        ["ResourceName"] = Csv.Text(sum.Key.Pool?.Value),
    };

    private static string Line(Dictionary<string, string> row, Period period, FocusParties parties, Instant day)
    {
        row["BillingPeriodStart"] = Time(period.From);
        row["BillingPeriodEnd"] = Time(period.To);
        row["ChargePeriodStart"] = Time(day);
        row["ChargePeriodEnd"] = Time(new Instant(day.UnixNanoseconds + 24 * Instant.NanosecondsPerHour));
        row["BillingAccountType"] = "Tenant";
        row["ChargeCategory"] = "Usage";
        row["ChargeFrequency"] = "Usage-Based";
        row["ResourceType"] = "Pool";
        row["ServiceCategory"] = "AI and Machine Learning";
        row["ServiceSubcategory"] = "Generative AI";
        row["ServiceName"] = "Model inference";
        row["ServiceProviderName"] = Csv.Text(parties.ServiceProvider);
        row["HostProviderName"] = Csv.Text(parties.HostProvider);
        row["InvoiceIssuerName"] = Csv.Text(parties.InvoiceIssuer);
        return Csv.Line(Columns.Select(c => row.GetValueOrDefault(c)));
    }

    private static string Time(Instant at) => at.ToDateTimeOffset().ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);
    private static string Number(long count) => count.ToString(CultureInfo.InvariantCulture);
}
