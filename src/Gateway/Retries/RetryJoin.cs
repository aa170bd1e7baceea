using System.Buffers;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace Qanat.Gateway;

/// <summary>Serves a request that carries an id of the client's own once, however often it is sent: while it runs, a retry follows the same answer; for a while after, it is sent the answer again. So nothing is billed twice.</summary>
internal sealed class RetryJoin(RequestDelegate next, Recordings recordings, Callers callers, GatewayOptions options, IServiceProvider services, ILogger<RetryJoin> log)
{
    private const int IdLengthMax = 256;
    private static readonly string[] IdHeaders = ["Idempotency-Key", "x-ms-client-request-id", "x-client-request-id"];

    public Task InvokeAsync(HttpContext context) => IdOf(context.Request) is { } id ? JoinAsync(context, id) : next(context);

    private async Task JoinAsync(HttpContext context, string id)
    {
        // A key that was revoked, or bound to other paths, networks or a lesser role meanwhile, is sent nothing again.
        if (context.GetEndpoint()?.Metadata.GetMetadata<Needed>() is { } needed) callers.Admit(context, needed.Permission);
        else callers.Require(context.Request);
        byte[] body = await ReadAsync(context.Request, context.RequestAborted);
        string key = Callers.KeyOf(context.Request) ?? "";
        Followed followed = recordings.Join(RetryId.Of(key, id, context.Request.Path + context.Request.QueryString, body));
        if (followed.IsFirst) _ = Task.Run(() => ServeAsync(Copy(context, body, followed), followed));
        try
        {
            await followed.Recording.SendAsync(context.Response, !followed.IsFirst, context.RequestAborted);
        }
        finally
        {
            recordings.Leave(followed);
        }
    }

    /// <summary>Only what is served and billed; JSON only, as uploads are not.</summary>
    private static string? IdOf(HttpRequest request)
    {
        if (!HttpMethods.IsPost(request.Method)) return null;
        foreach (string header in IdHeaders)
        {
            string? id = request.Headers[header];
            if (!string.IsNullOrEmpty(id) && id.Length <= IdLengthMax && !(request.ContentType ?? "").StartsWith("multipart/", StringComparison.OrdinalIgnoreCase)) return id;
        }
        return null;
    }

    private async Task ServeAsync(DefaultHttpContext context, Followed followed)
    {
        bool broken = false;
        try
        {
            await next(context);
            await context.Response.CompleteAsync();
        }
        catch (Exception error) when (followed.Recording.Length == 0)
        {
            ApiException told = ErrorBoundary.Word(error);
            if (!context.RequestAborted.IsCancellationRequested) ErrorBoundary.Log(log, context, error);
            context.Response.Clear();
            await ErrorWords.Of(context.Request).SendAsync(context.Response, told, options);
            await context.Response.CompleteAsync();
        }
        catch (Exception error)
        {
            // Its clients were told by the answer itself.
            broken = true;
            if (!context.RequestAborted.IsCancellationRequested) ErrorBoundary.LogBrokenOff(log, context, error is StreamBrokenOffException { InnerException: { } cause } ? cause : error);
        }
        finally
        {
            recordings.End(followed, broken);
        }
    }

    /// <summary>The request by itself: it outlives the connection that brought it.</summary>
    private DefaultHttpContext Copy(HttpContext context, byte[] body, Followed followed)
    {
        FeatureCollection features = new();
        HttpRequestFeature request = new()
        {
            Method = context.Request.Method,
            Scheme = context.Request.Scheme,
            Protocol = context.Request.Protocol,
            PathBase = context.Request.PathBase,
            Path = context.Request.Path,
            QueryString = context.Request.QueryString.ToString(),
            Body = new MemoryStream(body),
        };
        foreach ((string name, Microsoft.Extensions.Primitives.StringValues values) in context.Request.Headers) request.Headers[name] = values;
        HttpResponseFeature response = new();
        features.Set<IHttpRequestFeature>(request);
        features.Set<IHttpResponseFeature>(response);
        features.Set<IHttpResponseBodyFeature>(new StreamResponseBodyFeature(new RecordingStream(followed.Recording, response)));
        features.Set<IHttpRequestLifetimeFeature>(new Lifetime(followed.Abandoned));
        features.Set<IHttpConnectionFeature>(new HttpConnectionFeature
        {
            RemoteIpAddress = context.Connection.RemoteIpAddress,
            RemotePort = context.Connection.RemotePort,
            LocalIpAddress = context.Connection.LocalIpAddress,
            LocalPort = context.Connection.LocalPort,
        });
        // The same caller, whose rates are told in the answer that the client waits for.
        if (context.Features.Get<Caller>() is { } caller) features.Set(caller);
        DefaultHttpContext copy = new(features) { RequestServices = services, TraceIdentifier = context.TraceIdentifier };
        copy.SetEndpoint(context.GetEndpoint());
        copy.Request.RouteValues = new RouteValueDictionary(context.Request.RouteValues);
        return copy;
    }

    private static async Task<byte[]> ReadAsync(HttpRequest request, CancellationToken cancel)
    {
        ArrayBufferWriter<byte> body = new();
        int read;
        do
        {
            read = await request.Body.ReadAsync(body.GetMemory(16 << 10), cancel);
            body.Advance(read);
        }
        while (read > 0);
        return body.WrittenSpan.ToArray();
    }

    private sealed class Lifetime(CancellationToken abandoned) : IHttpRequestLifetimeFeature
    {
        private readonly CancellationTokenSource ending = CancellationTokenSource.CreateLinkedTokenSource(abandoned);

        public CancellationToken RequestAborted { get => ending.Token; set => throw new NotSupportedException(); }

        public void Abort() => ending.Cancel();
    }

    /// <summary>What is written becomes the recording.</summary>
    private sealed class RecordingStream(Recording recording, HttpResponseFeature response) : Stream
    {
        private bool begun;

        public override bool CanRead => false;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            if (!begun) recording.Begin(response.StatusCode, response.Headers);
            begun = true;
            recording.Write(buffer);
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
        {
            Write(buffer.AsSpan(offset, count));
            return Task.CompletedTask;
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Write(buffer.Span);
            return ValueTask.CompletedTask;
        }

        public override void Flush() { }
        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
