using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>A request to the admin API, and what its path and query say. What cannot be read is refused by its name.</summary>
internal sealed class AdminRequest(HttpContext context, Caller caller)
{
    public CancellationToken Cancel => context.RequestAborted;

    /// <summary>How the audit log names who asks.</summary>
    public string Who => $"{caller.Key.Name} ({caller.Key.Prefix})";

    public Caller Caller => caller;

    /// <summary>The only tenant whose things may be shown or changed; null: any.</summary>
    public TenantId? Only => caller.Only();

    public bool Sees(TenantId tenant) => caller.Sees(tenant);

    /// <summary>The tenant that the query names, or the only one the caller sees; null: all.</summary>
    /// <exception cref="ApiException">404: there is none of that name, or it is not the caller's.</exception>
    public TenantId? Tenant(DirectoryModel directory)
    {
        if (Query("tenant") is not { } name) return Only;
        return directory.FindTenant(name) is { } found && Sees(found.Id) ? found.Id : throw DirectoryNames.Unknown("tenant", name);
    }

    public string Id => (string)context.GetRouteData().Values["id"]!;

    public string? Query(string name)
    {
        string? text = context.Request.Query[name];
        return string.IsNullOrWhiteSpace(text) ? null : text;
    }

    /// <summary>A parameter that may be given several times.</summary>
    public string[] All(string name) => [.. context.Request.Query[name].OfType<string>().Where(text => !string.IsNullOrWhiteSpace(text))];

    /// <exception cref="ApiException">400: not a whole number from 1 to <paramref name="most"/>.</exception>
    public int Limit(int standard, int most) => Query("limit") is not { } text ? standard
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int limit) && limit >= 1 && limit <= most ? limit
        : throw Refusal.Value("limit", $"it must be a whole number from 1 to {most}.");

    /// <summary>from and to; everything up to now without them.</summary>
    public Period Period => new(Time("from") ?? Qanat.Books.Period.All.From, Time("to") ?? Qanat.Books.Period.All.To);

    public Instant? Time(string name) => Query(name) is { } text ? ParseTime(text, name) : null;

    /// <summary>A day or an instant from 1970 to 2261, the years that nanoseconds can count.</summary>
    /// <exception cref="ApiException">400: not such a time.</exception>
    public static Instant ParseTime(string text, string param) =>
        DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out DateTimeOffset time) && time.Year is >= 1970 and < 2262
            ? Instant.From(time)
            : throw Refusal.Value(param, "it must be a time from 1970 to 2261, such as 2026-11-22 or 2026-11-22T08:00:00Z.");

    /// <exception cref="ApiException">400: not an id.</exception>
    public static Guid ParseId(string text, string param) =>
        Guid.TryParse(text, out Guid id) ? id : throw Refusal.Value(param, "it must be an id such as 01930b2c-7a5e-7c1d-9f5e-0123456789ab.");

    /// <summary>"12.50" in US dollars, or "12.50 EUR".</summary>
    /// <exception cref="ApiException">400: not an amount, or a negative one.</exception>
    public static Money ParseMoney(string text, string param, string? currency = null)
    {
        string[] parts = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        try
        {
            Money money = Money.Parse(parts.Length > 0 ? parts[0] : "", new Currency(parts.Length > 1 ? parts[1] : currency ?? Currency.Usd.Code));
            if (parts.Length <= 2 && !money.IsNegative) return money;
        }
        catch (Exception error) when (error is FormatException or ArgumentException or OverflowException)
        {
            throw Refusal.Value(param, error.Message);
        }
        throw Refusal.Value(param, "it must be an amount that is not negative, such as \"12.50\" or \"12.50 EUR\".");
    }
}
