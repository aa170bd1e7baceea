using System.Buffers;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>The way to one upstream at one address, also when its operator changes its settings: calls under way end as they began, later ones are asked by the new settings.</summary>
public sealed class UpstreamLink : IDisposable
{
    private const int ErrorBytesMax = 4 << 10;
    private const string Removed = "It was removed, or is at another address now.";
    private const int BodyBytesMin = 512;
    private const int BodyBytesMax = 1 << 20;
    private static readonly MediaTypeHeaderValue Json = new("application/json");
    private readonly UpstreamOptions options;
    private readonly TimeProvider clock;
    private readonly Lock gate = new();
    private UpstreamWay? current;

    public UpstreamLink(UpstreamSpec spec, string? secret, UpstreamOptions options, TimeProvider clock)
    {
        ArgumentNullException.ThrowIfNull(spec);
        (this.options, this.clock) = (options, clock);
        current = new UpstreamWay(spec, secret, UpstreamConnections.Open(spec));
    }

    /// <summary>Null: it was removed.</summary>
    internal UpstreamConnections? Connections
    {
        get
        {
            lock (gate) return current?.Connections;
        }
    }

    /// <summary>Connections are kept unless they would be made differently now.</summary>
    public void Apply(UpstreamSpec spec, string? secret)
    {
        ArgumentNullException.ThrowIfNull(spec);
        UpstreamWay? before;
        lock (gate)
        {
            before = current;
            bool same = before is not null && UpstreamConnections.AreSame(before.Spec, spec);
            current = new UpstreamWay(spec, secret, same ? before!.Connections.Share() : UpstreamConnections.Open(spec));
        }
        before?.Connections.Release();
    }

    /// <summary>Ends its connections, each when the last call on it has ended.</summary>
    public void Dispose()
    {
        UpstreamWay? before;
        lock (gate) (before, current) = (current, null);
        before?.Connections.Release();
    }

    /// <summary>The way as it is now, whose connections are to be released; null: it was removed.</summary>
    private UpstreamWay? Take()
    {
        lock (gate)
        {
            current?.Connections.Share();
            return current;
        }
    }

    /// <summary>Asks, and waits until the answer has begun to come.</summary>
    /// <param name="stream">In pieces as they are generated; else as a whole.</param>
    /// <exception cref="UpstreamException">It does not answer, or with a failure.</exception>
    internal async Task<UpstreamAnswer> AskAsync(Call call, UpstreamModel model, RequestId id, int? maxTokens, bool stream, CancellationToken cancel)
    {
        UpstreamWay way = Take() ?? throw new UpstreamException(UpstreamFailure.Unavailable, Removed);
        CancellationTokenSource patience = new(way.Spec.FirstByteTimeout, clock);
        CancellationTokenRegistration left = cancel.UnsafeRegister(static ending => ((CancellationTokenSource)ending!).Cancel(), patience);
        HttpResponseMessage? response = null;
        try
        {
            using HttpRequestMessage request = new(HttpMethod.Post, way.AddressOf(way.Wire.PathOf(call)));
            request.Headers.TryAddWithoutValidation("x-request-id", id.ToString());
            way.Authorize(request);
            ArrayBufferWriter<byte> body = new(BodyBytes(call));
            using (Utf8JsonWriter json = new(body, JsonAnswer.Options)) way.Wire.Write(json, call, model, maxTokens, stream);
            request.Content = new ReadOnlyMemoryContent(body.WrittenMemory);
            request.Content.Headers.ContentType = Json;
            response = await way.Connections.SendAsync(request, patience.Token);
            // The answer keeps the request, and a long stream need not keep what was asked.
            request.Content = null;
            if (response.StatusCode != HttpStatusCode.OK) throw await FailureAsync(response, patience.Token);
            Stream content = await response.Content.ReadAsStreamAsync(patience.Token);
            bool isStream = IsStream(response);
            return new UpstreamAnswer(response, new AnswerBytes(content, isStream), way.Wire.Read(call), isStream, patience, left, way, options, cancel);
        }
        catch (Exception error)
        {
            response?.Dispose();
            UpstreamException? told = Word(error, patience, cancel);
            left.Dispose();
            patience.Dispose();
            way.Connections.Release();
            if (told is null) throw;
            throw told;
        }
    }

    /// <summary>About what a request takes: most of it is what was said.</summary>
    private static int BodyBytes(Call call)
    {
        long chars = call.PromptText?.Length ?? 0;
        foreach (Qanat.Models.ChatMessage message in call.Conversation?.Messages ?? []) chars += message.Content.Length + BodyBytesMin / 8;
        return (int)Math.Clamp(BodyBytesMin + chars, BodyBytesMin, BodyBytesMax);
    }

    /// <summary>Asks for the list of models; null: it answers and knows us, else why not, for the operator.</summary>
    public async Task<string?> CheckAsync(CancellationToken cancel)
    {
        if (Take() is not { } way) return Removed;
        using CancellationTokenSource patience = new(way.Spec.ConnectTimeout + way.Spec.ConnectTimeout, clock);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancel);
        try
        {
            using HttpRequestMessage request = new(HttpMethod.Get, way.AddressOf("models"));
            way.Authorize(request);
            using HttpResponseMessage response = await way.Connections.SendAsync(request, either.Token);
            // Some serve no list of models: an answer is an answer, unless it refuses our key or says that it cannot serve.
            return response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden or HttpStatusCode.PaymentRequired || (int)response.StatusCode >= 500
                ? $"It answers {(int)response.StatusCode} {response.ReasonPhrase}."
                : null;
        }
        catch (Exception error) when (!cancel.IsCancellationRequested && Word(error, patience, cancel) is { } told)
        {
            return told.Message;
        }
        finally
        {
            way.Connections.Release();
        }
    }

    /// <summary>What an error of the connection means; null: it is none of the upstream's.</summary>
    internal static UpstreamException? Word(Exception error, CancellationTokenSource patience, CancellationToken cancel) => error switch
    {
        UpstreamException told => told,
        OperationCanceledException when cancel.IsCancellationRequested => null,
        OperationCanceledException when patience.IsCancellationRequested => new UpstreamException(UpstreamFailure.TimedOut, "It said nothing in time.", inner: error),
        OperationCanceledException or HttpRequestException or IOException => new UpstreamException(UpstreamFailure.Unavailable, error.Message, inner: error),
        _ => null,
    };

    private static bool IsStream(HttpResponseMessage response)
    {
        // As it was sent: nothing else of it is asked for.
        if (!response.Content.Headers.NonValidated.TryGetValues("Content-Type", out HeaderStringValues told)) return false;
        ReadOnlySpan<char> type = told.ToString();
        int parameters = type.IndexOf(';');
        return (parameters < 0 ? type : type[..parameters]).Trim().Equals("text/event-stream", StringComparison.OrdinalIgnoreCase);
    }

    private async Task<UpstreamException> FailureAsync(HttpResponseMessage response, CancellationToken cancel)
    {
        string body = await ReadErrorAsync(response, cancel);
        string message = $"It answered {(int)response.StatusCode} {response.ReasonPhrase}{ErrorNames.Of(body)}.";
        // Model Studio tells of unpaid bills with 400, OpenAI with 429.
        bool account = body.Contains("Arrearage", StringComparison.OrdinalIgnoreCase) || body.Contains("insufficient_quota", StringComparison.Ordinal) || body.Contains("invalid_api_key", StringComparison.OrdinalIgnoreCase);
        UpstreamFailure kind = (int)response.StatusCode switch
        {
            _ when account => UpstreamFailure.NotInOrder,
            401 or 402 or 403 or 404 or 405 => UpstreamFailure.NotInOrder,
            408 or 425 or 429 => UpstreamFailure.Busy,
            >= 400 and < 500 => UpstreamFailure.Refused,
            >= 500 => UpstreamFailure.Unavailable,
            _ => UpstreamFailure.Unavailable,
        };
        return new UpstreamException(kind, message, RetryAfter(response));
    }

    private static async Task<string> ReadErrorAsync(HttpResponseMessage response, CancellationToken cancel)
    {
        byte[] bytes = new byte[ErrorBytesMax];
        using Stream body = await response.Content.ReadAsStreamAsync(cancel);
        int count = await body.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, cancel);
        return System.Text.Encoding.UTF8.GetString(bytes, 0, count);
    }

    private TimeSpan? RetryAfter(HttpResponseMessage response)
    {
        if (response.Headers.TryGetValues("retry-after-ms", out IEnumerable<string>? ms) && int.TryParse(ms.FirstOrDefault(), NumberStyles.None, CultureInfo.InvariantCulture, out int milliseconds))
            return TimeSpan.FromMilliseconds(milliseconds);
        RetryConditionHeaderValue? retry = response.Headers.RetryAfter;
        return retry?.Delta ?? (retry?.Date is { } date ? date - clock.GetUtcNow() : null);
    }
}

/// <summary>An answer that is coming in. Disposing of it before its end closes the connection, so that the upstream stops.</summary>
/// <param name="patience">Ends when the upstream says nothing for too long, and, as long as <paramref name="left"/> stands, when nobody waits for the answer any more.</param>
internal sealed class UpstreamAnswer(HttpResponseMessage response, AnswerBytes bytes, IAnswerEvents reading, bool isStream, CancellationTokenSource patience, CancellationTokenRegistration left,
    UpstreamWay way, UpstreamOptions options, CancellationToken cancel) : IDisposable
{
    /// <summary>Of a longer answer the end is waited for: it may come in many parts, and looking through it after each would take longer.</summary>
    private const int EarlyBytesMax = 64 << 10;
    private readonly ServerSentEvents lines = new();
    private int disposed;

    /// <summary>Waits for what comes next and adds it; the last event of an answer is UpstreamDone.</summary>
    /// <exception cref="UpstreamException">It broke off, made no sense or said nothing for too long.</exception>
    public async Task ReadAsync(List<UpstreamEvent> events)
    {
        int before = events.Count;
        try
        {
            while (events.Count == before)
            {
                bool isLast = !await bytes.ReadAsync(patience.Token);
                patience.CancelAfter(way.Spec.IdleTimeout);
                ReadOnlySequence<byte> unread = bytes.Unread;
                if (isStream) TakeEvents(ref unread, isLast, events);
                else if (TryTakeWhole(unread.FirstSpan, isLast, events)) unread = unread.Slice(unread.End);
                bytes.KeepLast(unread.Length);
                if (unread.Length > options.AnswerBytesMax) throw new UpstreamException(UpstreamFailure.Cut, $"It sent more than {options.AnswerBytesMax} bytes in one piece.");
                if (isLast && events.Count == before) throw new UpstreamException(UpstreamFailure.Cut, "The answer ended before it began.");
            }
        }
        catch (Exception error) when (UpstreamLink.Word(error, patience, cancel) is { } told)
        {
            // Once it has begun, a connection that breaks is an answer that was cut.
            throw told.Kind == UpstreamFailure.Unavailable ? new UpstreamException(UpstreamFailure.Cut, told.Message, inner: error) : told;
        }
    }

    /// <summary>The answer is complete: reads what is left, which ends the connection's turn so that it can be used again, and disposes of it.</summary>
    public async Task EndAsync()
    {
        try
        {
            do bytes.KeepLast(0);
            while (await bytes.ReadAsync(patience.Token));
        }
        catch (Exception error) when (UpstreamLink.Word(error, patience, CancellationToken.None) is not null || error is ObjectDisposedException)
        {
            // The answer was there; only its connection is lost.
        }
        finally
        {
            Dispose();
        }
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref disposed, 1) == 1) return;
        bytes.Dispose();
        response.Dispose();
        left.Dispose();
        patience.Dispose();
        way.Connections.Release();
    }

    private void TakeEvents(ref ReadOnlySequence<byte> buffer, bool isLast, List<UpstreamEvent> events)
    {
        while (lines.TryRead(ref buffer, isLast, out ReadOnlySpan<byte> data))
        {
            reading.Take(data, events);
            if (events is [.., UpstreamDone]) return;
        }
        if (isLast) reading.End(events);
    }

    /// <summary>Takes it when its JSON has ended, although its connection may not say so yet: chunks have an end of their own, which often comes in the next packet and tells nothing new. <see cref="EndAsync"/> waits for it, not the client.</summary>
    private bool TryTakeWhole(ReadOnlySpan<byte> body, bool isLast, List<UpstreamEvent> events)
    {
        bool mayBeWhole = body.Length <= EarlyBytesMax && body.EndsWith("}"u8);
        if (mayBeWhole && reading.TryTakeWhole(body, events)) return true;
        if (!isLast && !(mayBeWhole && IsWhole(body))) return false;
        reading.TakeWhole(body, events);
        return true;
    }

    private static bool IsWhole(ReadOnlySpan<byte> body)
    {
        Utf8JsonReader json = new(body, isFinalBlock: false, state: default);
        try
        {
            return json.Read() && json.TrySkip() && json.BytesConsumed == body.Length;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
