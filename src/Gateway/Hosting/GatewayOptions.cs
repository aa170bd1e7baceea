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

    /// <summary>How long the answer of a request with an id of the client's own is kept in memory for a retry.</summary>
    public TimeSpan ReplayWindow { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Memory for such answers.</summary>
    public long ReplayBytesMax { get; init; } = 64 << 20;

    /// <summary>How long an answer with such an id is made on when its client is gone: longer than clients wait before they try again.</summary>
    public TimeSpan RetryGrace { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How often room is made of what has expired.</summary>
    public TimeSpan ExpiredDocumentsInterval { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How long the result of a task is kept.</summary>
    public TimeSpan TasksKept { get; init; } = TimeSpan.FromDays(1);

    /// <summary>How long files are kept.</summary>
    public TimeSpan FilesKept { get; init; } = TimeSpan.FromDays(30);

    public long FileBytesMax { get; init; } = 500 << 20;

    /// <summary>How long a batch is still shown when it has ended: as long as its files.</summary>
    public TimeSpan BatchesKept { get; init; } = TimeSpan.FromDays(30);

    /// <summary>How much each tenant may keep.</summary>
    public KeptOptions Kept { get; init; } = new();

    /// <summary>Size of the documents that a file is kept in.</summary>
    public int FilePartBytes { get; init; } = 512 << 10;

    public int BatchRowsMax { get; init; } = 50_000;
    public int BatchRowBytesMax { get; init; } = 6 << 20;

    /// <summary>Rows of all batches that one model works on at the same time.</summary>
    public int BatchRowsInFlightMax { get; init; } = 8;

    /// <summary>How often a row is tried when it fails on our side.</summary>
    public int BatchAttemptsMax { get; init; } = 4;

    /// <summary>How often a row that waits looks whether its engine is idle.</summary>
    public TimeSpan BatchLookInterval { get; init; } = TimeSpan.FromMilliseconds(20);

    /// <summary>Texts of one request for vectors or scores.</summary>
    public int TextsMax { get; init; } = 2048;

    /// <summary>Of them, how many are read at the same time.</summary>
    public int TextsInFlightMax { get; init; } = 16;

    /// <summary>Most entries of one page of a list.</summary>
    public int PageMax { get; init; } = 100;

    /// <summary>Connections open at the same time.</summary>
    public int ConnectionsMax { get; init; } = 10_000;

    public int HeaderBytesMax { get; init; } = 32 << 10;
    public int HeaderCountMax { get; init; } = 100;
    public TimeSpan KeepAliveTimeout { get; init; } = TimeSpan.FromSeconds(130);
    public TimeSpan HeadersTimeout { get; init; } = TimeSpan.FromSeconds(30);
    public int RequestLineBytesMax { get; init; } = 8 << 10;

    /// <summary>A body that comes, or an answer that is taken, more slowly than this after <see cref="SlowBodyGrace"/> ends its connection.</summary>
    public int BodyBytesPerSecondMin { get; init; } = 240;
    public TimeSpan SlowBodyGrace { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Requests at the same time on one connection of HTTP/2.</summary>
    public int StreamsPerConnectionMax { get; init; } = 100;
}
