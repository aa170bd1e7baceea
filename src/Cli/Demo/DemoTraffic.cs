using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Qanat.Books;
using Qanat.Gateway;

namespace Qanat.Cli;

/// <summary>Three tenants with different prices and habits send real requests to the real endpoint for a while. Nothing is made up: every figure on the page was measured.</summary>
internal sealed class DemoTraffic(QanatServer server, TimeSpan duration, TimeProvider clock)
{
    private static readonly DemoTenant[] Tenants =
    [
        new("Lina (demo developer)", "side-project", "0.06", "0.45", "0.00020", new Habit(Workers: 1, PauseMs: 700, MaxTokens: 48, Stream: true)),
        new("Karst Logistics (demo company)", "support-desk", "0.05", "0.40", "0.05", new Habit(Workers: 3, PauseMs: 150, MaxTokens: 96, Stream: true)),
        new("City Archive (demo public body)", "catalogue", "0.03", "0.20", "0.02", new Habit(Workers: 2, PauseMs: 400, MaxTokens: 160, Stream: false)),
    ];

    private static readonly string[] Prompts =
    [
        "Write a function that splits an amount over shares so that the parts sum to the whole.",
        "A parcel has been at the border for six days. Draft a short, friendly answer to the customer.",
        "Summarise this record: letter of the water guild, 1893, on who may draw from the channel and when.",
        "为什么坎儿井能够把水送到很远的田地？",
        "Explain in two sentences what a gross margin is and what it is not.",
        "Liste die Schritte auf, mit denen ein Lagerbestand abgeglichen wird.",
        "Translate to Spanish: the shares were measured by a water clock.",
        "Find the mistake: for (int i = 0; i <= items.Length; i++) total += items[i].Price;",
    ];

    public async Task RunAsync(IProgress<string> progress, CancellationToken cancel)
    {
        string model = server.Deployment!.Name.Value;
        List<(DemoTenant Tenant, string Key)> ready = [];
        foreach (DemoTenant tenant in Tenants) ready.Add((tenant, await PrepareAsync(tenant, cancel)));
        progress.Report($"Demo: three tenants send requests for {duration.TotalSeconds:0} seconds. Their data is labelled demo; remove it with: qanat demo clear");

        using CancellationTokenSource time = new(duration, clock);
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(time.Token, cancel);
        using HttpClient http = new() { BaseAddress = new Uri(server.Url), Timeout = TimeSpan.FromMinutes(2) };
        IEnumerable<Task> workers = ready.SelectMany((each, tenant) => Enumerable.Range(0, each.Tenant.Habit.Workers)
            .Select(worker => WorkAsync(http, model, each.Tenant.Habit, each.Key, seed: tenant * 100 + worker, stop.Token)));
        await Task.WhenAll(workers);
        cancel.ThrowIfCancellationRequested();
        progress.Report("Demo: done. The page shows what it measured.");
    }

    /// <summary>Makes the tenant, its price and a key, or a new key when an earlier demo made the tenant.</summary>
    private async Task<string> PrepareAsync(DemoTenant demo, CancellationToken cancel)
    {
        DirectoryState directory = server.Services.GetRequiredService<DirectoryState>();
        TariffState tariffs = server.Services.GetRequiredService<TariffState>();
        const string who = "demo";
        Tenant? tenant = directory.Current.FindTenant(demo.Name);
        if (tenant is null)
        {
            tenant = await directory.CreateTenantAsync(who, new NewTenant(demo.Name, Money.Parse(demo.MonthlyBudget, Currency.Usd), IsDemo: true), cancel);
            Instant now = Instant.Now(clock);
            PriceVersion price = new(PriceVersionId.New(clock), now, null, tenant.Id, TokenRates.PerMillion(Currency.Usd, demo.InputPrice, demo.OutputPrice), IsAssumption: false, "demo price", now);
            await tariffs.AddPriceAsync(price, new AuditEntry(now, who, "price.add", tenant.Name, null, $"{price.Rates} per million tokens"), cancel);
        }
        Project project = directory.Current.FindProject(tenant.Id, demo.Project) ?? await directory.CreateProjectAsync(who, tenant, demo.Project, null, cancel);
        NewKey key = await directory.CreateKeyAsync(who, new NewKeyOrder(project, "demo", KeyRole.Inference, null), null, cancel);
        return key.Secret;
    }

    private async Task WorkAsync(HttpClient http, string model, Habit habit, string key, int seed, CancellationToken stop)
    {
        Random random = new(seed);
        try
        {
            while (!stop.IsCancellationRequested)
            {
                using HttpRequestMessage request = new(HttpMethod.Post, "v1/chat/completions");
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
                request.Content = new StringContent(Body(model, habit, random).ToJsonString(), Encoding.UTF8, "application/json");
                using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop);
                await response.Content.CopyToAsync(Stream.Null, stop);
                await Task.Delay(TimeSpan.FromMilliseconds(habit.PauseMs * (0.5 + random.NextDouble())), clock, stop);
            }
        }
        catch (Exception error) when (error is OperationCanceledException or HttpRequestException or IOException)
        {
            // The time is up, or the server stops: what was served until then is settled like any request whose client left.
        }
    }

    private static JsonObject Body(string model, Habit habit, Random random) => new()
    {
        ["model"] = model,
        ["stream"] = habit.Stream,
        ["max_tokens"] = random.Next(habit.MaxTokens / 2, habit.MaxTokens + 1),
        ["temperature"] = 0.8,
        ["seed"] = random.Next(),
        ["user"] = "demo-user-" + random.Next(5),
        ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = Prompts[random.Next(Prompts.Length)] }),
    };

    /// <param name="MonthlyBudget">The developer's is small, so that the page shows one that runs out.</param>
    private sealed record DemoTenant(string Name, string Project, string InputPrice, string OutputPrice, string MonthlyBudget, Habit Habit);

    private sealed record Habit(int Workers, int PauseMs, int MaxTokens, bool Stream);
}
