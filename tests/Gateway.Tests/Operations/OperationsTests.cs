using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Net;
using System.Text.RegularExpressions;
using Qanat.Books;
using Qanat.Models;

namespace Qanat.Gateway.Tests;

public sealed partial class OperationsTests
{
    private const string Hello = """{"model":"scripted-1","messages":[{"role":"user","content":"a very private question"}]}""";

    [Fact]
    public async Task A_draining_server_says_so_takes_nothing_new_and_lets_what_runs_finish()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously), begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) =>
        {
            begun.SetResult();
            return Script.SayAndWait(call, gate.Task, cancel);
        };
        Assert.Equal("ready", (string?)(await gateway.GetAsync("/readyz")).Body["status"]);
        Task<Answer> running = gateway.PostAsync("/v1/chat/completions", Hello);
        await Task.WhenAny(begun.Task, running);
        DrainState drain = gateway.Get<DrainState>();
        drain.Begin();
        Answer ready = await gateway.GetAsync("/readyz");
        Assert.Equal((503, "draining", "5"), (ready.Status, (string?)ready.Body["reason"], ready.Header("Retry-After")));
        Answer refused = await gateway.PostAsync("/v1/chat/completions", Hello);
        Assert.Equal((503, "shutting_down", "5"), (refused.Status, refused.Code, refused.Header("Retry-After")));
        Assert.Equal(200, (await gateway.GetAsync("/healthz")).Status);

        ManualClock clock = new();
        Task<bool> waited = drain.WaitAsync(TimeSpan.FromSeconds(30), clock);
        clock.Advance(TimeSpan.FromSeconds(30));
        Assert.False(await waited);
        gate.SetResult();
        Assert.Equal(200, (await running).Status);
        Assert.True(await drain.WaitAsync(TimeSpan.FromMinutes(1), TimeProvider.System));
    }

    [Fact]
    public async Task Metrics_are_for_whoever_may_see_the_status_and_are_well_formed()
    {
        // No day or month ends meanwhile.
        await using TestGateway gateway = await TestGateway.StartAsync(clock: new ManualClock());
        await gateway.AdminAsync("PUT", "/api/tenants/acme/budget", """{"monthly_budget":"4"}""");
        await gateway.AdminAsync("POST", "/api/tenants", """{"name":"odd \"name\"\\","monthly_budget":"0"}""");
        Caller caller = CallerOf(gateway);
        gateway.Get<BudgetLimits>().Settle(await gateway.Get<BudgetLimits>().PlaceAsync(caller, Money.Parse("1", Currency.Usd), CancellationToken.None), Money.Parse("1", Currency.Usd));
        Assert.Equal(403, (await gateway.GetAsync("/metrics")).Status);
        using HttpResponseMessage response = await gateway.Owner.GetAsync("/metrics", TestContext.Current.CancellationToken);
        string text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.All(text.Split('\n', StringSplitOptions.RemoveEmptyEntries), line => Assert.Matches(MetricLine(), line));
        Assert.Contains("qanat_budget_used_permille{tenant=\"acme\",budget=\"month\"} 250\n", text, StringComparison.Ordinal);
        Assert.Contains("qanat_budget_used_permille{tenant=\"odd \\\"name\\\"\\\\\",budget=\"month\"} 1000\n", text, StringComparison.Ordinal);
        Assert.Contains("qanat_assumptions_in_force{kind=\"cost\"} 1\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Metrics_tell_of_everything_that_has_a_budget_what_is_spent_and_held_and_of_users_how_many_are_how_far()
    {
        // No day or month ends meanwhile.
        await using TestGateway gateway = await TestGateway.StartAsync(clock: new ManualClock());
        Caller before = CallerOf(gateway);
        string[] none = [.. (await MetricsAsync(gateway)).Where(line => line.StartsWith("qanat_budget_", StringComparison.Ordinal))];
        Assert.Empty(none);
        await gateway.AdminAsync("PUT", "/api/tenants/acme/limits", """{"each_user":{"monthly_budget":"0.50 USD"},"models":{"scripted-1":{"daily_budget":"2 USD"}}}""");
        Assert.Equal(200, (await gateway.AdminAsync("PUT", $"/api/projects/{before.Project.Id}/budget", """{"monthly_budget":"8"}""")).Status);
        Assert.Equal(200, (await gateway.AdminAsync("PUT", $"/api/keys/{before.Key.Id}/terms", """{"daily_budget":"3 USD"}""")).Status);
        (Caller caller, BudgetLimits budgets) = (CallerOf(gateway), gateway.Get<BudgetLimits>());
        await budgets.KnowPartsAsync(caller);
        await budgets.PlaceAsync(caller, Money.Parse("0.25", Currency.Usd), CancellationToken.None, new CallParts("ann@example.org", new ModelName("scripted-1")));
        await budgets.PlaceAsync(caller, Money.Parse("0.10", Currency.Usd), CancellationToken.None, new CallParts("bob", new ModelName("scripted-1")));

        string[] lines = await MetricsAsync(gateway);
        string key = $"level=\"key\",tenant=\"acme\",project=\"default\",key=\"{caller.Key.Prefix}\",key_id=\"{caller.Key.Id}\",budget=\"day\",currency=\"USD\"";
        string[] expected =
        [
            """qanat_budget_limit{level="model",tenant="acme",model="scripted-1",budget="day",currency="USD"} 2""",
            """qanat_budget_held{level="model",tenant="acme",model="scripted-1",budget="day",currency="USD"} 0.35""",
            """qanat_budget_spent{level="model",tenant="acme",model="scripted-1",budget="day",currency="USD"} 0""",
            """qanat_budget_limit{level="project",tenant="acme",project="default",budget="month",currency="USD"} 8""",
            """qanat_budget_held{level="project",tenant="acme",project="default",budget="month",currency="USD"} 0.35""",
            "qanat_budget_limit{" + key + "} 3",
            "qanat_budget_held{" + key + "} 0.35",
            """qanat_budget_users{tenant="acme",budget="month",used_percent="0"} 2""",
            """qanat_budget_users{tenant="acme",budget="month",used_percent="50"} 1""",
            """qanat_budget_users{tenant="acme",budget="month",used_percent="80"} 0""",
        ];
        Assert.Empty(expected.Except(lines));
        Assert.DoesNotContain(lines, line => line.Contains("ann@", StringComparison.Ordinal));
        Assert.All(lines, line => Assert.Matches(MetricLine(), line));
    }

    private static async Task<string[]> MetricsAsync(TestGateway gateway) =>
        (await gateway.Owner.GetStringAsync("/metrics", TestContext.Current.CancellationToken)).Split('\n', StringSplitOptions.RemoveEmptyEntries);

    [Fact]
    public async Task A_call_is_one_span_and_its_measures_by_the_conventions_without_what_was_said()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        string tenant = CallerOf(gateway).Tenant.Id.ToString();
        List<Activity> spans = [];
        using ActivityListener listener = new()
        {
            ShouldListenTo = source => source.Name == GenAiTelemetry.Name,
            Sample = (ref _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = span => { lock (spans) spans.Add(span); },
        };
        ActivitySource.AddActivityListener(listener);
        await gateway.PostAsync("/v1/chat/completions", Hello);
        gateway.Script.Answer = (call, _) => Script.Refuse(new ApiException(429, "rate_limit_error", "queue_full", "busy"));
        await gateway.PostAsync("/v1/chat/completions", Hello);

        Activity[] own;
        lock (spans) own = [.. spans.Where(span => span.GetTagItem("qanat.tenant.id") as string == tenant)];
        Assert.Equal(["chat scripted-1", "chat scripted-1"], own.Select(span => span.DisplayName));
        Assert.Equal(("qanat", "chat", "scripted-1"), (own[0].GetTagItem("gen_ai.provider.name"), own[0].GetTagItem("gen_ai.operation.name"), own[0].GetTagItem("gen_ai.request.model")));
        Assert.Equal(5L, own[0].GetTagItem("gen_ai.usage.output_tokens"));
        Assert.Equal(("queue_full", ActivityStatusCode.Error), (own[1].GetTagItem("error.type"), own[1].Status));
        Assert.DoesNotContain(own.SelectMany(span => span.TagObjects), tag => tag.Value?.ToString()?.Contains("private", StringComparison.Ordinal) == true);
    }

    [Fact]
    public async Task A_streamed_call_of_two_choices_says_what_was_asked_who_answered_and_why_each_choice_ended()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        string tenant = CallerOf(gateway).Tenant.Id.ToString(), answerer = "stand-in-" + tenant;
        List<Activity> spans = [];
        List<string> measured = [];
        using ActivityListener listener = new()
        {
            ShouldListenTo = source => source.Name == GenAiTelemetry.Name,
            Sample = (ref _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = span => { lock (spans) spans.Add(span); },
        };
        using MeterListener measures = new() { InstrumentPublished = (instrument, meters) => { if (instrument.Meter.Name == GenAiTelemetry.Name) meters.EnableMeasurementEvents(instrument); } };
        measures.SetMeasurementEventCallback<double>((instrument, _, tags, _) => Measure(instrument, tags));
        measures.SetMeasurementEventCallback<long>((instrument, _, tags, _) => Measure(instrument, tags));
        measures.Start();
        ActivitySource.AddActivityListener(listener);
        gateway.Script.Answer = (call, _) => TwoAsync(call, new ModelName(answerer));
        await gateway.StreamAsync("/v1/chat/completions", """{"model":"scripted-1","n":2,"temperature":0.5,"stream":true,"messages":[{"role":"user","content":"private"}]}""");

        Activity span;
        lock (spans) span = spans.Single(each => each.GetTagItem("qanat.tenant.id") as string == tenant);
        Assert.Equal(["stop", "length"], (string[])span.GetTagItem("gen_ai.response.finish_reasons")!);
        Assert.Equal((2, true, 0.5, answerer), (span.GetTagItem("gen_ai.request.choice.count"), span.GetTagItem("gen_ai.request.stream"), span.GetTagItem("gen_ai.request.temperature"), span.GetTagItem("gen_ai.response.model")));
        Assert.Equal((1L, 0L), (span.GetTagItem("gen_ai.usage.cache_read.input_tokens"), span.GetTagItem("gen_ai.usage.cache_creation.input_tokens")));
        Assert.IsType<double>(span.GetTagItem("gen_ai.response.time_to_first_chunk"));
        lock (measured) Assert.Equal(["gen_ai.client.token.usage", "gen_ai.client.token.usage", "gen_ai.server.request.duration", "gen_ai.server.time_per_output_token"], measured.Order(StringComparer.Ordinal));

        void Measure(Instrument instrument, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            foreach (KeyValuePair<string, object?> tag in tags)
            {
                if (tag is not { Key: "gen_ai.response.model", Value: string model } || model != answerer) continue;
                lock (measured) measured.Add(instrument.Name);
            }
        }
    }

    /// <summary>The second choice ends first.</summary>
    private static async IAsyncEnumerable<CallEvent> TwoAsync(Call call, ModelName answerer)
    {
        await Task.Yield();
        Admitted admitted = Script.Admit(call);
        yield return admitted;
        yield return new Delta(1, [new TextPiece("b")], []);
        yield return new ChoiceFinished(1, AnswerEnd.Length);
        yield return new Delta(0, [new TextPiece("a")], []);
        yield return new ChoiceFinished(0, AnswerEnd.Stop);
        yield return Script.Settle(call, admitted, 4) with { ServedModel = answerer };
    }

    private static Caller CallerOf(TestGateway gateway)
    {
        Assert.True(gateway.Get<KeyRing>().TryAuthenticate(gateway.Key, out Caller caller));
        return caller;
    }

    [GeneratedRegex("""^(# (HELP|TYPE) qanat_\w+ .+|qanat_\w+(\{\w+="([^"\\]|\\.)*"(,\w+="([^"\\]|\\.)*")*\})? -?\d+(\.\d+)?)$""")]
    private static partial Regex MetricLine();
}
