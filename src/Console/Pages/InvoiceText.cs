using Qanat.Books;

namespace Qanat.Console;

/// <summary>How invoices speak of their periods and lines.</summary>
internal static class InvoiceText
{
    /// <summary>The first day and the last, both included.</summary>
    public static string Days(Period period) => $"{Show.Date(period.From)} – {Show.Date(new Instant(period.To.UnixNanoseconds - 1))}";

    /// <summary>The name of an account as an item: "usage", "discounts" ...</summary>
    public static string Item(InvoiceLine line) => line.Text switch
    {
        "usage" => "Usage",
        "discounts" => "Discount",
        "free quota" => "Free tokens",
        "drawn" => "Paid from credit",
        "commitment" => "Usage below the commitment",
        "re-rated" => "Re-rating of earlier usage",
        _ => line.Text.Length == 0 ? "" : char.ToUpperInvariant(line.Text[0]) + line.Text[1..],
    };
}
