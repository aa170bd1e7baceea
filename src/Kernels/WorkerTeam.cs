using System.Runtime.Intrinsics.X86;

namespace Qanat.Kernels;

/// <summary>Threads that run the chunks of one job after another. The caller's thread is one of them. Between jobs workers spin for a while, then park.
/// One job at a time; nothing is allocated by a job.</summary>
/// <remarks>A job is published as one 64-bit ticket: generation (32 bits), chunk count (16), next chunk (16). A chunk is claimed by compare-and-swap on the
/// ticket, so a worker that wakes late can never run a chunk of a job that has ended, and the caller waits only for chunks that were claimed, not for workers.</remarks>
public sealed unsafe class WorkerTeam : IDisposable
{
    /// <summary>Most chunks of one job.</summary>
    public const int ChunksMax = ushort.MaxValue;

    /// <summary>Most threads of a team.</summary>
    public const int ThreadsMax = 512;

    // About 50-100 microseconds: longer than the serial work between two parallel parts of a step, shorter than the pause between steps.
    private const int SpinsBeforePark = 4096;

    private readonly Worker[] _workers;
    private readonly AutoResetEvent _jobDone = new(false);
    private delegate*<void*, int, int, void> _body;
    private void* _job;
    private long _ticket;
    private int _completed;
    private int _callerParked;
    private volatile bool _stopping;

    /// <param name="threads">Threads including the caller's.</param>
    public WorkerTeam(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(threads, ThreadsMax);
        Threads = threads;
        _workers = new Worker[threads - 1];
        for (int i = 0; i < _workers.Length; i++)
            _workers[i] = new Worker(this, i + 1);
    }

    /// <summary>A team of one thread per physical core.</summary>
    public WorkerTeam() : this(Math.Min(CpuTopology.PhysicalCores, ThreadsMax))
    {
    }

    /// <summary>Threads including the caller's.</summary>
    public int Threads { get; }

    /// <summary>Runs <paramref name="body"/>(job, chunk, thread) for every chunk in [0, chunks) and returns when all have ended. Chunks run in any order on any thread;
    /// thread is in [0, Threads), the caller's is 0. A body must not throw and must not call Run.</summary>
    public void Run(delegate*<void*, int, int, void> body, void* job, int chunks)
    {
        if (chunks > ChunksMax)
            throw new ArgumentOutOfRangeException(nameof(chunks), chunks, $"a job has at most {ChunksMax} chunks");
        if (_workers.Length == 0 || chunks <= 1)
        {
            for (int chunk = 0; chunk < chunks; chunk++)
                body(job, chunk, 0);
            return;
        }

        // The last job's ticket has no chunk left to claim, so nobody reads these fields until the next line but one.
        _body = body;
        _job = job;
        Volatile.Write(ref _completed, 0);
        uint generation = Generation(Volatile.Read(ref _ticket)) + 1;
        Interlocked.Exchange(ref _ticket, Ticket(generation, chunks));
        int wanted = Math.Min(chunks - 1, _workers.Length);
        for (int i = 0; i < wanted; i++)
            _workers[i].Wake();

        RunChunks(generation, 0);
        AwaitCompletion(chunks);
    }

    public void Dispose()
    {
        if (_stopping)
            return;
        _stopping = true;
        Interlocked.MemoryBarrier();
        foreach (Worker worker in _workers)
            worker.Dispose();
        _jobDone.Dispose();
    }

    private void RunChunks(uint generation, int thread)
    {
        delegate*<void*, int, int, void> body = _body;
        void* job = _job;
        while (true)
        {
            long ticket = Volatile.Read(ref _ticket);
            int chunk = (int)(ticket & 0xffff);
            int chunks = (int)(ticket >> 16) & 0xffff;
            if (Generation(ticket) != generation || chunk == chunks)
                return;
            if (Interlocked.CompareExchange(ref _ticket, ticket + 1, ticket) != ticket)
                continue;
            body(job, chunk, thread);
            if (Interlocked.Increment(ref _completed) == chunks && Interlocked.Exchange(ref _callerParked, 0) == 1)
                _jobDone.Set();
        }
    }

    private void AwaitCompletion(int chunks)
    {
        for (int spin = 0; spin < SpinsBeforePark; spin++)
        {
            if (Volatile.Read(ref _completed) == chunks)
                return;
            Pause();
        }
        Interlocked.Exchange(ref _callerParked, 1);
        if (Volatile.Read(ref _completed) == chunks && Interlocked.Exchange(ref _callerParked, 0) == 1)
            return;
        _jobDone.WaitOne();
    }

    private static long Ticket(uint generation, int chunks) => (long)(((ulong)generation << 32) | ((ulong)(uint)chunks << 16));

    private static uint Generation(long ticket) => (uint)((ulong)ticket >> 32);

    private static void Pause()
    {
        if (X86Base.IsSupported)
            X86Base.Pause();
        else
            Thread.SpinWait(1);
    }

    private sealed class Worker : IDisposable
    {
        private readonly WorkerTeam _team;
        private readonly int _index;
        private readonly Thread _thread;
        private readonly AutoResetEvent _wake = new(false);
        private int _parked;

        public Worker(WorkerTeam team, int index)
        {
            _team = team;
            _index = index;
            _thread = new Thread(Live) { IsBackground = true, Name = FormattableString.Invariant($"qanat-kernels-{index}") };
            _thread.Start();
        }

        public void Wake()
        {
            if (Volatile.Read(ref _parked) == 1 && Interlocked.Exchange(ref _parked, 0) == 1)
                _wake.Set();
        }

        public void Dispose()
        {
            Wake();
            _thread.Join();
            _wake.Dispose();
        }

        private void Live()
        {
            uint seen = 0;
            while (true)
            {
                AwaitJob(seen);
                if (_team._stopping)
                    return;
                seen = Generation(Volatile.Read(ref _team._ticket));
                _team.RunChunks(seen, _index);
            }
        }

        private void AwaitJob(uint seen)
        {
            for (int spin = 0; spin < SpinsBeforePark; spin++)
            {
                if (HasNews(seen))
                    return;
                Pause();
            }
            Interlocked.Exchange(ref _parked, 1);
            if (HasNews(seen) && Interlocked.Exchange(ref _parked, 0) == 1)
                return;
            _wake.WaitOne();
        }

        private bool HasNews(uint seen) => _team._stopping || Generation(Volatile.Read(ref _team._ticket)) != seen;
    }
}
