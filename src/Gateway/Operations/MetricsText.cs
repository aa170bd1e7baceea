using System.Globalization;
using System.Text;
using Qanat.Books;
using Qanat.Engine;

namespace Qanat.Gateway;

/// <summary>What Prometheus reads: the engines, the books and their named gaps, and how near budgets are to their end. Counts come from the books, so they survive a restart.</summary>
internal sealed class MetricsText(IBookStore store, DirectoryState directory, TariffState tariffs, BudgetLimits budgets, RoutingState routing, LiveMeter live, RateLimits rates, DrainState drain, TimeProvider clock)
{
    public async Task<string> WriteAsync(CancellationToken cancel)
    {
        StringBuilder text = new();
        Family(text, "qanat_build_info", "gauge", "The version that runs.", [([("version", QanatVersion.Text)], 1)]);
        Family(text, "qanat_draining", "gauge", "1 while the process is about to end.", [([], drain.IsDraining ? 1 : 0)]);
        Family(text, "qanat_requests_active", "gauge", "Requests under way.", [([], live.Snapshot().Active)]);
        Family(text, "qanat_requests_in_line", "gauge", "Requests that wait for a rate or a place under limits.", [([], rates.WaitingCount)]);
        WriteEngines(text);
        WriteUpstreams(text);
        await WriteBooksAsync(text, cancel);
        WriteBudgets(text);
        new BudgetMetrics(directory.Current, budgets).Write(text);
        return text.ToString();
    }

    private void WriteEngines(StringBuilder text)
    {
        (Deployment Deployment, EngineStatus Status)[] engines = [.. routing.Deployments.Select(each => (each, each.Engine.Status))];
        Of("qanat_engine_sequences_running", "gauge", "Sequences in the engine.", status => status.Running);
        Of("qanat_engine_sequences_waiting", "gauge", "Sequences in the engine's queue.", status => status.Waiting);
        Of("qanat_engine_blocks_used", "gauge", "Blocks of keys and values in use.", status => status.BlocksUsed);
        Of("qanat_engine_blocks_free", "gauge", "Blocks of keys and values that are free.", status => status.BlocksFree);
        Of("qanat_engine_states_held", "gauge", "Recurrent states of running sequences (models with gated DeltaNets).", status => status.States?.Held ?? 0);
        Of("qanat_engine_states_kept", "gauge", "Recurrent states kept as checkpoints of the prefix cache.", status => status.States?.Checkpoints ?? 0);
        Of("qanat_engine_unpacked_bytes", "gauge", "Weights that are not packed yet: until 0 steps take longer.", status => status.UnpackedBytes);
        Of("qanat_engine_steps_total", "counter", "Steps since the start.", status => status.Steps);
        Of("qanat_engine_prompt_tokens_total", "counter", "Prompt tokens computed since the start.", status => status.PromptTokens);
        Of("qanat_engine_generated_tokens_total", "counter", "Tokens generated since the start.", status => status.GeneratedTokens);
        Family(text, "qanat_books_stalled", "gauge", "1 while usage cannot be written, so that nothing is served.", engines.Select(each => (Model(each.Deployment), each.Deployment.Meter.Stalled ? 1L : 0L)));

        void Of(string name, string type, string help, Func<EngineStatus, long> value) => Family(text, name, type, help, engines.Select(each => (Model(each.Deployment), value(each.Status))));
        static (string, string)[] Model(Deployment deployment) => [("model", deployment.Name.Value)];
    }

    /// <summary>Counts since the start, like an engine's; what upstreams cost is in the books.</summary>
    private void WriteUpstreams(StringBuilder text)
    {
        (string Name, UpstreamHealth Health, UpstreamFiguresSnapshot Figures)[] all = [.. (routing.Upstreams?.Current ?? UpstreamMap.Empty).All.Where(each => !each.Spec.IsOff).Select(each => (each.Spec.Name, each.State.Health, each.State.Figures.Snapshot()))];
        Family(text, "qanat_upstream_up", "gauge", "1 while calls may go to the upstream, 0 while it is left alone.", all.Select(each => (Labels(each.Name), each.Health.IsUp ? 1L : 0L)));
        Family(text, "qanat_upstream_calls_running", "gauge", "Calls under way at the upstream.", all.Select(each => (Labels(each.Name), (long)each.Health.Running)));
        Family(text, "qanat_upstream_calls_total", "counter", "Attempts since the start that the upstream served, or failed.",
            all.SelectMany(each => new[] { (Labels(each.Name, ("result", "served")), each.Health.Served), (Labels(each.Name, ("result", "failed")), each.Health.Failed) }));
        Family(text, "qanat_upstream_usage_total", "counter", "Answers since the start, by how the usage that the upstream told stands to our own count. Missing: billed by our own count.",
            all.SelectMany(each => Enum.GetValues<UsageCheckState>().Select(state => (Labels(each.Name, ("state", state.ToString().ToLowerInvariant())), each.Figures.Of(state)))));
        const string Waits = "qanat_upstream_first_token_milliseconds";
        Head(text, Waits, "histogram", "From asking the upstream to the first piece of its answer.");
        foreach ((string name, _, UpstreamFiguresSnapshot figures) in all)
        {
            long sum = 0;
            for (int place = 0; place < figures.Waits.Length; place++)
            {
                sum += figures.Waits[place];
                Sample(text, Waits + "_bucket", Labels(name, ("le", place == figures.Waits.Length - 1 ? "+Inf" : UpstreamFigures.WaitClassesMs[place].ToString(CultureInfo.InvariantCulture))), sum);
            }
            Sample(text, Waits + "_sum", Labels(name), figures.WaitedMs);
            Sample(text, Waits + "_count", Labels(name), figures.Answers);
        }

        static (string, string)[] Labels(string upstream, params ReadOnlySpan<(string, string)> more) => [("upstream", upstream), .. more];
    }

    private async Task WriteBooksAsync(StringBuilder text, CancellationToken cancel)
    {
        UsageSum[] sums = [.. await store.SumUsageAsync(new SumQuery(Period.All, GroupBy.Model), cancel)];
        // One row per model and currency.
        (string Model, long Requests, long Unpriced, long Uncosted, long Input, long Output)[] models = [.. sums.GroupBy(sum => sum.Key.Model?.Value ?? "")
            .Select(group => (group.Key, group.Sum(sum => sum.Requests), group.Sum(sum => sum.Unpriced), group.Sum(sum => sum.Uncosted), group.Sum(sum => sum.Tokens.Input), group.Sum(sum => sum.Tokens.Output)))];
        Family(text, "qanat_requests_settled_total", "counter", "Requests in the books.", models.Select(each => (Labels(each.Model), each.Requests)));
        Family(text, "qanat_tokens_total", "counter", "Tokens in the books.", models.SelectMany(each => new[] { ((string, string)[])[("model", each.Model), ("type", "input")], [("model", each.Model), ("type", "output")] }
            .Select(labels => (labels, labels[1].Item2 == "input" ? each.Input : each.Output))));
        Family(text, "qanat_requests_unpriced_total", "counter", "Requests that no price was in force for.", models.Select(each => (Labels(each.Model), each.Unpriced)));
        Family(text, "qanat_requests_uncosted_total", "counter", "Requests that no cost was known for.", models.Select(each => (Labels(each.Model), each.Uncosted)));
        Instant now = Instant.Now(clock);
        Family(text, "qanat_assumptions_in_force", "gauge", "Prices and costs that stand in for facts until somebody confirms them.",
        [
            ([("kind", "price")], tariffs.Prices.Versions.Where(each => each.EffectiveFrom <= now).GroupBy(each => (each.Model, each.Tenant)).Count(group => group.Last().IsAssumption)),
            ([("kind", "cost")], tariffs.Costs.Pools.Count(pool => tariffs.Costs.RateAt(pool, now) is { IsAssumption: true })),
        ]);

        static (string, string)[] Labels(string model) => [("model", model)];
    }

    /// <summary>Permille of what each tenant may spend that is spent or held.</summary>
    private void WriteBudgets(StringBuilder text)
    {
        List<((string, string)[], long)> used = [];
        foreach (Tenant tenant in directory.Current.Tenants)
        {
            TenantTerms terms = TenantTerms.Of(tenant);
            if (tenant.MonthlyBudget is { } month) Add("month", month, budgets.Use(tenant.Id.Value, month.Currency));
            if (terms.DailyLimit is { } day) Add("day", day, budgets.UseToday(tenant.Id, day.Currency));
            foreach ((Money paid, Money drawn, Money held) in budgets.UsePrepaid(tenant.Id)) Add("credit", paid, (drawn, held));

            void Add(string kind, Money limit, (Money Spent, Money Held) use) =>
                used.Add(([("tenant", tenant.Name), ("budget", kind)], limit.Picos == 0 ? 1000 : (long)((use.Spent.Picos + use.Held.Picos) * 1000 / limit.Picos)));
        }
        Family(text, "qanat_budget_used_permille", "gauge", "Spent and held of what a tenant may spend, in thousandths.", used);
        Family(text, "qanat_tenant_stopped", "gauge", "1 while a tenant is stopped.", directory.Current.Tenants.Where(each => TenantTerms.Of(each).Stopped).Select(each => (((string, string)[])[("tenant", each.Name)], 1L)));
    }

    private static void Family(StringBuilder text, string name, string type, string help, IEnumerable<((string Name, string Value)[] Labels, long Value)> samples)
    {
        Head(text, name, type, help);
        foreach (((string Name, string Value)[] labels, long value) in samples) Sample(text, name, labels, value);
    }

    internal static void Head(StringBuilder text, string name, string type, string help) => text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {help}\n# TYPE {name} {type}\n");

    private static void Sample(StringBuilder text, string name, (string Name, string Value)[] labels, long value) => Sample(text, name, labels, value.ToString(CultureInfo.InvariantCulture));

    internal static void Sample(StringBuilder text, string name, (string Name, string Value)[] labels, string value)
    {
        text.Append(name);
        if (labels.Length > 0) text.Append('{').AppendJoin(',', labels.Select(label => $"{label.Name}=\"{Escape(label.Value)}\"")).Append('}');
        text.Append(CultureInfo.InvariantCulture, $" {value}\n");
    }

    private static string Escape(string value) => value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
}
