namespace Qanat.Books;

public enum TrainingPolicy { Expense, Capitalise }

/// <summary>A training run: the device time of its usage records (operation Train, of its model, completed in its period) and what else it cost.</summary>
/// <param name="EndOfLife">Amortised evenly from the end of the run until then; null: by tokens.</param>
/// <param name="LifeTokens">Amortised over so many tokens served; 0: by time.</param>
/// <param name="Base">The model it started from.</param>
/// <param name="BaseSharePermille">The part of the base model's amortisation since the end of the run that this model bears; null: by tokens served.</param>
public sealed record TrainingRun(string Name, ModelName Model, Period Period, TrainingPolicy Policy, Instant? EndOfLife, long LifeTokens, Money Data, Money Staff, ModelName? Base, int? BaseSharePermille)
{
    /// <summary>Whether it says over what it would be amortised: needed for capitalising, and for showing both views of an expensed run.</summary>
    public bool HasLife => EndOfLife is not null || LifeTokens > 0;

    internal static TrainingRun Read(FactLine line)
    {
        Currency currency = line.Currency();
        Period period = Bill.ReadPeriod(line);
        TrainingPolicy policy = line.Need("policy") switch
        {
            "expense" => TrainingPolicy.Expense,
            "capitalise" => TrainingPolicy.Capitalise,
            _ => throw line.Wrong("policy: write expense or capitalise."),
        };
        string? share = line.Find("base-share");
        var run = new TrainingRun(line.Word(1, "The run's name"), line.FindModel() ?? throw line.Wrong("'model' is missing."), period, policy,
            line.Find("life") is { } span ? FactValue.After(period.To, span) : null, line.Find("life-tokens", FactValue.Count) ?? 0,
            line.FindMoney("data", currency) ?? Money.Zero(currency), line.FindMoney("staff", currency) ?? Money.Zero(currency), line.FindModel("base"),
            share is null ? 0 : share == "tokens" ? null : FactValue.Permille(share));
        if (policy == TrainingPolicy.Capitalise && !run.HasLife) throw line.Wrong("A run that is capitalised needs 'life' or 'life-tokens'.");
        if (run.EndOfLife is not null && run.LifeTokens > 0) throw line.Wrong("'life' and 'life-tokens' exclude each other.");
        return run;
    }
}

/// <summary>A model is no longer served: what is not amortised of its training is written off.</summary>
public sealed record ModelRetired(ModelName Model, Instant At)
{
    internal static ModelRetired Read(FactLine line) => new(new ModelName(line.Word(1, "The model")), line.Time("at"));
}

/// <summary>Both views of a training run at an instant, whichever of them the books follow.</summary>
/// <param name="Amortised">Of the cost, as if capitalised; null: the run states no life.</param>
public sealed record TrainingView(TrainingRun Run, Money Compute, Money? Amortised, Money WrittenOff)
{
    public Money Direct => Run.Data + Run.Staff;
    public Money Cost => Compute + Direct;

    /// <summary>As expensed: the whole cost, at the end of the run.</summary>
    public Money Expensed => Cost;

    /// <summary>As capitalised: what still stands as an asset.</summary>
    public Money? Left => Amortised is { } amortised ? Cost - amortised - WrittenOff : null;
}
