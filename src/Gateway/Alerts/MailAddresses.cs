using System.Collections.Immutable;
using System.Text.Json;
using MimeKit;

namespace Qanat.Gateway;

/// <summary>What is a mail address, and where a tenant's alerts go.</summary>
internal static class MailAddresses
{
    public const int Most = 10;
    private const int LengthMax = 254;

    public static bool IsOne(string text) => text.Length <= LengthMax && !text.Any(char.IsControl) && MailboxAddress.TryParse(text, out MailboxAddress? address) && address.Address.Contains('@', StringComparison.Ordinal);

    /// <exception cref="ApiException">400: not addresses, or too many.</exception>
    public static ImmutableArray<string> Check(IReadOnlyList<string> texts, string param)
    {
        if (texts.Count > Most) throw Refusal.Value(param, $"at most {Most} are allowed.");
        ImmutableArray<string>.Builder addresses = ImmutableArray.CreateBuilder<string>();
        foreach (string text in texts)
        {
            if (!IsOne(text)) throw Refusal.Value($"{param}[{addresses.Count}]", "it must be a mail address such as alerts@example.org.");
            string address = MailboxAddress.Parse(text).Address;
            if (!addresses.Contains(address, StringComparer.OrdinalIgnoreCase)) addresses.Add(address);
        }
        return addresses.ToImmutable();
    }

    public static IReadOnlyList<string> Read(JsonFields fields, string name)
    {
        if (!fields.TryGet(name, out JsonElement value)) return [];
        if (value.ValueKind != JsonValueKind.Array) throw Refusal.Type(name, "an array of mail addresses", JsonFields.Kind(value));
        return [.. value.EnumerateArray().Select((item, index) => JsonFields.TextOf(item, $"{name}[{index}]"))];
    }
}
