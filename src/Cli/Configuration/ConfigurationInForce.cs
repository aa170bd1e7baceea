using System.Collections.Immutable;
using System.Net;
using System.Text.Json.Nodes;
using Qanat.Books;
using Qanat.Console;
using Qanat.Gateway;

namespace Qanat.Cli;

/// <summary>The configuration a server runs by. Read again, what may change while it runs is put in force; a file with anything wrong in it changes nothing.</summary>
internal sealed class ConfigurationInForce(string file, QanatConfiguration started, IServiceProvider services, TimeProvider clock) : IDisposable
{
    private readonly SemaphoreSlim reloading = new(1);
    private QanatConfiguration inForce = started;

    /// <summary>Requests that run go on under what they began with.</summary>
    public async Task<ReloadReport> ReloadAsync(string who, CancellationToken cancel)
    {
        await reloading.WaitAsync(cancel);
        try
        {
            QanatConfiguration next = QanatConfiguration.Read(file);
            ImmutableArray<string> changed = QanatConfiguration.Differences(inForce, next);
            ImmutableArray<string> applied = [.. changed.Where(RuntimeSettings.ContainsKey)];
            foreach (string name in applied) RuntimeSettings[name](services, next);
            // What needs a restart stays different from what is in force, so that it is told again.
            inForce = next.With(changed.Except(applied), inForce);
            if (!applied.IsEmpty) await AuditAsync(who, applied);
            return new ReloadReport(applied, [.. changed.Except(applied)], null);
        }
        catch (CommandException error)
        {
            return new ReloadReport([], [], error.Message);
        }
        finally
        {
            reloading.Release();
        }
    }

    public void Dispose() => reloading.Dispose();

    /// <summary>How each setting that may change is put in force. None of it can fail: the file was found good before.</summary>
    private static readonly Dictionary<string, Action<IServiceProvider, QanatConfiguration>> RuntimeSettings = new(StringComparer.Ordinal)
    {
        ["line"] = (services, next) => services.GetRequiredService<RateLimits>().Apply(next.RateOptions()),
        ["allowed_networks"] = (services, next) => services.GetRequiredService<AddressGuard>().Apply(next.Networks()),
        ["mail"] = (services, next) => services.GetRequiredService<MailSender>().Apply(next.Mail),
        ["open_id"] = (services, next) => services.GetRequiredService<OpenIdSignIn>().Apply(next.OpenId),
        ["log_level"] = (services, next) => services.GetRequiredService<LogThreshold>().Least = next.LogLevelOrStandard(),
        ["drain_seconds"] = (services, next) => services.GetRequiredService<DrainTime>().Most = next.DrainMax(),
        ["$schema"] = (_, _) => { },
    };

    private Task AuditAsync(string who, ImmutableArray<string> applied) => services.GetRequiredService<IBookStore>()
        .AppendAsync(new Audited(new AuditEntry(Instant.Now(clock), who, "configuration.reload", Path.GetFileName(file), null, string.Join(", ", applied))), CancellationToken.None);
}

/// <summary>What the log is told from; may change while the server runs.</summary>
public sealed class LogThreshold
{
    private volatile int least = (int)LogLevel.Warning;

    public LogLevel Least
    {
        get => (LogLevel)least;
        set => least = (int)value;
    }
}

/// <summary>How long running streams may go on after a stop was asked for; may change while the server runs.</summary>
public sealed class DrainTime
{
    private long ticks;

    public TimeSpan Most
    {
        get => new(Interlocked.Read(ref ticks));
        set => Interlocked.Exchange(ref ticks, value.Ticks);
    }
}
