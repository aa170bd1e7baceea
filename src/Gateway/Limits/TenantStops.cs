using System.Collections.Concurrent;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>The switch that stops a tenant: while it is set nothing is served to it, and what runs ends before its next step and is settled at what was delivered.</summary>
public sealed class TenantStops : IDisposable
{
    public const string Code = "tenant_stopped";

    private readonly DirectoryState directory;
    private readonly ConcurrentDictionary<TenantId, CancellationTokenSource> running = [];

    public TenantStops(DirectoryState directory)
    {
        ArgumentNullException.ThrowIfNull(directory);
        this.directory = directory;
        directory.Changed += Apply;
    }

    /// <summary>Cancelled when the tenant is stopped.</summary>
    /// <exception cref="ApiException">403: it is stopped already.</exception>
    public CancellationToken Watch(TenantId tenant)
    {
        CancellationToken token = running.GetOrAdd(tenant, static _ => new CancellationTokenSource()).Token;
        // Looked at after the token was taken: a stop in between has cancelled it.
        if (IsStopped(tenant) || token.IsCancellationRequested) throw Stopped();
        return token;
    }

    /// <summary>For what is done at once.</summary>
    /// <exception cref="ApiException">403: the tenant is stopped.</exception>
    public void Demand(TenantId tenant)
    {
        if (IsStopped(tenant)) throw Stopped();
    }

    public static ApiException Stopped() => new(403, "permission_error", Code, "This tenant is stopped: nothing is served to it until whoever runs this cloud starts it again.");

    public void Dispose()
    {
        directory.Changed -= Apply;
        foreach (CancellationTokenSource source in running.Values) source.Dispose();
    }

    private bool IsStopped(TenantId tenant) => directory.Current.FindTenant(tenant) is { } found && TenantTerms.Of(found).Stopped;

    private void Apply()
    {
        foreach ((TenantId tenant, CancellationTokenSource source) in running)
        {
            if (!IsStopped(tenant) || !running.TryRemove(new KeyValuePair<TenantId, CancellationTokenSource>(tenant, source))) continue;
            // Not disposed: requests still hold its token.
            source.Cancel();
        }
    }
}
