using Qanat.Books;

namespace Qanat.Store;

/// <summary>Limits of a store. The defaults suit one server.</summary>
public sealed record StoreOptions
{
    public static readonly StoreOptions Default = new();

    /// <summary>Facts that may wait for the writer; whoever appends later waits for a place.</summary>
    public int QueueFactsMax { get; init; } = 16_384;

    /// <summary>Facts in one commit.</summary>
    public int BatchFactsMax { get; init; } = 1_000;

    /// <summary>Records that gather before they go into the tables of sums, which lack half as many again at most while that is done; questions add them up. More makes writing cheaper and questions dearer.</summary>
    public int UnsummedRecordsMax { get; init; } = 4_096;

    /// <summary>Queries at the same time, and streams at the same time; further ones wait.</summary>
    public int ReadersMax { get; init; } = 16;

    /// <summary>How long a commit that nobody waits for (<see cref="Durability.Process"/>) may stay off the disk: what a loss of power can take.</summary>
    public TimeSpan FlushBehindMax { get; init; } = TimeSpan.FromMilliseconds(5);

    /// <summary>Size of the write-ahead log at which it is copied into the database file; it may reach four times this, and more while a long stream reads an old state.
    /// More makes opening after a crash slower, less copies the same pages more often.</summary>
    public long LogBytesBegin { get; init; } = 64 << 20;

    /// <summary>Content of one document. The writer commits documents in line with metering, so a large one makes requests wait.</summary>
    public long DocumentBytesMax { get; init; } = 4 << 20;

    /// <summary>How long the end of this process waits to learn, from a database server that it lost in the middle of a commit, whether the commit took place. Until then those who wait for it wait as long as it takes.</summary>
    public TimeSpan ReconnectMax { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Size that the database file may reach; then facts are refused as on a full disk. Null: no limit but the disk.</summary>
    public long? DatabaseBytesMax { get; init; }

    /// <summary>The currency under which requests that have neither a charge nor a cost are counted.</summary>
    public Currency HomeCurrency { get; init; } = Currency.Usd;
}
