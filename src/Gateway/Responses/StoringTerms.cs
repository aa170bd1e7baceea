using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Which of a tenant's responses are stored, so that clients may go on from them.</summary>
public enum ResponseStoring
{
    /// <summary>Those whose request says so.</summary>
    WhenAsked,

    /// <summary>All but those whose request says that they are not to be.</summary>
    UnlessDeclined,

    /// <summary>None, whatever a request says.</summary>
    Never,
}

/// <summary>What a tenant wants of its responses (ADR 55).</summary>
/// <param name="Days">How long each that is stored stays, unless it is deleted before.</param>
public sealed record StoringTerms(ResponseStoring Which, int Days)
{
    public const int DaysStandard = 30;
    public const int DaysMax = 3650;

    public static StoringTerms Of(Tenant tenant)
    {
        TenantTerms terms = TenantTerms.Of(tenant);
        return new StoringTerms(terms.Responses, terms.ResponseDays ?? DaysStandard);
    }

    /// <param name="asked">What the request says of it; null: nothing.</param>
    public bool Stores(bool? asked) => Which switch
    {
        ResponseStoring.Never => false,
        ResponseStoring.UnlessDeclined => asked ?? true,
        _ => asked ?? false,
    };

    /// <summary>What a client can do that looked for one that is not stored.</summary>
    internal string Advice => Which switch
    {
        ResponseStoring.Never => "This tenant has none stored: send the earlier items in 'input'; most clients do with \"store\": false.",
        ResponseStoring.UnlessDeclined => "Do not say \"store\": false when it is made, or send the earlier items in 'input'.",
        _ => "It is stored if its request says \"store\": true, or if an owner has this tenant's responses stored; or send the earlier items in 'input', as most clients do with \"store\": false.",
    };
}
