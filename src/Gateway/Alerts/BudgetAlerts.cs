using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway;

public sealed record AlertOptions
{
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Times an alert is tried; the pause before each doubles from <see cref="RetryPause"/>.</summary>
    public int TriesMax { get; init; } = 8;
    public TimeSpan RetryPause { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>What an alert that was told is remembered for.</summary>
    public TimeSpan RememberFor { get; init; } = TimeSpan.FromDays(400);
}

/// <summary>Tells tenants that half, four fifths and all of a budget is spent or held, or that it has no room left for a request (ADR 73): once each, durably, and again until it arrives or has been tried often enough.
/// An alert is written down before it is sent, so a restart neither loses nor repeats it.</summary>
public sealed class BudgetAlerts(DirectoryState directory, BudgetLimits budgets, IDocumentStore documents, WebhookSender webhooks, MailSender mail, AlertOptions options, TimeProvider clock, ILogger<BudgetAlerts> log) : BackgroundService
{
    private const string Kind = "budget-alert";
    private static readonly int[] ThresholdsPercent = [50, 80, 100];
    private readonly HashSet<string> told = new(StringComparer.Ordinal);

    /// <summary>Notices what has passed a threshold, and sends what is due.</summary>
    public async Task RunOnceAsync(CancellationToken cancel)
    {
        foreach (Tenant tenant in directory.Current.Tenants)
        {
            Way[] ways = [.. WaysOf(TenantTerms.Of(tenant))];
            if (ways.Length == 0) continue;
            foreach (BudgetAlert alert in Passed(tenant))
            {
                foreach (Way way in ways)
                {
                    if (!told.Contains(alert.Id + way.Name)) await TellAsync(tenant, alert, way, cancel);
                }
            }
        }
    }

    /// <summary>Each by itself: what one has taken is not told again because another has not.</summary>
    private IEnumerable<Way> WaysOf(TenantTerms terms)
    {
        if (terms.Webhook is { } webhook)
            yield return new Way("", (alert, cancel) => webhooks.SendAsync(webhook, alert.Id, JsonSerializer.SerializeToUtf8Bytes(alert, AlertJson.Default.BudgetAlert), cancel));
        if (mail.Terms is null) yield break;
        foreach (string address in terms.AlertMail) yield return new Way("/mail/" + address, (alert, cancel) => mail.SendAsync(alert, address, cancel));
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using PeriodicTimer timer = new(options.Interval, clock);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                try
                {
                    await RunOnceAsync(stoppingToken);
                }
                catch (StoreException error)
                {
                    log.LogWarning(error, "Budget alerts could not be read or written; tried again in {Interval}.", options.Interval);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The process ends; what was not sent is due at the next start.
        }
    }

    private IEnumerable<BudgetAlert> Passed(Tenant tenant)
    {
        TenantTerms terms = TenantTerms.Of(tenant);
        DateTimeOffset now = clock.GetUtcNow();
        return
        [
            .. OfPart(null, tenant.MonthlyBudget, terms.DailyLimit, currency => budgets.Use(tenant.Id.Value, currency), currency => budgets.UseToday(tenant.Id, currency),
                (kind, limit) => budgets.IsUsedUp(tenant.Id, kind, limit)),
            .. directory.Current.Projects.Where(project => project.Tenant == tenant.Id).SelectMany(project => OfPart($"project {project.Name}", project.MonthlyBudget, ProjectTerms.Of(project).DailyLimit,
                currency => budgets.Use(project.Id.Value, currency), currency => budgets.UseToday(project.Id, currency), (kind, limit) => budgets.IsUsedUp(project.Id, kind, limit))),
            .. directory.Current.NewestKeys.Where(key => key.Tenant == tenant.Id).SelectMany(key => OfPart($"key {key.Prefix}", key.MonthlyBudget, KeyTerms.Of(key).DailyLimit,
                currency => budgets.Use(key.Id.Value, currency), currency => budgets.UseToday(key.Id, currency), (kind, limit) => budgets.IsUsedUp(key.Id, kind, limit))),
            .. terms.Models.SelectMany(model => OfPart($"model {model.Key}", model.Value.MonthlyLimit, model.Value.DailyLimit,
                currency => budgets.UseOfModel(tenant.Id, new ModelName(model.Key), SpanKind.Month, currency), currency => budgets.UseOfModel(tenant.Id, new ModelName(model.Key), SpanKind.Day, currency),
                (kind, limit) => budgets.IsUsedUp(tenant.Id, new ModelName(model.Key), kind, limit))),
            .. budgets.UsePrepaid(tenant.Id).SelectMany(credit => Of("prepaid credit", "", credit.Paid, (credit.Used, credit.Held), budgets.IsUsedUp(tenant.Id, SpanKind.Credit, credit.Paid))),
        ];

        // Whose it is: null is the tenant's own.
        IEnumerable<BudgetAlert> OfPart(string? whose, Money? month, Money? day, Func<Currency, (Money Spent, Money Held)> thisMonth, Func<Currency, (Money Spent, Money Held)> today, Func<SpanKind, Money, bool> usedUp)
        {
            string of = whose is null ? "" : " of " + whose;
            return
            [
                .. month is { } most ? Of("monthly budget" + of, now.ToString("yyyy-MM/", CultureInfo.InvariantCulture), most, thisMonth(most.Currency), usedUp(SpanKind.Month, most)) : [],
                .. day is { } daily ? Of("daily budget" + of, now.ToString("yyyy-MM-dd/", CultureInfo.InvariantCulture), daily, today(daily.Currency), usedUp(SpanKind.Day, daily)) : [],
            ];
        }

        // The limit is in the id: another one has thresholds of its own.
        IEnumerable<BudgetAlert> Of(string kind, string span, Money limit, (Money Spent, Money Held) use, bool usedUp) => limit.Picos == 0 ? [] : ThresholdsPercent
            .Where(percent => IsPassed(limit, use, percent) || percent == 100 && usedUp)
            .Select(percent => new BudgetAlert($"{tenant.Id}/{kind}/{span}{limit.ToDecimalText()} {limit.Currency.Code}/{percent}", tenant.Name, tenant.Id.ToString(), kind, percent, limit.ToDecimalText(), use.Spent.ToDecimalText(),
                use.Held.ToDecimalText(), limit.Currency.Code, now.ToString("O", CultureInfo.InvariantCulture))
            {
                Refused = !IsPassed(limit, use, percent),
            });
    }

    private static bool IsPassed(Money limit, (Money Spent, Money Held) use, int percent) => (use.Spent.Picos + use.Held.Picos) * 100 >= limit.Picos * percent;

    private async Task TellAsync(Tenant tenant, BudgetAlert alert, Way way, CancellationToken cancel)
    {
        DocumentKey key = new(Kind, tenant.Id, alert.Id + way.Name);
        Instant now = Instant.Now(clock);
        Instant forgotten = Instant.From(clock.GetUtcNow() + options.RememberFor);
        Pending fresh = new(alert, 0, now.UnixNanoseconds, Done: false);
        await documents.TryAddAsync(new NewDocument(key, now, Bytes(fresh), forgotten), cancel);
        if (await documents.FindAsync(key, cancel) is not { } stored) return;
        Pending pending = JsonSerializer.Deserialize(stored.Content.Span, AlertJson.Default.Pending)!;
        if (pending.Done)
        {
            told.Add(alert.Id + way.Name);
            return;
        }
        if (pending.DueAtNs > now.UnixNanoseconds) return;
        bool arrived = await way.Send(pending.Alert, cancel);
        int tries = pending.Tries + 1;
        bool givenUp = !arrived && tries >= options.TriesMax;
        if (givenUp) log.LogWarning("The alert {Alert} was not taken after {Tries} tries.", key.Id, tries);
        TimeSpan pause = options.RetryPause * (1L << Math.Min(tries - 1, 16));
        await documents.TryReplaceAsync(key, stored.Version, Bytes(pending with { Tries = tries, Done = arrived || givenUp, DueAtNs = Instant.From(clock.GetUtcNow() + pause).UnixNanoseconds }), forgotten, cancel);
    }

    /// <summary>A way in which a tenant is told.</summary>
    /// <param name="Name">Tells it from the others in what is remembered.</param>
    private sealed record Way(string Name, Func<BudgetAlert, CancellationToken, Task<bool>> Send);

    private static byte[] Bytes(Pending pending) => JsonSerializer.SerializeToUtf8Bytes(pending, AlertJson.Default.Pending);
}

internal sealed record Pending(BudgetAlert Alert, int Tries, long DueAtNs, bool Done);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(BudgetAlert))]
[JsonSerializable(typeof(Pending))]
internal sealed partial class AlertJson : JsonSerializerContext;
