using System.Collections.Immutable;

namespace Qanat.Gateway;

/// <summary>Reads the configuration again and puts in force what may change while the server runs: all of it, or nothing when any of it is wrong.</summary>
/// <param name="who">As the audit log names who asked.</param>
public delegate Task<ReloadReport> ReloadConfiguration(string who, CancellationToken cancel);

/// <param name="Applied">Settings that changed and are in force.</param>
/// <param name="NeedRestart">Settings that changed and will be in force after a restart.</param>
/// <param name="Problem">Why nothing was changed; null: nothing was wrong.</param>
public sealed record ReloadReport(ImmutableArray<string> Applied, ImmutableArray<string> NeedRestart, string? Problem);
