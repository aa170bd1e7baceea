namespace Qanat.Models;

/// <summary>Formats of JSON Schema as patterns. Each allows only texts that every validator accepts: February has 28 days, addresses are those of RFC 3986 and 5321 without their rarities.</summary>
internal static class TextFormats
{
    private const string Date = @"(\d{3}[1-9]|\d{2}[1-9]0)-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))";
    private const string Time = @"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)";
    private const string SafeLabel = "[a-z]([a-z0-9]{0,20})";
    private const string Octet = @"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)";
    private const string PathText = "[A-Za-z0-9_~.-]{1,64}";
    private const string Anything = @"^[\s\S]*$";
    private const string Hex4 = "[0-9a-fA-F]{1,4}";

    private static readonly Dictionary<string, string> Known = new(StringComparer.Ordinal)
    {
        ["date"] = $"^{Date}$",
        ["time"] = $"^{Time}$",
        ["date-time"] = $"^{Date}T{Time}$",
        ["duration"] = @"^P(\d{1,6}W|(\d{1,6}Y)?\d{1,6}M(\d{1,6}D)?|\d{1,6}[YD]|T(\d{1,6}H(\d{1,6}M(\d{1,6}S)?)?|\d{1,6}M(\d{1,6}S)?|\d{1,6}S))$",
        ["email"] = $@"^[A-Za-z0-9_+-]{{1,32}}(\.[A-Za-z0-9_+-]{{1,16}}){{0,2}}@{SafeLabel}(\.{SafeLabel}){{1,3}}$",
        ["hostname"] = $@"^{SafeLabel}(\.{SafeLabel}){{0,4}}$",
        ["ipv4"] = $@"^{Octet}(\.{Octet}){{3}}$",
        ["ipv6"] = $"^({Hex4}:){{7}}{Hex4}$",
        ["uri"] = $@"^https?://{SafeLabel}(\.{SafeLabel}){{0,4}}(:[1-9]\d{{0,3}})?(/{PathText}){{0,8}}(\?[A-Za-z0-9_=&-]{{1,64}})?(#[A-Za-z0-9_-]{{1,32}})?$",
        ["uri-reference"] = $@"^(https?://{SafeLabel}(\.{SafeLabel}){{0,4}})?(/{PathText}){{1,8}}(\?[A-Za-z0-9_=&-]{{1,64}})?(#[A-Za-z0-9_-]{{1,32}})?$",
        ["uri-template"] = $@"^https?://{SafeLabel}(\.{SafeLabel}){{0,4}}(/({PathText}|\{{[a-z_]{{1,32}}\}})){{0,8}}$",
        ["relative-json-pointer"] = "^(0|[1-9][0-9]{0,3})(#|(/([A-Za-z0-9_.-]|~[01]){0,32}){0,8})$",
        ["byte"] = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
        ["password"] = Anything,
        ["binary"] = Anything,
        ["uuid"] = "^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
        ["json-pointer"] = "^(/([A-Za-z0-9_.-]|~[01]){0,32}){0,8}$",
        ["regex"] = "^[A-Za-z0-9_ ]{0,64}$",
    };

    static TextFormats()
    {
        Known["idn-email"] = Known["email"];
        Known["idn-hostname"] = Known["hostname"];
        Known["iri"] = Known["url"] = Known["uri"];
        Known["iri-reference"] = Known["uri-reference"];
    }

    public static string Names => string.Join(", ", Known.Keys.Order(StringComparer.Ordinal));

    public static string? Find(string name) => Known.GetValueOrDefault(name);
}
