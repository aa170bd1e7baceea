using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>A JSON document being written in memory, whole before the first byte leaves: its length is known, and an error while writing it is still an error answer.</summary>
internal sealed class JsonAnswer : IDisposable
{
    /// <summary>JSON is sent as JSON, never inside a page: other scripts than Latin stay readable and short. Writers here are trusted, so their nesting is not checked again.</summary>
    public static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    /// <summary>Most answers are not larger.</summary>
    private const int BytesUsual = 2048;

    private readonly BorrowedBytes buffer = new(BytesUsual);

    public JsonAnswer() => Writer = new Utf8JsonWriter(buffer, Options);

    public Utf8JsonWriter Writer { get; }

    public async Task SendAsync(HttpResponse response)
    {
        Writer.Flush();
        response.ContentType = "application/json; charset=utf-8";
        response.ContentLength = buffer.Count;
        await response.Body.WriteAsync(buffer.Written, response.HttpContext.RequestAborted);
    }

    public void Dispose()
    {
        Writer.Dispose();
        buffer.Dispose();
    }
}
