namespace Qanat.Outlook;

/// <summary>Facts against the model's definitions of segments: a segment belongs to one definition, a definition to its days, and only a declared recast reaches back.
/// What breaks these rules would splice two definitions into one series.</summary>
internal static class DefinitionRules
{
    public static void Check(CompanyBook book, List<Fault> faults)
    {
        CompanyModel model = book.Model;
        Dictionary<string, SegmentMember> members = model.Segments.ToDictionary(s => s.Segment, StringComparer.Ordinal);
        Dictionary<string, SegmentDefinition> definitions = model.Definitions.ToDictionary(d => d.Name, StringComparer.Ordinal);
        foreach (Fact fact in book.Facts)
        {
            if (members.TryGetValue(fact.Measure.Segment, out SegmentMember? member) && member.Definition != fact.Definition)
            {
                faults.Add(new Fault(fact.Place, $"segment versions are spliced: '{fact.Measure.Segment}' belongs to the definition '{member.Definition}' ({member.Place}), the row says '{fact.Definition}'."));
                continue;
            }
            if (fact.Definition.Length == 0) continue;
            if (!definitions.TryGetValue(fact.Definition, out SegmentDefinition? definition))
            {
                faults.Add(new Fault(fact.Place, $"the segment definition '{fact.Definition}' is not declared in {model.File}."));
                continue;
            }
            bool inForce = definition.Since <= fact.PeriodEnd && fact.PeriodEnd <= definition.Until;
            bool recast = fact.PeriodEnd < definition.Since && model.Recasts.Any(r => r.Definition == fact.Definition && r.Quarter == fact.Quarter);
            if (!inForce && !recast)
                faults.Add(new Fault(fact.Place, $"segment versions are spliced: the definition '{fact.Definition}' was not in force on {fact.PeriodEnd:yyyy-MM-dd}, and no recast in {model.File} reaches {fact.Quarter}."));
        }
        foreach (ModelLine line in model.Lines)
            foreach (LineFact binding in line.Facts)
                CheckBinding(book, line, binding, faults);
    }

    private static void CheckBinding(CompanyBook book, ModelLine line, LineFact binding, List<Fault> faults)
    {
        Fact[] facts = [.. book.Facts.Where(f => f.Measure == binding.Measure)];
        if (facts.Length == 0)
        {
            faults.Add(new Fault(binding.Place, $"{book.Model.FactsFile} has no row for {binding.Measure}."));
            return;
        }
        string unit = binding.Factor == 0.25 ? line.Unit + " annualised" : line.Unit;
        foreach (Fact fact in facts.Where(f => f.Unit != unit))
            faults.Add(new Fault(binding.Place, fact.Unit == line.Unit + " annualised"
                ? $"units are mixed: {fact.Place} is a yearly rate ({fact.Unit}) and {line.Name} is {line.Unit}: write 'per year' after the fact."
                : $"units are mixed: {fact.Place} is in {fact.Unit} and {line.Name} in {line.Unit}."));
        if (line.IsShared || book.Model.Definitions.IsEmpty) return;
        foreach (Fact fact in facts.Where(f => f.Definition.Length == 0 && f.Value is not null))
            faults.Add(new Fault(fact.Place, $"a row of the line '{line.Name}' must say under which definition of segments it was published ({string.Join(" or ", book.Model.Definitions.Select(d => d.Name))})."));
    }
}
