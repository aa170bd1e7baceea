using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>A company's model and the numbers published about it, both read and checked against each other.</summary>
public sealed record CompanyBook(CompanyModel Model, ImmutableArray<Fact> Facts)
{
    /// <exception cref="OutlookDataException">The model or the facts are refused.</exception>
    public static CompanyBook Read(OutlookData data, string company)
    {
        string file = company + ".model";
        if (!data.Has(file))
            throw new OutlookDataException(new Fault(new Place(file, 0), $"no company is called '{company}': use {string.Join(", ", data.Companies)}."));
        CompanyModel model = ModelText.Read(data.Read(file), file);
        var faults = new List<Fault>();
        ImmutableArray<Fact> facts = FactFile.Read(data.Read(model.FactsFile), model.FactsFile, faults);
        var book = new CompanyBook(model, facts);
        DefinitionRules.Check(book, faults);
        return faults.Count == 0 ? book : throw new OutlookDataException([.. faults]);
    }

    public LinearSystem System(SystemScope scope) => SystemBuilder.Build(Model, Facts, scope);
}
