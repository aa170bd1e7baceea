using System.Text;
using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>The same figures as headers: at the start what is known then, at the end (as headers of a whole answer, as trailers of a stream) the rest.</summary>
internal static class BillHeaders
{
    public const string Charge = "x-qanat-charge";
    public const string Cost = "x-qanat-cost";
    public const string DeviceTime = "x-qanat-device-ns";

    public static void SetStart(HttpResponse response, Bill bill)
    {
        IHeaderDictionary headers = response.Headers;
        string first = bill.Admitted[0].Id.ToString();
        headers["x-qanat-request-id"] = bill.Admitted.Count == 1 ? first : string.Join(", ", bill.Admitted.Select(each => each.Id.ToString()));
        headers["x-request-id"] = first;
        if (bill.Hold is { } hold) headers["x-qanat-hold"] = hold.ToDecimalText();
        if (bill.Rates is { } rates)
        {
            headers["x-qanat-currency"] = rates.Currency.Code;
            headers["x-qanat-price-input-per-million"] = BillJson.PerMillion(rates.InputPerToken);
            headers["x-qanat-price-output-per-million"] = BillJson.PerMillion(rates.OutputPerToken);
        }
        if (bill.Admitted[0].ServedModel is { } served) headers["x-qanat-served-model"] = Sendable(served.Value);
        if (bill.Admitted[0].Attempts > 0) headers["x-qanat-attempts"] = bill.Admitted[0].Attempts.ToString(System.Globalization.CultureInfo.InvariantCulture);
        if (bill.Notice is { } notice) headers["x-qanat-notice"] = Sendable(notice);
    }

    public static void SetEnd(HttpResponse response, Bill bill)
    {
        foreach ((string name, string value) in Figures(bill))
            response.Headers[name] = value;
    }

    /// <summary>Announces the trailers of a stream, where the protocol has them.</summary>
    public static void DeclareTrailers(HttpResponse response)
    {
        if (!response.SupportsTrailers()) return;
        response.DeclareTrailer(Charge);
        response.DeclareTrailer(Cost);
        response.DeclareTrailer(DeviceTime);
    }

    public static void SetTrailers(HttpResponse response, Bill bill)
    {
        if (!response.SupportsTrailers()) return;
        foreach ((string name, string value) in Figures(bill))
            response.AppendTrailer(name, value);
    }

    /// <summary>An amount that is not known is said so: never an empty or zero header.</summary>
    private static IEnumerable<KeyValuePair<string, string>> Figures(Bill bill) =>
    [
        new(Charge, bill.Charge is { } charge ? charge.ToDecimalText() : "unpriced"),
        new(Cost, bill.Cost is { } cost ? cost.ToDecimalText() : "uncosted"),
        new(DeviceTime, bill.DeviceNanoseconds.ToString(System.Globalization.CultureInfo.InvariantCulture)),
    ];

    /// <summary>Header values are printable ASCII: everything else is percent-encoded.</summary>
    internal static string Sendable(string text)
    {
        StringBuilder value = new(text.Length);
        foreach (byte unit in Encoding.UTF8.GetBytes(text))
        {
            if (unit is >= 0x20 and < 0x7F and not (byte)'%') value.Append((char)unit);
            else value.Append('%').Append(unit.ToString("X2", System.Globalization.CultureInfo.InvariantCulture));
        }
        return value.ToString();
    }
}
