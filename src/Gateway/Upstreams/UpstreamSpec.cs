using System.Collections.Immutable;
using System.Net;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>The language an upstream speaks.</summary>
public enum UpstreamProtocol
{
    /// <summary>OpenAI's chat completions and completions: vLLM, SGLang, llama-server and most others.</summary>
    OpenAi,

    /// <summary>OpenAI's, with Model Studio's own fields for thinking.</summary>
    ModelStudio,

    /// <summary>Anthropic's messages.</summary>
    Anthropic,
}

/// <summary>An engine outside this process, as its operator describes it. Its secret is not here.</summary>
/// <param name="Url">Up to the version, e.g. "http://gpu-1:8000/v1" or "https://dashscope-intl.aliyuncs.com/compatible-mode/v1".</param>
/// <param name="AllowPrivate">It may be at a private address: nothing else makes the gateway connect to one.</param>
public sealed record UpstreamSpec(string Name, UpstreamProtocol Protocol, Uri Url, ImmutableArray<UpstreamModel> Models)
{
    private const int NameCharsMax = 64;

    public bool AllowPrivate { get; init; }

    /// <summary>Whether it may be connected to at an address.</summary>
    internal bool AllowsAddress(IPAddress address) => AllowPrivate || OutsideAddresses.IsPublic(address);

    /// <summary>It is known and keeps its history, but no call goes to it.</summary>
    public bool IsOff { get; init; }

    /// <summary>Its part of the traffic beside other upstreams of the same model and rank.</summary>
    public int Weight { get; init; } = 1;

    /// <summary>Upstreams of a higher rank serve only while none of a lower one can.</summary>
    public int Rank { get; init; }

    /// <summary>Calls at the same time; more go elsewhere or are refused as busy.</summary>
    public int ConcurrentMax { get; init; } = 1_000;

    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>From the request to the first byte of the answer.</summary>
    public TimeSpan FirstByteTimeout { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>Between two pieces of an answer.</summary>
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Whether both are the same engine, so that what is known of the one holds for the other.</summary>
    public static bool IsSameAddress(UpstreamSpec one, UpstreamSpec other)
    {
        ArgumentNullException.ThrowIfNull(one);
        ArgumentNullException.ThrowIfNull(other);
        return one.Url == other.Url && one.Protocol == other.Protocol;
    }

    /// <summary>The pool that stands for it in the books.</summary>
    public PoolName Pool => PoolOf(Name);

    /// <summary>Why a name cannot be one; null: it can.</summary>
    public static string? Refuse(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        // "attempt" begins a line of what was bought.
        return name.Length is 0 or > NameCharsMax || name == "attempt" || name.Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_' or '.'))
            ? FormattableString.Invariant($"letters, digits, '-', '_' and '.', at most {NameCharsMax} of them.")
            : null;
    }

    /// <summary>Null: the text is no address that could be asked.</summary>
    public static Uri? ReadUrl(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out Uri? url) && url.Scheme is ("http" or "https") && url.UserInfo.Length == 0 && url.Query.Length == 0 ? url : null;

    /// <summary>What an address is, for those who wrote something else.</summary>
    public const string UrlRule = "an http or https address without a name, password or query, such as http://gpu-1:8000/v1.";

    public static PoolName PoolOf(string upstream) => new("upstream/" + upstream);
    public static DeploymentName DeploymentOf(string upstream) => new("upstream/" + upstream);
}

/// <summary>A model that an upstream serves.</summary>
/// <param name="Name">What it is called here.</param>
/// <param name="Theirs">What the upstream calls it.</param>
/// <param name="Rates">What the upstream asks. Null: not known, so that its requests are uncosted.</param>
public sealed record UpstreamModel(ModelName Name, string Theirs, TokenRates? Rates)
{
    public const int ContextLengthDefault = 131_072;

    /// <summary>Tokens of prompt and answer together.</summary>
    public int ContextLength { get; init; } = ContextLengthDefault;

    /// <summary>A model of the built-in engine with the same tokenizer and chat format: then usage is checked token for token. Null: by a bounded estimate.</summary>
    public ModelName? CountAs { get; init; }
}

/// <summary>How calls of one model are spread over the upstreams that serve it, and what serves them when none can.</summary>
public sealed record UpstreamRoute(ModelName Model, RoutePolicy Policy, ImmutableArray<ModelName> Fallbacks)
{
    /// <summary>Sequences that wait in the built-in engine from which on calls go on to whoever stands in; null: until its line is full.</summary>
    public int? WaitingMax { get; init; }

    public static UpstreamRoute Standard(ModelName model) => new(model, RoutePolicy.Prefix, []);
}

public enum RoutePolicy
{
    /// <summary>By weight, in turn.</summary>
    Weighted,

    /// <summary>Where the fewest calls run for the weight.</summary>
    LeastLoaded,

    /// <summary>Calls of one session, or with the same beginning, go to the same upstream, whose cache knows it; elsewhere when it has much more than its part.</summary>
    Prefix,
}

/// <summary>Limits of what upstreams are asked.</summary>
public sealed record UpstreamOptions
{
    /// <summary>Attempts at one call, over all upstreams and fallbacks. Only before the first byte of an answer was delivered.</summary>
    public int AttemptsMax { get; init; } = 3;

    /// <summary>Failures in a row after which an upstream is left alone.</summary>
    public int FailuresMax { get; init; } = 5;

    /// <summary>How long it is left alone at first; doubled each time up to <see cref="RestMax"/>, then one call tries it.</summary>
    public TimeSpan Rest { get; init; } = TimeSpan.FromSeconds(5);
    public TimeSpan RestMax { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>How often every upstream is asked for its models, to see that it answers.</summary>
    public TimeSpan CheckInterval { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Tokens that are delivered under one commit at most: an answer's pieces wait until so many have come ...</summary>
    public int CheckpointTokens { get; init; } = 1;

    /// <summary>... or this time has passed. What waits is not delivered, so that a client never has what is not metered.</summary>
    public TimeSpan CheckpointInterval { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>An upstream with this many times its part of the running calls is passed over by prefix routing, in percent.</summary>
    public int PrefixLoadPercent { get; init; } = 150;

    /// <summary>Longest event or answer that is read.</summary>
    public int AnswerBytesMax { get; init; } = 32 << 20;

    /// <summary>A call is told to be admitted after this long even if no upstream has answered: before the first heartbeat of its stream.</summary>
    public TimeSpan AdmitAfter { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Characters of a conversation that decide where it goes when the client names no session.</summary>
    public int PrefixChars { get; init; } = 2_048;
}
