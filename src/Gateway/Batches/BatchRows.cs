using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Qanat.Gateway;

/// <summary>A row of a batch: a request with a name of its own.</summary>
/// <param name="Line">From 1, as editors count.</param>
internal sealed record BatchRow(int Line, string CustomId, string Model, ReadOnlyMemory<byte> Json);

/// <summary>What is wrong with a row of an input file.</summary>
internal sealed record BatchRowError(int? Line, string Code, string Message, string? Param);

/// <summary>Reads the rows of an input file: a JSON object a line.</summary>
internal static class BatchRows
{
    private const int CustomIdLengthMax = 512;

    /// <summary>The lines of a file, empty ones left out.</summary>
    /// <exception cref="ApiException">A line is longer than a row may be.</exception>
    public static async IAsyncEnumerable<(int Number, ReadOnlyMemory<byte> Bytes)> LinesAsync(IAsyncEnumerable<ReadOnlyMemory<byte>> parts, int rowBytesMax)
    {
        MemoryStream line = new();
        int number = 1;
        await foreach (ReadOnlyMemory<byte> part in parts)
        {
            ReadOnlyMemory<byte> rest = part;
            while (!rest.IsEmpty)
            {
                int end = rest.Span.IndexOf((byte)'\n');
                line.Write(end < 0 ? rest.Span : rest.Span[..end]);
                if (line.Length > rowBytesMax) throw new ApiException(400, Refusal.InvalidRequest, "row_too_large", FormattableString.Invariant($"Line {number} is larger than {rowBytesMax} bytes."));
                rest = end < 0 ? default : rest[(end + 1)..];
                if (end < 0) continue;
                if (!IsBlank(line)) yield return (number, line.ToArray());
                line.SetLength(0);
                number++;
            }
        }
        if (!IsBlank(line)) yield return (number, line.ToArray());
    }

    /// <summary>Checks a line against the rules for rows; the request in it is checked when it is served.</summary>
    public static BatchRow? TryRead(int number, ReadOnlyMemory<byte> line, string endpoint, out BatchRowError? error)
    {
        error = null;
        try
        {
            using JsonDocument document = JsonDocument.Parse(WithoutMark(line));
            if (document.RootElement.ValueKind != JsonValueKind.Object) throw Refusal.Type("", "an object", JsonFields.Kind(document.RootElement));
            JsonFields row = new(document.RootElement, "");
            string customId = row.RequiredText("custom_id");
            if (customId.Length is 0 or > CustomIdLengthMax) throw Refusal.Value("custom_id", FormattableString.Invariant($"it needs 1 to {CustomIdLengthMax} characters."));
            if (row.Text("method") is { } method && method != "POST") throw Refusal.Value("method", "it must be 'POST'.");
            if (row.RequiredText("url") != endpoint) throw Refusal.Value("url", $"it must be the batch's endpoint, '{endpoint}'.");
            JsonFields body = row.Object("body") ?? throw Refusal.Missing("body");
            return new BatchRow(number, customId, body.RequiredText("model"), line);
        }
        catch (JsonException)
        {
            error = new BatchRowError(number, "invalid_json_line", "This line is not valid JSON.", null);
        }
        catch (ApiException refused)
        {
            error = new BatchRowError(number, refused.Code, refused.Message, refused.Param);
        }
        return null;
    }

    public static JsonObject ErrorsJson(IEnumerable<BatchRowError> errors) => new()
    {
        ["object"] = "list",
        ["data"] = new JsonArray([.. errors.Select(error => (JsonNode)new JsonObject { ["code"] = error.Code, ["message"] = error.Message, ["param"] = error.Param, ["line"] = error.Line })]),
    };

    private static ReadOnlyMemory<byte> WithoutMark(ReadOnlyMemory<byte> line)
    {
        ReadOnlySpan<byte> mark = [0xEF, 0xBB, 0xBF];
        return line.Span.StartsWith(mark) ? line[mark.Length..] : line;
    }

    private static bool IsBlank(MemoryStream line) => string.IsNullOrWhiteSpace(Encoding.UTF8.GetString(line.GetBuffer(), 0, (int)Math.Min(line.Length, 64)));
}
