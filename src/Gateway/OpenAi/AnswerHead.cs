using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>What every part of an answer repeats.</summary>
/// <param name="Fingerprint">Names what answers; carries the model's notice, because it is in every chunk.</param>
internal sealed record AnswerHead(string Id, long CreatedUnixSeconds, string Model, string Fingerprint)
{
    public static AnswerHead Of(string idPrefix, Admitted admitted, ServedModel model) => new(
        idPrefix + admitted.Id.Value.ToString("N"),
        admitted.At.ToDateTimeOffset().ToUnixTimeSeconds(),
        model.Name.Value,
        model.Notice is { } notice ? $"{QanatVersion.Fingerprint} ({notice})" : QanatVersion.Fingerprint);
}

/// <summary>Which build this is.</summary>
public static class QanatVersion
{
    /// <summary>E.g. "0.1.0".</summary>
    public static string Text { get; } = typeof(QanatVersion).Assembly.GetName().Version?.ToString(3) ?? "0";

    internal static string Fingerprint { get; } = "qanat-" + Text;
}
