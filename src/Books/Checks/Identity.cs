using System.Collections.Immutable;
using System.Globalization;

namespace Qanat.Books;

/// <summary>Two figures that must be equal, reached in two ways.</summary>
/// <param name="Name">What is compared, e.g. "trial balance".</param>
/// <param name="Subject">What it is about when there are several, e.g. a pool; empty: the whole books.</param>
/// <param name="LeftMeaning">Where the left figure comes from.</param> <param name="RightMeaning">Where the right one comes from.</param>
/// <param name="Unit">What is counted; a currency for money.</param>
/// <param name="Findings">What is wrong, at most <see cref="FindingsMax"/>.</param>
public sealed record Identity(string Name, string Subject, string LeftMeaning, Int128 Left, string RightMeaning, Int128 Right, IdentityUnit Unit, ImmutableArray<string> Findings)
{
    public const int FindingsMax = 20;

    public Int128 Difference => Left - Right;
    public bool IsOk => Difference == 0 && Findings.IsEmpty;

    public string LeftText => Unit.Text(Left);
    public string RightText => Unit.Text(Right);
    public string DifferenceText => Unit.Text(Difference);
}

/// <summary>What an identity counts: a thing by its plural, or money in a currency.</summary>
public sealed record IdentityUnit
{
    private IdentityUnit(string name, Currency? currency) => (Name, Currency) = (name, currency);

    public string Name { get; }
    public Currency? Currency { get; }

    public static IdentityUnit Of(Currency currency) => new(currency.Code, currency);
    public static IdentityUnit Of(string things) => new(things, null);

    internal string Text(Int128 figure) => Currency is { } currency ? new Money(figure, currency).ToString() : figure.ToString(CultureInfo.InvariantCulture) + " " + Name;
}

/// <summary>All identities of the books.</summary>
public sealed record BooksReport(ImmutableArray<Identity> Identities)
{
    public bool IsOk => Identities.All(i => i.IsOk);

    /// <summary>Records whose usage nobody told: what an upstream served and our own count is billed for, or what has no tokens at all. No identity is broken by them, and none shows them.</summary>
    public long UsageMissing { get; init; }

    /// <summary>Records whose usage, as the upstream told it, is not what was counted here.</summary>
    public long UsageDiffers { get; init; }
}
