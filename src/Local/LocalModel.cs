using System.Collections.Concurrent;
using System.Threading.Channels;
using Microsoft.Extensions.AI;
using Qanat.Engine;
using Qanat.Kernels;
using Qanat.Models;

namespace Qanat.Local;

/// <summary>How a model runs within a program.</summary>
public sealed record LocalModelOptions
{
    /// <summary>Threads that compute; null: one per physical core.</summary>
    public int? Threads { get; init; }

    /// <summary>How keys and values are kept.</summary>
    public KvFormat Kv { get; init; }

    /// <summary>Batch, cache and waiting line.</summary>
    public EngineOptions Engine { get; init; } = new();

    public TimeProvider Clock { get; init; } = TimeProvider.System;
}

/// <summary>
/// A model that runs inside this program, without a server and without books:
/// <code>
/// await using LocalModel model = LocalModel.Load("qwen3-0.6b.gguf");
/// IChatClient chat = model.ChatClient();
/// </code>
/// Everything that asks at the same time shares the steps of one engine.
/// </summary>
public sealed class LocalModel : IAsyncDisposable
{
    private readonly LoadedModel model;
    private readonly Answers answers = new();
    private readonly InferenceEngine engine;

    private LocalModel(LoadedModel model, LocalModelOptions options)
    {
        this.model = model;
        engine = new InferenceEngine(model, options.Engine, answers, options.Clock);
        AtOnceMax = Math.Min(options.Engine.SequencesMax, options.Engine.WaitingMax);
    }

    /// <summary>The model's own name, as a server would serve it under.</summary>
    public string Name => model.Name;

    /// <summary>A sentence to show with its answers; null: none.</summary>
    public string? Notice => model.Notice;

    /// <summary>How its tokens are drawn where nobody says otherwise.</summary>
    public SamplingDefaults Sampling => model.Sampling;

    public EngineStatus Status => engine.Status;

    /// <exception cref="ModelFileException">The file cannot be served; the message says why.</exception>
    public static LocalModel Load(string path, LocalModelOptions? options = null, IProgress<string>? progress = null, CancellationToken cancel = default)
    {
        options ??= new LocalModelOptions();
        LoadedModel model = LoadedModel.Load(path, new LoadOptions { Threads = options.Threads, Kv = options.Kv, KvBytesMax = options.Engine.KvBytesMax, StateBytesMax = options.Engine.StateBytesMax }, progress, cancel);
        try
        {
            return new LocalModel(model, options);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Chats with the model. Disposing of the client leaves the model as it is.</summary>
    public IChatClient ChatClient() => new LocalChatClient(this);

    /// <summary>Turns texts into vectors, as embedding models were trained to.</summary>
    /// <param name="task">Set for queries: what the search is for, in a sentence; null: documents.</param>
    public IEmbeddingGenerator<string, Embedding<float>> EmbeddingGenerator(string? task = null) => new LocalEmbeddingGenerator(this, new EmbeddingFormat(model.Tokenizer), task);

    /// <summary>Ends what runs and frees the model.</summary>
    public async ValueTask DisposeAsync()
    {
        await engine.DisposeAsync();
        model.Dispose();
    }

    /// <summary>False: it only reads.</summary>
    internal bool Generates => model.Generates;

    internal ChatFormat Format => model.Chat;

    /// <summary>Sequences that one caller may hand in at once.</summary>
    internal int AtOnceMax { get; }

    /// <summary>How many numbers its hidden vectors have.</summary>
    internal int Hidden => model.Network.Shape.Hidden;

    internal int ContextLength => engine.ContextLength;

    /// <summary>Runs one answer. Whoever stops reading ends it within a step.</summary>
    internal async IAsyncEnumerable<SequenceStep> RunAsync(SequenceRequest request, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancel)
    {
        ChannelReader<SequenceStep> steps = answers.Open(request.Id);
        bool hasEnded = false;
        try
        {
            engine.Submit(request);
            await foreach (SequenceStep step in steps.ReadAllAsync(cancel))
            {
                hasEnded = step.Finish is not null;
                yield return step;
            }
        }
        finally
        {
            if (!hasEnded) engine.End(request.Id, FinishReason.Cancelled);
            answers.Close(request.Id);
        }
    }

    /// <summary>Hands each step to those who wait for its sequences.</summary>
    private sealed class Answers : IStepSink
    {
        private readonly ConcurrentDictionary<SequenceId, Channel<SequenceStep>> open = [];

        public ChannelReader<SequenceStep> Open(SequenceId id) => open.GetOrAdd(id, _ => Channel.CreateUnbounded<SequenceStep>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true })).Reader;

        public void Close(SequenceId id) => open.TryRemove(id, out _);

        public void OnStep(StepFact step)
        {
            foreach (SequenceStep part in step.Sequences)
            {
                if (!open.TryGetValue(part.Id, out Channel<SequenceStep>? channel)) continue;
                channel.Writer.TryWrite(part);
                if (part.Finish is not null) channel.Writer.TryComplete();
            }
        }
    }
}
