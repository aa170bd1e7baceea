using System.Globalization;
using Qanat.Models;

namespace Qanat.Engine;

/// <summary>
/// Runs sequences over one model on a thread of its own. Callers of any thread put commands into an inbox; the engine's thread takes them before each step, so that an end or a submission
/// takes effect within one step. With nothing to compute the thread sleeps until the next command.
/// </summary>
public sealed class InferenceEngine : IAsyncDisposable
{
    private enum CommandKind { Submit, Allow, End }

    /// <summary>What the engine's thread last told of itself.</summary>
    private readonly record struct Published(int Waiting, int Running, int BlocksFree, int BlocksCached, int BlocksUsed, long Steps, long PromptTokens, long CachedPromptTokens, long GeneratedTokens,
        long Preemptions, int StatesHeld, int Checkpoints, string? LastFailure);

    private readonly record struct Command(CommandKind Kind, SequenceId Id, SequenceRequest? Request, int NewTokens, FinishReason Reason);

    private readonly IModelRunner _runner;
    private readonly EngineOptions _options;
    private readonly EngineClock _clock;
    private readonly StepLoop _loop;
    private readonly string _kernelTier;
    private readonly Lock _gate = new();
    private readonly AutoResetEvent _wake = new(false);
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly HashSet<SequenceId> _open = [];
    private List<Command> _inbox = [];
    private List<Command> _taken = [];
    private int _submitted;
    private bool _isStopping;
    private string? _fault;
    private Published _published;

    /// <param name="model">Stays the caller's: dispose it after the engine.</param>
    /// <param name="sink">Called on the engine's thread. What it throws ends the sequences of that step.</param>
    /// <exception cref="ArgumentException">The options do not fit together, or the memory for keys and values does not hold one block.</exception>
    public InferenceEngine(LoadedModel model, EngineOptions options, IStepSink sink, TimeProvider clock)
        : this(RunnerOf(model, options), Vocabulary.Of(model.Tokenizer), options, sink, clock, model.Network.KernelTier)
    {
    }

    internal InferenceEngine(IModelRunner runner, Vocabulary vocabulary, EngineOptions options, IStepSink sink, TimeProvider clock, string kernelTier)
    {
        options.Check();
        _runner = runner;
        _options = options;
        _kernelTier = kernelTier;
        _clock = new EngineClock(clock);
        _loop = new StepLoop(runner, vocabulary, options, new Telling(this, sink), _clock);
        _published = Snapshot();
        new Thread(Run) { IsBackground = true, Name = "qanat engine" }.Start();
    }

    public EngineStatus Status
    {
        get
        {
            lock (_gate)
            {
                Published p = _published;
                return new EngineStatus(p.Waiting + _submitted, p.Running, p.BlocksFree, p.BlocksCached, p.BlocksUsed, p.Steps, p.PromptTokens, p.GeneratedTokens, _clock.NowNs, _kernelTier)
                {
                    Preemptions = p.Preemptions,
                    CachedPromptTokens = p.CachedPromptTokens,
                    States = _loop.States is { } states ? new StateCounts(states.SlotCount, p.StatesHeld, p.Checkpoints) : null,
                    UnpackedBytes = _runner.UnpackedBytes,
                    LastFailure = p.LastFailure,
                };
            }
        }
    }

    /// <summary>Tokens (prompt and generated together) one sequence can have.</summary>
    public int ContextLength => _loop.ContextLength;

    /// <exception cref="QueueFullException">The waiting line is full.</exception>
    /// <exception cref="ArgumentException">The prompt is empty, or longer than the context or the cache allows; or another part of the request cannot be run.</exception>
    /// <exception cref="InvalidOperationException">The engine stopped after a fault of its own; the message says which.</exception>
    public void Submit(SequenceRequest request)
    {
        RequestCheck.Check(request, _runner.Vocabulary, ContextLength);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isStopping, this);
            if (_fault is not null) throw new InvalidOperationException($"The engine has stopped: {_fault}");
            if (_published.Waiting + _submitted >= _options.WaitingMax) throw new QueueFullException(string.Create(CultureInfo.InvariantCulture, $"{_options.WaitingMax} sequences are waiting already."));
            if (!_open.Add(request.Id)) throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"Sequence {request.Id} is in the engine already."), nameof(request));
            _submitted++;
            Post(new Command(CommandKind.Submit, request.Id, request, 0, default));
        }
    }

    /// <summary>Raises how many tokens the sequence may generate before it pauses.</summary>
    public void Allow(SequenceId id, int newTokens)
    {
        lock (_gate) Post(new Command(CommandKind.Allow, id, null, newTokens, default));
    }

    /// <summary>Ends the sequence before the next step; its last fact carries the reason. Unknown ids are ignored.</summary>
    public void End(SequenceId id, FinishReason reason)
    {
        lock (_gate) Post(new Command(CommandKind.End, id, null, 0, reason));
    }

    /// <summary>Ends every sequence with Cancelled after the step that is running, delivers the last facts and frees the KV cache.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            _isStopping = true;
            if (!_stopped.Task.IsCompleted) _wake.Set();
        }
        await _stopped.Task;
    }

    private static ModelRunner RunnerOf(LoadedModel model, EngineOptions options)
    {
        options.Check();
        return new ModelRunner(model.Network, options);
    }

    private void Post(Command command)
    {
        if (_stopped.Task.IsCompleted || !_open.Contains(command.Id)) return;
        _inbox.Add(command);
        _wake.Set();
    }

    // ---- the engine's thread -------------------------------------------------------------------------------------

    private void Run()
    {
        try
        {
            while (true)
            {
                bool isStopping = Take();
                Apply();
                if (isStopping) break;
                bool ran = _loop.RunOne();
                Publish();
                if (!_runner.Prepare() && !ran) WaitForWork();
            }
            _loop.EndAll(FinishReason.Cancelled);
            if (_options.IdleReportInterval is not null) _loop.TellIdle();
        }
        catch (Exception broken)
        {
            // An invariant of the engine itself is broken: its state cannot be trusted, but the process and its books can.
            Abandon($"{broken.GetType().Name}: {broken.Message}");
        }
        Stop();
    }

    /// <summary>Fails everything that was accepted, what is still in the inbox included, and accepts no more.</summary>
    private void Abandon(string fault)
    {
        lock (_gate)
        {
            _fault = fault;
            _taken.AddRange(_inbox);
            _inbox.Clear();
        }
        foreach (Command command in _taken)
            if (command.Kind == CommandKind.Submit) _loop.Track(command.Id);
        _loop.Abandon(fault);
    }

    private void WaitForWork()
    {
        if (_options.IdleReportInterval is not { } interval) _wake.WaitOne();
        else if (!_wake.WaitOne(interval)) _loop.TellIdle();
    }

    /// <summary>Takes what is in the inbox; true when this is the last time.</summary>
    private bool Take()
    {
        lock (_gate)
        {
            (_inbox, _taken) = (_taken, _inbox);
            return _isStopping;
        }
    }

    private void Apply()
    {
        foreach (Command command in _taken)
        {
            switch (command.Kind)
            {
                case CommandKind.Submit: _loop.Submit(command.Request!); break;
                case CommandKind.Allow: _loop.Allow(command.Id, command.NewTokens); break;
                default: _loop.End(command.Id, command.Reason); break;
            }
        }
        _taken.Clear();
        Publish();
    }

    private void Publish()
    {
        Published published = Snapshot();
        lock (_gate)
        {
            foreach (SequenceId id in _loop.Finished) _open.Remove(id);
            _published = published;
            _submitted = 0;
            foreach (Command command in _inbox)
                if (command.Kind == CommandKind.Submit) _submitted++;
        }
        _loop.Finished.Clear();
    }

    private Published Snapshot() =>
        new(_loop.Scheduler.WaitingCount, _loop.Scheduler.RunningCount, _loop.Pool.FreeCount, _loop.Pool.CachedCount, _loop.Pool.UsedCount,
            _loop.Steps, _loop.PromptTokens, _loop.CachedPromptTokens, _loop.GeneratedTokens, _loop.Scheduler.Preemptions,
            _loop.States?.HeldCount ?? 0, _loop.States?.CheckpointCount ?? 0, _loop.LastFailure);

    private void Stop()
    {
        Publish();
        lock (_gate)
        {
            _runner.Dispose();
            _wake.Dispose();
            _stopped.SetResult();
        }
    }

    /// <summary>Whoever is told that a sequence has ended finds its place and its id free.</summary>
    private sealed class Telling(InferenceEngine engine, IStepSink sink) : IStepSink
    {
        public void OnStep(StepFact step)
        {
            engine.Publish();
            sink.OnStep(step);
        }
    }
}
