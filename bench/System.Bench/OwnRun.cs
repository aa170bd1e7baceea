using System.Diagnostics;
using System.Globalization;
using Qanat.Models;

namespace Qanat.Bench;

/// <summary>Our network, driven without engine or sampler: what the kernels and the network alone can do, as llama-bench measures llama.cpp.</summary>
internal sealed class OwnRun : IDisposable
{
    private const int BlockTokens = 32;

    /// <summary>Rows that an engine computes in one step, unless it is told otherwise: longer prompts are cut.</summary>
    private const int StepRows = 256;

    private readonly LoadedModel _model;
    private readonly Random _random = new(1);

    // Keys and values of the largest run so far.
    private long _cacheBytesMax;

    /// <summary>Bytes of weights that an engine packs between two steps.</summary>
    private const long SliceBytes = 16L << 20;

    /// <summary>Loads the whole model as a server would, tokenizer and chat format too.</summary>
    public OwnRun(BenchOptions options) => _model = LoadedModel.Load(options.Model, new LoadOptions { Threads = options.Threads }, null, CancellationToken.None);

    private Network Network => _model.Network;

    public string Tier => Network.KernelTier;

    /// <summary>Packs all weights between the steps of one sequence, as an engine does for whoever is served at once: what its tokens wait for, beside steps over weights that are not packed yet.</summary>
    public PackingPauses Pack()
    {
        var slices = new List<double>();
        var steps = new List<double>();
        using var run = new Sequences(Network, _random, 1, (int)(2 * Network.UnpackedBytes / SliceBytes) + 16);
        for (bool isLeft = Network.UnpackedBytes > 0; isLeft;)
        {
            long started = Stopwatch.GetTimestamp();
            run.Step(1);
            long packed = Stopwatch.GetTimestamp();
            isLeft = Network.PackNext(SliceBytes);
            steps.Add(Stopwatch.GetElapsedTime(started, packed).TotalMilliseconds);
            slices.Add(Stopwatch.GetElapsedTime(packed).TotalMilliseconds);
        }
        return slices.Count == 0 ? new PackingPauses(0, 0, 0, 0, 0) : new PackingPauses(slices.Count, Median(slices), slices.Max(), slices.Sum() / (slices.Sum() + steps.Sum()), Median(steps));

        static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
    }

    /// <summary>Tokens per second of one prompt from an empty cache, logits of its last token.</summary>
    public double Prefill(int tokens)
    {
        using var run = new Sequences(Network, _random, 1, tokens);
        _cacheBytesMax = Math.Max(_cacheBytesMax, run.CacheBytes);
        long started = Stopwatch.GetTimestamp();
        for (int done = 0; done < tokens; done += StepRows)
            run.Step(Math.Min(StepRows, tokens - done));
        return tokens / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>Tokens per second of all sequences together, each growing from <paramref name="context"/> tokens by one a step.</summary>
    public double Decode(int sequences, int tokens, int context = 1)
    {
        using var run = new Sequences(Network, _random, sequences, context + tokens);
        _cacheBytesMax = Math.Max(_cacheBytesMax, run.CacheBytes);
        run.Step(context);
        long started = Stopwatch.GetTimestamp();
        for (int i = 0; i < tokens; i++)
            run.Step(1);
        return sequences * tokens / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>Seconds from the start of a process of its own to its end, in which it loads the model and computes one token: what <see cref="LlamaRun.Load"/> measures of the peer.</summary>
    public static double Load(BenchOptions options)
    {
        long started = Stopwatch.GetTimestamp();
        Start([LoadOnly, options.Model, options.Threads.ToString(CultureInfo.InvariantCulture)]);
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>What <see cref="Load"/> tells its process to do.</summary>
    public const string LoadOnly = "--load-only";

    /// <summary>The largest working set of a process of its own, in which a model is loaded and packed and every measure taken once, and its keys and values at most: this process holds what it needs to run and read the peer as well.</summary>
    public static MemoryPeak Peak(BenchOptions options)
    {
        int[] numbers = [options.Threads, options.PromptTokens, options.DecodeTokens, .. options.Parallel];
        string[] told = Start([PeakOnly, options.Model, .. numbers.Select(number => number.ToString(CultureInfo.InvariantCulture))]).Split(' ');
        return new MemoryPeak(long.Parse(told[0], CultureInfo.InvariantCulture), long.Parse(told[1], CultureInfo.InvariantCulture));
    }

    /// <summary>What <see cref="Peak"/> tells its process to do.</summary>
    public const string PeakOnly = "--peak-only";

    /// <summary>What the process of <see cref="Peak"/> does.</summary>
    public static void FindPeak(string model, int threads, int prompt, int decode, ReadOnlySpan<int> parallel)
    {
        using var run = new OwnRun(new BenchOptions { Model = model, Threads = threads });
        run.Pack();
        run.Prefill(prompt);
        run.Decode(1, decode);
        foreach (int sequences in parallel)
            run.Decode(sequences, decode);
        using var process = Process.GetCurrentProcess();
        Console.WriteLine(FormattableString.Invariant($"{process.PeakWorkingSet64} {run._cacheBytesMax}"));
    }

    /// <summary>Runs this program again and gives what it writes.</summary>
    private static string Start(string[] arguments)
    {
        string program = Path.Combine(AppContext.BaseDirectory, typeof(OwnRun).Assembly.GetName().Name + (OperatingSystem.IsWindows() ? ".exe" : ""));
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { UseShellExecute = false, RedirectStandardOutput = true })
            ?? throw new InvalidOperationException("a process of this program did not start");
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException(FormattableString.Invariant($"a process of this program ended with {process.ExitCode}"));
    }

    public void Dispose() => _model.Dispose();

    private sealed class Sequences : IDisposable
    {
        private readonly Network _network;
        private readonly Random _random;
        private readonly KvCache _cache;
        private readonly int _count;
        private readonly int _blocks;
        private readonly int[] _tables;
        private int _done;

        public Sequences(Network network, Random random, int count, int tokens)
        {
            _network = network;
            _random = random;
            _count = count;
            _blocks = (tokens + BlockTokens - 1) / BlockTokens;
            _cache = network.CreateKvCache(count * _blocks, BlockTokens, stateCount: count);
            _tables = [.. Enumerable.Range(0, count * _blocks)];
        }

        public long CacheBytes => _cache.Bytes;

        public void Step(int tokens)
        {
            int rows = _count * tokens;
            _network.Forward(new StepBatch
            {
                Tokens = Enumerable.Range(0, rows).Select(_ => _random.Next(_network.Shape.Vocabulary)).ToArray(),
                Positions = Enumerable.Range(0, rows).Select(row => _done + row % tokens).ToArray(),
                Slices = Enumerable.Range(0, _count).Select(i => new StepSlice(i * tokens, tokens, i * _blocks, _blocks, _done == 0 ? StepSlice.None : i, i)).ToArray(),
                BlockTables = _tables,
                LogitRows = Enumerable.Range(0, _count).Select(i => (i + 1) * tokens - 1).ToArray(),
            }, _cache);
            _done += tokens;
        }

        public void Dispose() => _cache.Dispose();
    }
}
