namespace Qanat.Books;

/// <summary>What a statement may refer to: the asset it revises, the invoice it pays, the price it re-rates at must be there.</summary>
public static class DeclarationRules
{
    /// <summary>Why a statement cannot be declared beside what is declared already; null: it can.</summary>
    /// <exception cref="FactFormatException">The statement is not understood.</exception>
    public static string? Problem(FactLine line, Declarations declared, PriceBook prices)
    {
        ArgumentNullException.ThrowIfNull(line);
        ArgumentNullException.ThrowIfNull(declared);
        ArgumentNullException.ThrowIfNull(prices);
        // A reader of its own: a statement remembers which of its words were read.
        FactLine read = FactLine.Read(line.Text);
        string name = read.Word(1, "The name");
        return read.Verb switch
        {
            "asset-revised" or "asset-retired" when declared.Assets.All(a => a.Name != name) => $"There is no asset '{name}'.",
            "asset" when read.Find("part-of") is { } whole && declared.Assets.All(a => a.Name != whole) => $"There is no asset '{whole}' that it could be a part of: declare that first.",
            "invoice-void" when declared.Invoices.All(i => i.Number != name) => $"There is no final invoice '{name}'.",
            "credit-note" or "payment" when read.Find("invoice") is { } number => InvoiceProblem(number, read, declared),
            "rerate" when read.Find("price") is { } price and not "own" && Guid.TryParse(price, out Guid id) && prices.Get(new PriceVersionId(id)) is null => $"There is no price version {price}.",
            "reservation" when read.Find("price") is { } price && Guid.TryParse(price, out Guid id) && prices.Get(new PriceVersionId(id)) is null => $"There is no price version {price}.",
            "model-retired" when declared.TrainingRuns.All(r => r.Model.Value != name) => $"No training run made a model '{name}'.",
            _ => null,
        };
    }

    private static string? InvoiceProblem(string number, FactLine line, Declarations declared)
    {
        if (declared.Invoices.FirstOrDefault(i => i.Number == number) is not { } invoice) return $"There is no final invoice '{number}'.";
        Currency currency = line.Currency();
        if (currency != invoice.Total.Currency) return $"Invoice {number} is in {invoice.Total.Currency}, not in {currency}.";
        return line.Verb == "credit-note" && declared.IsVoid(number) ? $"Invoice {number} is void: nothing of it is left to credit." : null;
    }
}
