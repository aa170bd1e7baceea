using Microsoft.Extensions.AI;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Local;

/// <summary>Texts as vectors of length 1, from a model of this program. The texts of a request run side by side in the steps of one engine, as many as it has room for.</summary>
internal sealed class LocalEmbeddingGenerator(LocalModel model, EmbeddingFormat format, string? task) : IEmbeddingGenerator<string, Embedding<float>>
{
    private readonly EmbeddingGeneratorMetadata metadata = new("qanat", null, model.Name, model.Hidden);

    /// <exception cref="ArgumentException">A text is too long for the model, or the dimensions are more than it has.</exception>
    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(values);
        int dimensions = options?.Dimensions ?? model.Hidden;
        if (dimensions < 1 || dimensions > model.Hidden) throw new ArgumentException(FormattableString.Invariant($"The model's embeddings have 1 to {model.Hidden} dimensions."), nameof(options));
        int[][] prompts = [.. values.Select(text => task is null ? format.Document(text) : format.Query(task, text))];
        if (Array.Find(prompts, prompt => prompt.Length > model.ContextLength - 1) is { } tooLong)
            throw new ArgumentException(FormattableString.Invariant($"A text has {tooLong.Length} tokens; the model reads {model.ContextLength - 1}."), nameof(values));
        float[][] hidden = new float[prompts.Length][];
        // Not all at once: a request may have more texts than the engine's waiting line has places, and others wait in it too.
        var atOnce = new ParallelOptions { MaxDegreeOfParallelism = model.AtOnceMax, CancellationToken = cancellationToken };
        await Parallel.ForAsync(0, prompts.Length, atOnce, async (i, cancel) => hidden[i] = await ReadAsync(prompts[i], cancel));
        int tokens = prompts.Sum(prompt => prompt.Length);
        return new GeneratedEmbeddings<Embedding<float>>(hidden.Select(each => new Embedding<float>(EmbeddingFormat.Finish(each, dimensions)) { ModelId = model.Name }))
        {
            Usage = new UsageDetails { InputTokenCount = tokens, TotalTokenCount = tokens },
        };
    }

    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null
            : serviceType == typeof(EmbeddingGeneratorMetadata) ? metadata
            : serviceType.IsInstanceOfType(this) ? this
            : serviceType.IsInstanceOfType(model) ? model
            : null;
    }

    public void Dispose()
    {
    }

    private async Task<float[]> ReadAsync(int[] prompt, CancellationToken cancel)
    {
        await foreach (SequenceStep step in model.RunAsync(SequenceRequest.ToRead(PromptReading.HiddenVector, new SequenceId(Guid.CreateVersion7(), 0), [.. prompt], "local"), cancel))
        {
            if (step.Finish == FinishReason.Stop) return [.. step.Reading];
            if (step.Finish is not null) throw new InvalidOperationException($"The text could not be read: {step.Failure ?? "the model is being disposed of"}.");
        }
        throw new InvalidOperationException("The engine ended without an answer.");
    }
}
