using System.Collections.Immutable;
using Qanat.Books;
using Qanat.Gateway;

namespace Qanat.Console;

/// <summary>What the page of the upstreams reads and changes. Secrets go in and never come out.</summary>
public sealed class UpstreamData(UpstreamDirectory directory, RoutingState routing, IBookStore store)
{
    public ImmutableArray<Upstream> All => directory.Current.All;
    public ImmutableArray<UpstreamRoute> Routes => [.. directory.Current.RoutesInForce];

    /// <summary>Who serves a model at this moment: its own upstreams or the built-in engine, others that stand in, or nobody.</summary>
    public ServedBy WhoServes(ModelName model) => routing.WhoServes(model);

    /// <summary>What each upstream earned and cost in a period, from the books; one part per currency.</summary>
    public async Task<UpstreamMoney> MoneyAsync(Period period, CancellationToken cancel)
    {
        ImmutableArray<UsageSum> sums = await store.SumUsageAsync(new SumQuery(period, GroupBy.Pool), cancel);
        return new UpstreamMoney([.. sums.Where(sum => sum.Key.Pool is not null)]);
    }

    public async Task SaveAsync(UpstreamForm form, Upstream? before, string who, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(form);
        UpstreamSpec spec = form.Read(before?.Spec);
        if (before is null && directory.Find(spec.Name) is not null) throw new FormatException($"There is an upstream '{spec.Name}' already: change that one, or choose another name.");
        await directory.SaveAsync(spec, form.Secret.Length > 0 ? form.Secret : null, who, cancel);
    }

    /// <summary>Off: no call goes to it any more; those under way end as they began.</summary>
    public Task TurnAsync(Upstream upstream, bool isOff, string who, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(upstream);
        return directory.SaveAsync(upstream.Spec with { IsOff = isOff }, null, who, cancel);
    }
}

/// <summary>Sums of usage by pool.</summary>
public sealed record UpstreamMoney(ImmutableArray<UsageSum> Sums)
{
    public IEnumerable<UsageSum> Of(Upstream upstream)
    {
        ArgumentNullException.ThrowIfNull(upstream);
        return Sums.Where(sum => sum.Key.Pool == upstream.Spec.Pool);
    }
}

/// <summary>The fields of an upstream as people write them.</summary>
public sealed class UpstreamForm
{
    private const int ContextTokensMin = 16;
    private static readonly Currency s_currency = Currency.Usd;

    public string Name { get; set; } = "";
    public UpstreamProtocol Protocol { get; set; }
    public string Url { get; set; } = "";

    /// <summary>Empty: the one it has at this address, if any.</summary>
    public string Secret { get; set; } = "";

    /// <summary>A line each: NAME or NAME=THEIRS, then its rates as in a price, then context N.</summary>
    public string Models { get; set; } = "";
    public bool AllowPrivate { get; set; }
    public string Rank { get; set; } = "0";
    public string Weight { get; set; } = "1";
    public string ConcurrentMax { get; set; } = "1000";

    public static UpstreamForm Of(UpstreamSpec spec)
    {
        ArgumentNullException.ThrowIfNull(spec);
        return new UpstreamForm
        {
            Name = spec.Name,
            Protocol = spec.Protocol,
            Url = spec.Url.AbsoluteUri,
            Models = string.Join('\n', spec.Models.Select(Line)),
            AllowPrivate = spec.AllowPrivate,
            Rank = FormattableString.Invariant($"{spec.Rank}"),
            Weight = FormattableString.Invariant($"{spec.Weight}"),
            ConcurrentMax = FormattableString.Invariant($"{spec.ConcurrentMax}"),
        };
    }

    /// <param name="before">What it was: whatever has no field stays as it is.</param>
    /// <exception cref="FormatException">Says which field is wrong, and what it should be.</exception>
    public UpstreamSpec Read(UpstreamSpec? before)
    {
        string name = Name.Trim();
        if (UpstreamSpec.Refuse(name) is { } rule) throw new FormatException($"A name is made of {rule}");
        Uri url = UpstreamSpec.ReadUrl(Url.Trim()) ?? throw new FormatException($"'{Url}' is no address of an upstream: it is {UpstreamSpec.UrlRule}");
        ImmutableArray<UpstreamModel> models = [.. Models.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(line => ReadModel(line, before))];
        if (models.IsEmpty) throw new FormatException("Write at least one model that it serves.");
        if (models.GroupBy(model => model.Name).FirstOrDefault(group => group.Count() > 1) is { } twice) throw new FormatException($"The model '{twice.Key}' is written twice.");
        return (before ?? new UpstreamSpec(name, Protocol, url, models)) with
        {
            Protocol = Protocol,
            Url = url,
            Models = models,
            AllowPrivate = AllowPrivate,
            Rank = (int)Whole(Rank, "rank", 0, 100),
            Weight = (int)Whole(Weight, "weight", 1, 1_000),
            ConcurrentMax = (int)Whole(ConcurrentMax, "number of calls at the same time", 1, 100_000),
        };
    }

    private static string Line(UpstreamModel model)
    {
        string name = model.Theirs == model.Name.Value ? model.Theirs : $"{model.Name}={model.Theirs}";
        string rates = model.Rates is null ? "" : $" {model.Rates}";
        return FormattableString.Invariant($"{name}{rates} context {model.ContextLength}");
    }

    private static UpstreamModel ReadModel(string line, UpstreamSpec? before)
    {
        string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        string[] names = words[0].Split('=', 2);
        UpstreamModel model = before?.Models.FirstOrDefault(each => each.Name.Value == names[0]) ?? new UpstreamModel(new ModelName(names[0]), names[0], null);
        int context = Array.IndexOf(words, "context");
        string rates = string.Join(' ', context < 0 ? words[1..] : [.. words[1..context], .. words.Skip(context + 2)]);
        if (names.Length == 2 && names[1].Length == 0) throw new FormatException($"'{line}': after '=' comes what the upstream calls the model.");
        try
        {
            return model with
            {
                Theirs = names[^1],
                Rates = rates.Length == 0 ? null : TokenRates.Parse(rates, model.Rates?.Currency ?? s_currency),
                ContextLength = context < 0 ? model.ContextLength : (int)Whole(words.ElementAtOrDefault(context + 1) ?? "", "context", ContextTokensMin, int.MaxValue),
            };
        }
        catch (Exception error) when (error is ArgumentException or OverflowException or FormatException)
        {
            throw new FormatException($"'{line}' is no model: write NAME=THEIRS input 0.08 output 0.24 context 32768. {error.Message}", error);
        }
    }

    private static long Whole(string text, string what, long least, long most) =>
        long.TryParse(text.Trim(), System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out long number) && number >= least && number <= most
            ? number
            : throw new FormatException(FormattableString.Invariant($"The {what} is a whole number from {least} to {most}."));
}
