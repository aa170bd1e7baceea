using System.Globalization;
using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>Stands before the pipeline, whatever API a call came in by: is the model in the key's scope, is the tenant not stopped, do its rates allow it, does the process stay. What is refused here has no hold and no cost.</summary>
public sealed class LimitedCalls(RunCall inner, RateLimits rates, TenantStops stops, DrainState drain, IHttpContextAccessor http, TimeProvider clock)
{
    public async IAsyncEnumerable<CallEvent> RunAsync(Call call, [EnumeratorCancellation] CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(call);
        using GenAiTelemetry.CallSpan span = GenAiTelemetry.Begin(call, clock);
        await using IAsyncEnumerator<CallEvent> events = ServeAsync(call, cancel).GetAsyncEnumerator(cancel);
        while (await MoveAsync(events, span))
        {
            span.Note(events.Current);
            yield return events.Current;
        }
    }

    private async IAsyncEnumerable<CallEvent> ServeAsync(Call call, [EnumeratorCancellation] CancellationToken cancel)
    {
        using IDisposable running = drain.Enter();
        if (!call.Caller.Terms.AllowsModel(call.Model))
            throw new ApiException(403, "permission_error", "model_not_allowed", $"This key may not ask the model '{call.Model}'. It may ask: {string.Join(", ", call.Caller.Terms.Models)}.", "model");
        CancellationToken stop = stops.Watch(call.Caller.Tenant.Id);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancel, stop);
        using RateLease lease = await EnterAsync(call, stop, either.Token);
        await using IAsyncEnumerator<CallEvent> events = inner(call, either.Token).GetAsyncEnumerator(either.Token);
        while (await MoveAsync(events, stop))
        {
            if (events.Current is Settled settled) lease.Used = settled.Record.Tokens.Input + settled.Record.Tokens.Output;
            yield return events.Current;
        }
    }

    private async Task<RateLease> EnterAsync(Call call, CancellationToken stop, CancellationToken either)
    {
        try
        {
            return await rates.EnterAsync(call, either);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            throw TenantStops.Stopped();
        }
        finally
        {
            Tell(rates.State(call));
        }
    }

    private static async ValueTask<bool> MoveAsync(IAsyncEnumerator<CallEvent> events, CancellationToken stop)
    {
        try
        {
            return await events.MoveNextAsync();
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            throw TenantStops.Stopped();
        }
    }

    private static async ValueTask<bool> MoveAsync(IAsyncEnumerator<CallEvent> events, GenAiTelemetry.CallSpan span)
    {
        try
        {
            return await events.MoveNextAsync();
        }
        catch (Exception error)
        {
            span.Fail(error is ApiException told ? told.Code : error.GetType().Name);
            throw;
        }
    }

    /// <summary>OpenAI's headers, for the tightest level.</summary>
    private void Tell(RateState state)
    {
        if (http.HttpContext?.Response is not { HasStarted: false } response) return;
        if (state.RequestLimit is { } requests) Set(response.Headers, "requests", requests, state.RequestsLeft, state.RequestsReset);
        if (state.TokenLimit is { } tokens) Set(response.Headers, "tokens", tokens, state.TokensLeft, state.TokensReset);
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
