namespace Qanat.Gateway;

/// <summary>The places that rows of batches may take on each model: as many as its engine is idle for.</summary>
internal sealed class BatchPlaces(GatewayOptions options, TimeProvider clock)
{
    private readonly TimeProvider clock = clock;
    private readonly Lock gate = new();
    private readonly Dictionary<string, int> taken = new(StringComparer.Ordinal);

    /// <summary>Takes a place as soon as there is one.</summary>
    public async Task<Place> TakeAsync(ServedModel model, CancellationToken cancel)
    {
        await WaitAsync(model, cancel);
        return new Place(this, model);
    }

    private async Task WaitAsync(ServedModel model, CancellationToken cancel)
    {
        while (true)
        {
            cancel.ThrowIfCancellationRequested();
            if (TryTake(model)) return;
            await Task.Delay(options.BatchLookInterval, clock, cancel);
        }
    }

    private void Leave(ServedModel model)
    {
        lock (gate) taken[model.Name.Value]--;
    }

    private bool TryTake(ServedModel model)
    {
        lock (gate)
        {
            int now = taken.GetValueOrDefault(model.Name.Value);
            if (!IdleCapacity.HasRoom(model.Engine(), now, options.BatchRowsInFlightMax)) return false;
            taken[model.Name.Value] = now + 1;
            return true;
        }
    }

    /// <summary>A place that a row has. Used by one task.</summary>
    public sealed class Place(BatchPlaces places, ServedModel model) : IDisposable
    {
        private bool isTaken = true;

        /// <summary>Leaves it to others for a while, then takes one again.</summary>
        public async Task PauseAsync(TimeSpan pause, CancellationToken cancel)
        {
            Dispose();
            await Task.Delay(pause, places.clock, cancel);
            await places.WaitAsync(model, cancel);
            isTaken = true;
        }

        public void Dispose()
        {
            if (isTaken) places.Leave(model);
            isTaken = false;
        }
    }
}
