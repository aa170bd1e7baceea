namespace Qanat.Outlook;

/// <summary>What no single line of a model shows: names that nothing declares or that are declared twice, units that mix in a sum, segments of two definitions in one line's facts.</summary>
internal static class ModelRules
{
    public static void Check(CompanyModel model, List<Fault> faults)
    {
        var lines = new Dictionary<string, ModelLine>(StringComparer.Ordinal);
        foreach (ModelLine line in model.Lines)
            if (!lines.TryAdd(line.Name, line)) faults.Add(new Fault(line.Place, $"the line '{line.Name}' is declared twice: see line {lines[line.Name].Place.Line}."));
        Unique(model.Targets.Select(t => (t.Place, t.Name)), "target", faults);
        Unique(model.Layers.Select(l => (l.Place, l.Name)), "layer", faults);
        Unique(model.Statements.Select(s => (s.Place, s.Name)), "statement", faults);
        Unique(model.MissingLines.Select(m => (m.Place, m.Name)), "missing line", faults);
        foreach (Layer layer in model.Layers) Unique(layer.Assumptions.Select(a => (a.Place, a.Name)), $"assumption of layer '{layer.Name}'", faults);

        foreach (SegmentMember segment in model.Segments.Where(s => model.Definitions.All(d => d.Name != s.Definition)))
            faults.Add(new Fault(segment.Place, $"the definition '{segment.Definition}' is not declared."));
        var forms = new FormRules(lines, faults);
        foreach (Statement statement in model.Statements)
        {
            switch (statement)
            {
                case Identity identity: forms.Check(statement.Place, identity.Form); break;
                case PublishedRatio ratio: forms.Check(statement.Place, ratio.Quantity); break;
                case SoftStatement soft: forms.Check(statement.Place, soft.Form); break;
                case ProductStatement product:
                    foreach (string name in new[] { product.Product, product.Left, product.Right }) forms.CheckName(statement.Place, name);
                    break;
            }
        }
        foreach (Assumption assumption in model.Layers.SelectMany(l => l.Assumptions)) forms.Check(assumption.Place, assumption.Quantity);
        foreach (Target target in model.Targets) forms.Check(target.Place, target.Quantity);
        foreach (MissingLine missing in model.MissingLines) forms.Check(missing.Place, missing.Quantity);
        foreach (Waterfall waterfall in model.Waterfalls.Where(w => model.Statements.OfType<Identity>().All(i => i.Name != w.Identity)))
            faults.Add(new Fault(waterfall.Place, $"no identity is called '{waterfall.Identity}'."));
        if (model.Payback is { } payback) { forms.CheckName(payback.Place, payback.Revenue); forms.CheckName(payback.Place, payback.Capital); }
        if (model.Glide is { } glide) { forms.CheckName(glide.Place, glide.Capital); forms.CheckName(glide.Place, glide.Depreciation); }
    }

    private static void Unique(IEnumerable<(Place Place, string Name)> named, string what, List<Fault> faults)
    {
        var seen = new Dictionary<string, Place>(StringComparer.Ordinal);
        foreach ((Place place, string name) in named)
            if (!seen.TryAdd(name, place)) faults.Add(new Fault(place, $"the {what} '{name}' is declared twice: see line {seen[name].Line}."));
    }

    private sealed class FormRules(Dictionary<string, ModelLine> lines, List<Fault> faults)
    {
        public void Check(Place place, ModelQuantity quantity)
        {
            Check(place, quantity.Numerator);
            if (quantity.Denominator is { } denominator) Check(place, denominator);
        }

        public void Check(Place place, ModelForm form)
        {
            ModelLine? first = null;
            foreach (ModelTerm term in form.Terms)
            {
                if (!CheckName(place, term.Reference.Line)) continue;
                ModelLine line = lines[term.Reference.Line];
                first ??= line;
                if (line.Unit != first.Unit)
                    faults.Add(new Fault(place, $"units are mixed: {first.Name} is in {first.Unit} and {line.Name} in {line.Unit}."));
            }
        }

        public bool CheckName(Place place, string name)
        {
            if (lines.ContainsKey(name)) return true;
            string near = lines.Keys.OrderBy(k => Distance(k, name)).FirstOrDefault() ?? "";
            faults.Add(new Fault(place, $"no line is called '{name}'{(near.Length > 0 && Distance(near, name) <= 3 ? $": did you mean '{near}'?" : ".")}"));
            return false;
        }

        // Levenshtein: names are short, so the plain table will do.
        private static int Distance(string a, string b)
        {
            int[] row = [.. Enumerable.Range(0, b.Length + 1)];
            for (int i = 1; i <= a.Length; i++)
            {
                int diagonal = row[0];
                row[0] = i;
                for (int j = 1; j <= b.Length; j++)
                {
                    int next = Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1));
                    diagonal = row[j];
                    row[j] = next;
                }
            }
            return row[b.Length];
        }
    }
}
