using Qanat.Books;

namespace Qanat.Gateway;

public sealed record MeterOptions
{
    /// <summary>Output tokens per choice that a hold pays for at first, and by how many it is extended.</summary>
    public int HoldOutputTokens { get; init; } = 256;

    /// <summary>What holds, progress and settlements must survive before a call goes on (ADR 10).</summary>
    public Durability Durability { get; init; } = Durability.Process;

    /// <summary>How long a call waits until its hold is written; then it is refused, and its hold released as soon as the books answer again.</summary>
    public TimeSpan HoldWriteMax { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A hold is extended when fewer tokens than this are left of it.</summary>
    public int ExtendWithTokensLeft { get; init; } = 64;

    /// <summary>Engine steps that may wait for their commit; then the engine waits too.</summary>
    public int StepsWaitingMax { get; init; } = 1024;

    /// <summary>First pause after a failed commit; doubled each time up to <see cref="RetryPauseMax"/>.</summary>
    public TimeSpan RetryPause { get; init; } = TimeSpan.FromMilliseconds(50);
    public TimeSpan RetryPauseMax { get; init; } = TimeSpan.FromSeconds(5);
}
