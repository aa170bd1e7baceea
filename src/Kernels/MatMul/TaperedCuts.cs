namespace Qanat.Kernels;

/// <summary>Cuts panels into chunks that become smaller towards the end: threads that take one after another then end together, though few chunks are claimed.
/// Three quarters of the panels are cut into one chunk for each thread, three quarters of what is left again, and so on down to single panels: a thread that goes on with the next panel
/// has its weights on their way already, and one that begins elsewhere waits for them (ADR 69).</summary>
internal readonly struct TaperedCuts
{
    private readonly int _panels;
    private readonly int _chunksPerLevel;

    /// <param name="panels">At least 1.</param>
    /// <param name="threads">At least 1; one alone takes all panels at once.</param>
    public TaperedCuts(int panels, int threads)
    {
        _panels = panels;
        _chunksPerLevel = threads == 1 ? 0 : threads;
        Count = 1;
        if (threads > 1)
            Count = Walk(int.MaxValue).Chunk;
    }

    /// <summary>Chunks.</summary>
    public int Count { get; }

    /// <summary>Chunks that end nearly together when they all are alike.</summary>
    public static int ChunksWanted(int threads) => threads == 1 ? 1 : 2 * threads;

    /// <summary>The first panel of a chunk; of chunk <see cref="Count"/>, the number of panels.</summary>
    public int First(int chunk) => _chunksPerLevel == 0 ? chunk * _panels : Walk(chunk).Panel;

    /// <summary>Goes from level to level up to a chunk or the end.</summary>
    private (int Chunk, int Panel) Walk(int chunk)
    {
        int done = 0;
        for (int panel = 0; ;)
        {
            int left = _panels - panel;
            int size = Math.Max(1, left * 3 / 4 / _chunksPerLevel);
            // Single panels are the last level.
            int count = size == 1 ? left : _chunksPerLevel;
            if (chunk - done <= count || size == 1)
                return (done + Math.Min(chunk - done, count), panel + Math.Min(chunk - done, count) * size);
            done += count;
            panel += count * size;
        }
    }
}
