using System.Globalization;
using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>What an answer's headers say of its caller's rates: the state that was noted last before the answer begins. It knows nothing of the request, so that whatever outlives that may keep it.</summary>
public sealed class ToldRates
{
    private volatile RateState? last;

    /// <summary>For a caller who may be limited, the headers of this answer; null: nothing would be said in them.</summary>
    internal static ToldRates? In(HttpResponse response, Caller caller)
    {
        TenantTerms terms = TenantTerms.Of(caller.Tenant);
        if (terms.Rates.IsEmpty && terms.EachUser.IsEmpty && terms.Models.IsEmpty && ProjectTerms.Of(caller.Project).Rates.IsEmpty && caller.Terms.Rates.IsEmpty) return null;
        ToldRates told = new();
        response.OnStarting(() =>
        {
            told.Write(response.Headers);
            return Task.CompletedTask;
        });
        return told;
    }

    public void Note(RateState state) => last = state;

    /// <summary>OpenAI's headers, for the tightest level.</summary>
    private void Write(IHeaderDictionary headers)
    {
        if (last is not { } state) return;
        if (state.RequestLimit is { } requests) Set(headers, "requests", requests, state.RequestsLeft, state.RequestsReset);
        if (state.TokenLimit is { } tokens) Set(headers, "tokens", tokens, state.TokensLeft, state.TokensReset);
    }

    private static void Set(IHeaderDictionary headers, string what, long limit, long left, TimeSpan reset)
    {
        headers[$"x-ratelimit-limit-{what}"] = limit.ToString(CultureInfo.InvariantCulture);
        headers[$"x-ratelimit-remaining-{what}"] = left.ToString(CultureInfo.InvariantCulture);
        headers[$"x-ratelimit-reset-{what}"] = Duration(reset);
    }

    /// <summary>As OpenAI writes it: "6m0s", "1.5s", "120ms".</summary>
    internal static string Duration(TimeSpan time)
    {
        if (time < TimeSpan.FromSeconds(1)) return string.Create(CultureInfo.InvariantCulture, $"{Math.Ceiling(time.TotalMilliseconds):0}ms");
        string seconds = string.Create(CultureInfo.InvariantCulture, $"{time.Seconds + Math.Ceiling(time.Milliseconds / 100.0) / 10:0.#}s");
        return time >= TimeSpan.FromMinutes(1) ? string.Create(CultureInfo.InvariantCulture, $"{(long)time.TotalMinutes}m{seconds}") : seconds;
    }
}
