namespace Qanat.Engine;

/// <summary>The sequences of one fairness group (a tenant) and the work it was served.</summary>
internal sealed class FairnessGroup(string name)
{
    public string Name { get; } = name;

    /// <summary>Multiply-accumulates served since the group became active, on top of the level it came in at. Int128: a busy year does not fit in 64 bits.</summary>
    public Int128 Served { get; set; }

    public int Running { get; set; }

    /// <summary>Oldest first.</summary>
    public List<Sequence> Waiting { get; } = [];

    /// <summary>Number of the last plan at whose beginning one of its sequences could run.</summary>
    public long ActiveInPlan { get; set; } = -1;

    /// <summary>Number of the last plan in which none of its sequences could use more rows.</summary>
    public long ExhaustedInPlan { get; set; }
}

/// <summary>
/// Deficit scheduling between groups: what a step can give beyond the newest token of each sequence goes to the group that was served least.
/// A group that had nothing to run and now has comes in at the level of the least served active one: idle time earns no credit that could starve the others later.
/// A group with nothing running and nothing waiting is forgotten, so that the list is as short as the work at hand.
/// </summary>
internal sealed class FairShare
{
    private readonly Dictionary<string, FairnessGroup> _byName = new(StringComparer.Ordinal);
    private readonly List<FairnessGroup> _groups = [];

    public IReadOnlyList<FairnessGroup> Groups => _groups;
    public int WaitingCount { get; private set; }

    /// <summary>The group of that name, made when it is new.</summary>
    public FairnessGroup Join(string name)
    {
        if (_byName.TryGetValue(name, out FairnessGroup? group)) return group;
        group = new FairnessGroup(name) { Served = LevelOf(_groups, plan: null) ?? 0 };
        _byName.Add(name, group);
        _groups.Add(group);
        return group;
    }

    /// <summary>Forgets the group when nothing of it is left.</summary>
    public void Leave(FairnessGroup group)
    {
        if (group.Running > 0 || group.Waiting.Count > 0) return;
        _byName.Remove(group.Name);
        _groups.Remove(group);
    }

    /// <summary>Puts the sequence into its group's line at its age.</summary>
    public void Enqueue(Sequence sequence)
    {
        List<Sequence> line = sequence.Group.Waiting;
        int index = line.Count;
        while (index > 0 && line[index - 1].Arrival > sequence.Arrival) index--;
        line.Insert(index, sequence);
        WaitingCount++;
    }

    public void Dequeue(Sequence sequence)
    {
        sequence.Group.Waiting.Remove(sequence);
        WaitingCount--;
    }

    /// <summary>Finds the groups that can run in this plan, and lifts those that could not in the plan before to the level of those that could.</summary>
    public void BeginPlan(long plan, List<Sequence> running)
    {
        Int128? level = LevelOf(_groups, plan - 1);
        foreach (Sequence sequence in running)
            if (!sequence.IsPaused) Activate(sequence.Group, plan, level);
        foreach (FairnessGroup group in _groups)
            foreach (Sequence sequence in group.Waiting)
                if (!sequence.IsPaused)
                {
                    Activate(group, plan, level);
                    break;
                }
    }

    /// <summary>The least served group that may still want rows in this plan; the one that came first among equals.</summary>
    public FairnessGroup? LeastServed(long plan)
    {
        FairnessGroup? least = null;
        foreach (FairnessGroup group in _groups)
            if (group.ActiveInPlan == plan && group.ExhaustedInPlan != plan && (least is null || group.Served < least.Served)) least = group;
        return least;
    }

    /// <summary>The group with the most running sequences, other than the given one; null when none has two.</summary>
    public FairnessGroup? Largest(FairnessGroup except)
    {
        FairnessGroup? largest = null;
        foreach (FairnessGroup group in _groups)
            if (group != except && group.Running >= 2 && (largest is null || group.Running > largest.Running)) largest = group;
        return largest;
    }

    private static void Activate(FairnessGroup group, long plan, Int128? level)
    {
        if (group.ActiveInPlan == plan) return;
        if (group.ActiveInPlan != plan - 1 && level > group.Served) group.Served = level.Value;
        group.ActiveInPlan = plan;
    }

    /// <summary>What the least served of the groups got that were active in a plan (of all groups: null); null when there is none.</summary>
    private static Int128? LevelOf(List<FairnessGroup> groups, long? plan)
    {
        Int128? level = null;
        foreach (FairnessGroup group in groups)
            if ((plan is null || group.ActiveInPlan == plan) && (level is null || group.Served < level)) level = group.Served;
        return level;
    }
}
