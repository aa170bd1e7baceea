using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>The systems of a company after each layer: first what is published and nothing assumed, then each layer on top of those before it.</summary>
public sealed record LayerSystems(ImmutableArray<LayerSystem> Layers)
{
    public const string Published = "published";

    public LayerSystem this[string layer] => Layers.FirstOrDefault(l => l.Name == layer)
        ?? throw new ArgumentException($"'{layer}' is not a layer: use {string.Join(", ", Layers.Select(l => l.Name))}.");

    public static LayerSystems Build(CompanyBook book, ImmutableDictionary<string, Interval> overrides)
    {
        CompanyModel model = book.Model;
        SystemScope scope = SystemScope.Published with { Overrides = overrides };
        LinearSystem full = book.System(scope with { Layer = model.Layers.IsEmpty ? null : model.Layers[^1].Name });
        var layers = ImmutableArray.CreateBuilder<LayerSystem>();
        for (int count = 0; count <= model.Layers.Length; count++)
        {
            string name = count == 0 ? Published : model.Layers[count - 1].Name;
            HashSet<string> counted = [.. model.Layers.Take(count).Select(l => l.Name), ""];
            // An envelope depends on all rows beside it, so it must be drawn anew for each layer; everything else is only filtered.
            LinearSystem system = full.Products.IsEmpty ? full with { Rows = [.. full.Rows.Where(r => counted.Contains(r.Layer))] } : book.System(scope with { Layer = count == 0 ? null : name });
            layers.Add(new LayerSystem(name, count == 0 ? "Published figures alone" : model.Layers[count - 1].Label, count == 0 ? "nothing is assumed" : model.Layers[count - 1].Because, system));
        }
        return new LayerSystems(layers.ToImmutable());
    }
}

public sealed record LayerSystem(string Name, string Label, string Because, LinearSystem System);
