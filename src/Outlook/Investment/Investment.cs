using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Outlook;

/// <summary>The quantities that decide what an investment earns. Each has a value in every case; a text names those that are not at their default.</summary>
public enum Driver
{
    /// <summary>Units that can be served a month at full utilisation (a unit is what the price is for, such as a million tokens).</summary>
    Capacity,
    /// <summary>Share of the capacity that is sold at first, and after the ramp.</summary>
    UtilisationStart, UtilisationEnd,
    /// <summary>Months from the first utilisation to the last, in a straight line.</summary>
    RampMonths,
    /// <summary>Units asked for a month at first; sales never exceed it.</summary>
    DemandStart,
    /// <summary>A year.</summary>
    DemandGrowth,
    /// <summary>Per unit at list, the share of the list that is realised, and its decline a year.</summary>
    Price, PriceRealised, PriceDecline,
    /// <summary>Per unit sold.</summary>
    UnitCost,
    /// <summary>Electric power at full load, the share of it drawn when idle, the building's overhead factor, the price of a kilowatt-hour and its growth a year.</summary>
    PowerKw, IdleShare, Pue, Tariff, TariffGrowth,
    /// <summary>A month: rent, hosting, staff; and its growth a year.</summary>
    FixedCost, FixedCostGrowth,
    /// <summary>Years from the start until the equipment is taken out.</summary>
    UsefulLife,
    /// <summary>Share of the price that the equipment still brings at the end.</summary>
    Residual,
}

/// <summary>A driver as a text gives it.</summary>
public sealed record DriverSetting(Place Place, Driver Driver, string Label, DriverDistribution Distribution, string Because);

public sealed record Correlation(Place Place, Driver First, Driver Second, double Coefficient);

/// <summary>Equipment bought, or a training run, in one month.</summary>
public enum OutlayKind { Equipment, Training }
public sealed record Outlay(Place Place, OutlayKind Kind, string Label, double Amount, Month Month, string Because);

/// <summary>What Books says about one past month, exactly: cash in, cash out for running, cash out for capital.</summary>
public sealed record ActualCashFlow(Month Month, Money Revenue, Money OperatingCost, Money CapitalSpent)
{
    public static ActualCashFlow Of(AttributedMonth month)
    {
        DateTimeOffset start = month.From.ToDateTimeOffset();
        return new ActualCashFlow(new Month(start.Year, start.Month), month.Revenue, month.OperatingCost, month.Capital);
    }

    /// <summary>The months of an investment that the books have closed.</summary>
    public static async Task<ImmutableArray<ActualCashFlow>> ReadAsync(IBookReader store, Investment investment, CancellationToken cancel = default)
    {
        if (investment.Books is not { } books) return [];
        ImmutableArray<AttributedMonth> months = await AttributedCash.ReadAsync(store, books, investment.Currency, investment.Start.FirstInstant, cancel).ConfigureAwait(false);
        return [.. months.Take(investment.Months).Select(Of)];
    }
}

/// <summary>An investment: what is bought, what decides its earnings, and what has happened so far.</summary>
public sealed record Investment
{
    public required string File { get; init; }
    public required string Key { get; init; }
    public required string Title { get; init; }
    public required Currency Currency { get; init; }
    public required Month Start { get; init; }
    public required int Months { get; init; }
    public required double DiscountRate { get; init; }
    public required double TaxRate { get; init; }
    public required ImmutableArray<Outlay> Outlays { get; init; }
    public required ImmutableArray<DriverSetting> Drivers { get; init; }
    public required ImmutableArray<Correlation> Correlations { get; init; }
    public required ImmutableArray<ActualCashFlow> Actuals { get; init; }
    /// <summary>The pools or models that this investment is in the books; null if the books know nothing of it.</summary>
    public required CashAttribution? Books { get; init; }
    public required ImmutableArray<string> Notes { get; init; }

    public double EquipmentCost => Outlays.Where(o => o.Kind == OutlayKind.Equipment).Sum(o => o.Amount);

    /// <summary>The driver's distribution, or the value that leaves it without effect.</summary>
    public DriverDistribution this[Driver driver] => Drivers.FirstOrDefault(d => d.Driver == driver)?.Distribution ?? new FixedValue(driver switch
    {
        Driver.DemandStart => double.PositiveInfinity,
        Driver.UtilisationStart or Driver.UtilisationEnd or Driver.PriceRealised or Driver.Pue => 1,
        Driver.UsefulLife => Months / 12.0,
        _ => 0,
    });

    /// <summary>The same investment with a driver held at a value.</summary>
    public Investment With(Driver driver, double value) => this with
    {
        Drivers = [.. Drivers.Where(d => d.Driver != driver), new DriverSetting(new Place(File, 0), driver, InvestmentText.NameOf(driver), new FixedValue(value), "")],
        Correlations = [.. Correlations.Where(c => c.First != driver && c.Second != driver)],
    };
}
