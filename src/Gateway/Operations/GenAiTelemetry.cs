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

    private static readonly Histogram<double> Duration = Meter.CreateHistogram<double>("gen_ai.server.request.duration", "s", "Time from the request to the end of its answer.");
    private static readonly Histogram<double> FirstToken = Meter.CreateHistogram<double>("gen_ai.server.time_to_first_token", "s", "Time from the request to the first piece of its answer.");
    private static readonly Histogram<long> Tokens = Meter.CreateHistogram<long>("gen_ai.client.token.usage", "{token}", "Tokens of a request, by type.");

    public static CallSpan Begin(Call call, TimeProvider clock)
    {
        ArgumentNullException.ThrowIfNull(call);
        return new CallSpan(call, clock, Source.StartActivity($"{Operation(call)} {call.Model}", ActivityKind.Server));
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
        private TagList tags;
        private bool spoke;

        internal CallSpan(Call call, TimeProvider clock, Activity? activity)
        {
            (this.clock, this.activity) = (clock, activity);
            began = clock.GetTimestamp();
            tags = new TagList { { "gen_ai.provider.name", "qanat" }, { "gen_ai.operation.name", Operation(call) }, { "gen_ai.request.model", call.Model.Value } };
            if (activity is null) return;
            foreach (KeyValuePair<string, object?> tag in tags) activity.SetTag(tag.Key, tag.Value);
            if (call.MaxTokens is { } most) activity.SetTag("gen_ai.request.max_tokens", most);
            activity.SetTag("gen_ai.request.choice.count", call.Choices);
            activity.SetTag("qanat.tenant.id", call.Caller.Tenant.Id.ToString());
        }

        public void Note(CallEvent happened)
        {
            switch (happened)
            {
                case Delta when !spoke:
                    spoke = true;
                    FirstToken.Record(clock.GetElapsedTime(began).TotalSeconds, tags);
                    break;
                case ChoiceFinished finished:
                    activity?.SetTag("gen_ai.response.finish_reasons", new[] { AdminJson.Text(finished.Reason) });
                    break;
                case Settled settled:
                    Count("input", settled.Record.Tokens.Input);
                    Count("output", settled.Record.Tokens.Output);
                    activity?.SetTag("gen_ai.response.id", settled.Record.Id.ToString());
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

        private void Count(string type, long tokens)
        {
            TagList counted = tags;
            counted.Add("gen_ai.token.type", type);
            Tokens.Record(tokens, counted);
            activity?.SetTag($"gen_ai.usage.{type}_tokens", tokens);
        }
    }
}
