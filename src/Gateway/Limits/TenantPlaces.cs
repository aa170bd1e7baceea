using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>How many of something each tenant has under way at the same time.</summary>
internal sealed class TenantPlaces(int placesMax)
{
    private readonly Lock gate = new();
    private readonly Dictionary<TenantId, int> taken = [];

    /// <summary>A place until it is disposed; null: the tenant has as many as it may.</summary>
    public IDisposable? TryTake(TenantId tenant)
    {
        lock (gate) return taken.GetValueOrDefault(tenant) < placesMax ? Add(tenant) : null;
    }

    /// <summary>For what was begun before, and goes on however many there are.</summary>
    public IDisposable Take(TenantId tenant)
    {
        lock (gate) return Add(tenant);
    }

    private Place Add(TenantId tenant)
    {
        taken[tenant] = taken.GetValueOrDefault(tenant) + 1;
        return new Place(this, tenant);
    }

    private void Leave(TenantId tenant)
    {
        lock (gate)
        {
            if (--taken[tenant] == 0) taken.Remove(tenant);
        }
    }

    private sealed class Place(TenantPlaces places, TenantId tenant) : IDisposable
    {
        private int left;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref left, 1) == 0) places.Leave(tenant);
        }
    }
}
