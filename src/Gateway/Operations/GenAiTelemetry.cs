using System.Diagnostics;
using System.Diagnostics.Metrics;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Traces and metrics by OpenTelemetry's conventions for generative AI. They cost nothing until somebody listens, and never carry a prompt or an answer.</summary>
public static class GenAiTelemetry
{
    /// <summary>The name of the activity source and of the meter.</summary>
    public const string Name = "Qanat.Gateway";

    private static readonly ActivitySource Source = new(Name);
    private static readonly Meter Meter = new(Name);

    /// <summary>As the conventions advise, so that figures of different servers can be laid beside each other.</summary>
    private static readonly InstrumentAdvice<double> DurationBounds = new() { HistogramBucketBoundaries = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92] };
    private static readonly InstrumentAdvice<double> FirstTokenBounds = new() { HistogramBucketBoundaries = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] };
    private static readonly InstrumentAdvice<double> PerTokenBounds = new() { HistogramBucketBoundaries = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5] };
    private static readonly InstrumentAdvice<long> TokenBounds = new() { HistogramBucketBoundaries = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864] };

    private static readonly Histogram<double> Duration = Meter.CreateHistogram("gen_ai.server.request.duration", "s", "Time from the request to the end of its answer.", tags: null, DurationBounds);
    private static readonly Histogram<double> FirstToken = Meter.CreateHistogram("gen_ai.server.time_to_first_token", "s", "Time from the request to the first piece of its answer.", tags: null, FirstTokenBounds);
    private static readonly Histogram<double> PerToken = Meter.CreateHistogram("gen_ai.server.time_per_output_token", "s", "Time from the first piece of an answer to its end, for each token after the first.", tags: null, PerTokenBounds);
    private static readonly Histogram<long> Tokens = Meter.CreateHistogram("gen_ai.client.token.usage", "{token}", "Tokens of a request, by type.", tags: null, TokenBounds);

    public static CallSpan Begin(Call call, TimeProvider clock)
    {
        ArgumentNullException.ThrowIfNull(call);
        return new CallSpan(call, clock, Source.HasListeners() ? Source.StartActivity($"{Operation(call)} {call.Model}", ActivityKind.Server) : null);
    }

    private static string Operation(Call call) => call.Operation switch
    {
        Books.Operation.Completion => "text_completion",
        Books.Operation.Embedding => "embeddings",
        Books.Operation.Rerank => "rerank",
        _ => "chat",
    };

    /// <summary>One call from its request to its end.</summary>
    public sealed class CallSpan : IDisposable
    {
        private readonly TimeProvider clock;
        private readonly long began;
        private readonly Activity? activity;

        /// <summary>Why each choice ended; null: nobody listens.</summary>
        private readonly string[]? reasons;
        private TagList tags;
        private TimeSpan? toFirst;

        internal CallSpan(Call call, TimeProvider clock, Activity? activity)
        {
            (this.clock, this.activity) = (clock, activity);
            began = clock.GetTimestamp();
            tags = new TagList { { "gen_ai.provider.name", "qanat" }, { "gen_ai.operation.name", Operation(call) }, { "gen_ai.request.model", call.Model.Value } };
            if (activity is null) return;
            foreach (KeyValuePair<string, object?> tag in tags) activity.SetTag(tag.Key, tag.Value);
            activity.SetTag("qanat.tenant.id", call.Caller.Tenant.Id.ToString());
            if (call.Reads) return;
            reasons = new string[call.Choices];
            Array.Fill(reasons, "");
            activity.SetTag("gen_ai.request.temperature", (double)call.Sampling.Temperature);
            activity.SetTag("gen_ai.request.top_p", (double)call.Sampling.TopP);
            if (call.Sampling.TopK > 0) activity.SetTag("gen_ai.request.top_k", (double)call.Sampling.TopK);
            if (call.MaxTokens is { } most) activity.SetTag("gen_ai.request.max_tokens", most);
            if (call.Choices != 1) activity.SetTag("gen_ai.request.choice.count", call.Choices);
            if (!call.Whole) activity.SetTag("gen_ai.request.stream", true);
        }

        public void Note(CallEvent happened)
        {
            switch (happened)
            {
                case Delta when toFirst is null:
                    toFirst = clock.GetElapsedTime(began);
                    FirstToken.Record(toFirst.Value.TotalSeconds, tags);
                    if (activity?.GetTagItem("gen_ai.request.stream") is true) activity.SetTag("gen_ai.response.time_to_first_chunk", toFirst.Value.TotalSeconds);
                    break;
                case ChoiceFinished finished when reasons is not null:
                    reasons[finished.Choice] = AdminJson.Text(finished.Reason);
                    break;
                case Settled settled:
                    Note(settled);
                    break;
            }
        }

        public void Fail(string code)
        {
            tags.Add("error.type", code);
            activity?.SetTag("error.type", code);
            activity?.SetStatus(ActivityStatusCode.Error);
        }

        public void Dispose()
        {
            Duration.Record(clock.GetElapsedTime(began).TotalSeconds, tags);
            activity?.Dispose();
        }

        private void Note(Settled settled)
        {
            tags.Add("gen_ai.response.model", (settled.ServedModel ?? settled.Record.Model).Value);
            TokenCounts tokens = settled.Record.Tokens;
            Count("input", tokens.Input);
            Count("output", tokens.Output);
            if (toFirst is { } first && tokens.Output > 1) PerToken.Record((clock.GetElapsedTime(began) - first).TotalSeconds / (tokens.Output - 1), tags);
            if (activity is null) return;
            activity.SetTag("gen_ai.response.id", settled.Record.Id.ToString());
            activity.SetTag("gen_ai.response.model", (settled.ServedModel ?? settled.Record.Model).Value);
            activity.SetTag("gen_ai.usage.cache_read.input_tokens", tokens.CacheRead);
            activity.SetTag("gen_ai.usage.cache_creation.input_tokens", tokens.CacheWrite);
            if (tokens.Reasoning > 0) activity.SetTag("gen_ai.usage.reasoning.output_tokens", tokens.Reasoning);
            if (reasons is not null) activity.SetTag("gen_ai.response.finish_reasons", reasons);
        }

        private void Count(string type, long tokens)
        {
            if (Tokens.Enabled)
            {
                TagList counted = tags;
                counted.Add("gen_ai.token.type", type);
                Tokens.Record(tokens, counted);
            }
            activity?.SetTag($"gen_ai.usage.{type}_tokens", tokens);
        }
    }
}
