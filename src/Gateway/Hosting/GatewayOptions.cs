namespace Qanat.Gateway;

/// <summary>Limits and habits of the HTTP side.</summary>
public sealed record GatewayOptions
{
    /// <summary>Largest request body. Agents send 60-80 KB per turn before any file; 10 MB is the least that real clients need.</summary>
    public long BodyBytesMax { get; init; } = 16 << 20;

    /// <summary>Deepest nesting of a JSON body.</summary>
    public int JsonDepthMax { get; init; } = 64;

    /// <summary>Choices of one request: prompts times n.</summary>
    public int ChoicesMax { get; init; } = 32;

    public int ToolsMax { get; init; } = 128;
    public int StopStringsMax { get; init; } = 16;
    public int StopStringLengthMax { get; init; } = 256;
    public int LogitBiasMax { get; init; } = 1024;
    public int TopLogprobsMax { get; init; } = 20;
    public int UserTagLengthMax { get; init; } = 256;

    /// <summary>A stream with nothing to say sends a comment line this often, so that neither the client nor a proxy between gives up.</summary>
    public TimeSpan HeartbeatInterval { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>What clients are told to wait after a failure on our side.</summary>
    public TimeSpan RetryAfterFailure { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Connections open at the same time.</summary>
    public int ConnectionsMax { get; init; } = 10_000;

    public int HeaderBytesMax { get; init; } = 32 << 10;
    public int HeaderCountMax { get; init; } = 100;
    public TimeSpan KeepAliveTimeout { get; init; } = TimeSpan.FromSeconds(130);
    public TimeSpan HeadersTimeout { get; init; } = TimeSpan.FromSeconds(30);
}
