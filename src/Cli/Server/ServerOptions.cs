using System.Collections.Immutable;
using System.Net;
using Qanat.Console;
using Qanat.Gateway;
using Qanat.Kernels;

namespace Qanat.Cli;

/// <summary>How a server is started.</summary>
public sealed record ServerOptions
{
    public required DataDirectory Data { get; init; }

    /// <summary>Addresses to listen on; port 0 picks a free one.</summary>
    public string Urls { get; init; } = DefaultUrl;

    /// <summary>A GGUF file to serve; null: the small random model that every Qanat can make for itself.</summary>
    public string? ModelFile { get; init; }

    /// <summary>What the API calls the model; null: what the file calls itself.</summary>
    public string? ModelName { get; init; }

    public ServedParts Parts { get; init; } = ServedParts.Everything;
    public int? Threads { get; init; }
    public long KvBytesMax { get; init; } = 512L << 20;

    /// <summary>Memory for recurrent states; null: by what is free.</summary>
    public long? StateBytesMax { get; init; }

    /// <summary>How keys and values are kept.</summary>
    public KvFormat Kv { get; init; }

    public string? OwnerKey { get; init; }
    public MeterOptions Meter { get; init; } = new();
    public UpstreamOptions Upstreams { get; init; } = new();
    public BudgetOptions Budgets { get; init; } = new();
    public RateOptions Rates { get; init; } = new();

    /// <summary>How much each tenant may keep here.</summary>
    public KeptOptions Kept { get; init; } = new();

    /// <summary>Private networks that webhooks (and whatever else people name) may be in.</summary>
    public ImmutableArray<IPNetwork> AllowedNetworks { get; init; } = [];

    /// <summary>What https addresses show; null: there are none.</summary>
    public TlsConfiguration? Tls { get; init; }

    /// <summary>Who vouches for people, beside accounts; null: nobody.</summary>
    public OpenIdProvider? OpenId { get; init; }

    /// <summary>The server that takes mail; null: none is sent.</summary>
    public MailTerms? Mail { get; init; }

    /// <summary>The file that may be read again while the server runs, and what it said at the start; null: there is none.</summary>
    public StartedConfiguration? Configuration { get; init; }

    public LogLevel LogLevel { get; init; } = LogLevel.Warning;

    /// <summary>How long running streams may go on after a stop was asked for.</summary>
    public TimeSpan DrainMax { get; init; } = TimeSpan.FromSeconds(30);

    public const string DefaultUrl = "http://127.0.0.1:7777";

    /// <summary>A server that lives for one command: the books and the admin API on a private port, nothing else.</summary>
    public static ServerOptions ForCommands(DataDirectory data) => new() { Data = data, Urls = "http://127.0.0.1:0", Parts = ServedParts.BooksOnly };
}

public sealed record StartedConfiguration(string File, QanatConfiguration Content);

public enum ServedParts { Everything, BooksOnly }
