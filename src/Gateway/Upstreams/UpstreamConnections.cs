using System.Collections.Concurrent;

namespace Qanat.Gateway;

/// <summary>How an upstream is asked at one moment: its settings, its secret, its language, its connections.</summary>
internal sealed class UpstreamWay(UpstreamSpec spec, string? secret, UpstreamConnections connections)
{
    public UpstreamSpec Spec { get; } = spec;
    public UpstreamConnections Connections { get; } = connections;
    public IUpstreamWire Wire { get; } = spec.Protocol == UpstreamProtocol.Anthropic ? new AnthropicWire() : new OpenAiWire(spec.Protocol == UpstreamProtocol.ModelStudio);
    private readonly string root = spec.Url.AbsoluteUri.TrimEnd('/') + "/";

    /// <summary>The few addresses that are asked, by their path.</summary>
    private readonly ConcurrentDictionary<string, Uri> addresses = new(StringComparer.Ordinal);

    public Uri AddressOf(string path) => addresses.GetOrAdd(path, static (below, above) => new Uri(above + below), root);

    public void Authorize(HttpRequestMessage request)
    {
        if (secret is not null) Wire.Authorize(request, secret);
    }
}

/// <summary>Connections to one upstream, shared by its settings in force and by the calls under way; the last to let go of them closes them.</summary>
internal sealed class UpstreamConnections
{
    private readonly HttpMessageInvoker http;
    private int holders = 1;

    private UpstreamConnections(HttpMessageInvoker http) => this.http = http;

    public static UpstreamConnections Open(UpstreamSpec spec) => new(new HttpMessageInvoker(new SocketsHttpHandler
    {
        // What it redirects to was not configured, and proxies of the environment are not asked.
        AllowAutoRedirect = false,
        UseProxy = false,
        UseCookies = false,
        // An answer that is given up closes its connection at once, so that the upstream stops.
        MaxResponseDrainSize = 0,
        ConnectTimeout = spec.ConnectTimeout,
        PooledConnectionLifetime = TimeSpan.FromMinutes(10),
        MaxConnectionsPerServer = spec.ConcurrentMax + 1,
        ActivityHeadersPropagator = null,
        ConnectCallback = (context, cancel) => OutsideAddresses.ConnectAsync(context.DnsEndPoint, spec.AllowsAddress, cancel),
    }, disposeHandler: true));

    /// <summary>Whether both settings make the same connections.</summary>
    public static bool AreSame(UpstreamSpec one, UpstreamSpec other) => UpstreamSpec.IsSameAddress(one, other) && one.AllowPrivate == other.AllowPrivate && one.ConnectTimeout == other.ConnectTimeout && one.ConcurrentMax == other.ConcurrentMax;

    /// <summary>Nobody holds them any more: they are closed.</summary>
    public bool AreClosed => Volatile.Read(ref holders) == 0;

    public Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancel) => http.SendAsync(request, cancel);

    /// <summary>Only whoever knows that somebody holds them may.</summary>
    public UpstreamConnections Share()
    {
        Interlocked.Increment(ref holders);
        return this;
    }

    public void Release()
    {
        if (Interlocked.Decrement(ref holders) == 0) http.Dispose();
    }
}
