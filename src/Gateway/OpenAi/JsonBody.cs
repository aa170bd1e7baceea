using System.Buffers;
using System.IO.Pipelines;
using System.Text.Json;
using System.Text.Unicode;
using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>A request's body as JSON. Its elements live until it is disposed, because they point into the connection's own buffers.</summary>
internal sealed class JsonBody : IDisposable
{
    private readonly JsonDocument document;
    private readonly PipeReader reader;
    private readonly SequencePosition end;

    private JsonBody(JsonDocument document, PipeReader reader, SequencePosition end)
    {
        this.document = document;
        this.reader = reader;
        this.end = end;
    }

    public JsonElement Root => document.RootElement;

    /// <exception cref="ApiException">415: another content type. 400: not JSON, or nested too deeply.</exception>
    /// <exception cref="BadHttpRequestException">413: larger than the server allows. 408: it came too slowly.</exception>
    public static async Task<JsonBody> ReadAsync(HttpRequest request, GatewayOptions options, CancellationToken cancel)
    {
        if (!IsJson(request.ContentType))
            throw new ApiException(415, Refusal.InvalidRequest, "unsupported_media_type", "Unsupported content type: send the request as 'Content-Type: application/json'.");
        PipeReader body = request.BodyReader;
        ReadOnlySequence<byte> bytes = await ReadWholeAsync(body, cancel);
        if (!IsUtf8(bytes))
        {
            body.AdvanceTo(bytes.End);
            throw new ApiException(400, Refusal.InvalidRequest, "invalid_json", "The request body is not UTF-8, as JSON must be.");
        }
        try
        {
            return new JsonBody(JsonDocument.Parse(WithoutByteOrderMark(bytes), new JsonDocumentOptions { MaxDepth = options.JsonDepthMax }), body, bytes.End);
        }
        catch (JsonException error)
        {
            body.AdvanceTo(bytes.End);
            throw new ApiException(400, Refusal.InvalidRequest, "invalid_json",
                FormattableString.Invariant($"The request body is not valid JSON (line {error.LineNumber + 1}, byte {error.BytePositionInLine + 1}), or is nested deeper than {options.JsonDepthMax} levels."));
        }
    }

    /// <summary>The parser looks at structure only: text that is not UTF-8 would be found out as late as it is read.</summary>
    private static bool IsUtf8(ReadOnlySequence<byte> bytes)
    {
        if (bytes.IsSingleSegment) return Utf8.IsValid(bytes.FirstSpan);
        byte[] whole = ArrayPool<byte>.Shared.Rent((int)bytes.Length);
        bytes.CopyTo(whole);
        bool valid = Utf8.IsValid(whole.AsSpan(0, (int)bytes.Length));
        ArrayPool<byte>.Shared.Return(whole);
        return valid;
    }

    public void Dispose()
    {
        document.Dispose();
        reader.AdvanceTo(end);
    }

    private static async Task<ReadOnlySequence<byte>> ReadWholeAsync(PipeReader reader, CancellationToken cancel)
    {
        while (true)
        {
            ReadResult result = await reader.ReadAsync(cancel);
            if (result.IsCompleted) return result.Buffer;
            reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        }
    }

    private static ReadOnlySequence<byte> WithoutByteOrderMark(in ReadOnlySequence<byte> bytes)
    {
        ReadOnlySpan<byte> mark = [0xEF, 0xBB, 0xBF];
        return bytes.Length >= 3 && bytes.Slice(0, 3).ToArray().AsSpan().SequenceEqual(mark) ? bytes.Slice(3) : bytes;
    }

    /// <summary>A missing content type is taken for JSON, as most servers do.</summary>
    private static bool IsJson(string? contentType)
    {
        if (string.IsNullOrEmpty(contentType)) return true;
        ReadOnlySpan<char> media = contentType.AsSpan();
        int parameters = media.IndexOf(';');
        if (parameters >= 0) media = media[..parameters];
        media = media.Trim();
        return media.Equals("application/json", StringComparison.OrdinalIgnoreCase)
            || (media.StartsWith("application/", StringComparison.OrdinalIgnoreCase) && media.EndsWith("+json", StringComparison.OrdinalIgnoreCase));
    }
}
