using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace Qanat.Gateway;

/// <summary>OpenAI's files: what batches read and write.</summary>
internal sealed class FileEndpoints(Callers callers, FileStore files, TenantStops stops, GatewayOptions options)
{
    private const int PageDefault = 100;
    private const int PageMax = 10_000;
    private const int NameLengthMax = 256;
    private const long FieldBytesMax = 1 << 10;

    public void Map(ApiRoutes routes)
    {
        foreach (string root in OpenAiEndpoints.Roots)
        {
            routes.Post(root + "/files", Permission.Infer, UploadAsync, new(Tags.Batches, FormattableString.Invariant($"Upload the rows of a batch, {options.FileBytesMax} bytes at most")) { Body = RequestSchemas.Upload, BodyType = "multipart/form-data", Answer = AnswerSchemas.File });
            routes.Get(root + "/files", Permission.Infer, ListAsync, new(Tags.Batches, "The files of your project") { Query = [.. Asked.Page(PageDefault, PageMax), Field.May("purpose", Schema.Text("Only those of a purpose"))], Answer = AnswerSchemas.Page(AnswerSchemas.File) });
            routes.Get(root + "/files/{id}", Permission.Infer, ShowAsync, new(Tags.Batches, "One file") { Answer = AnswerSchemas.File });
            routes.Delete(root + "/files/{id}", Permission.Infer, DeleteAsync, new(Tags.Batches, "Delete a file") { Answer = AnswerSchemas.Deleted });
            routes.Get(root + "/files/{id}/content", Permission.Infer, ContentAsync, new(Tags.Batches, "The content of a file") { Answer = Schema.Binary("As it was sent, or as a batch wrote it"), AnswerType = "application/octet-stream" });
        }
    }

    private async Task UploadAsync(HttpContext context)
    {
        Caller caller = callers.Require(context.Request);
        stops.Demand(caller.Tenant.Id);
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit) limit.MaxRequestBodySize = options.FileBytesMax + (1 << 20);
        FileRecord file = await ReceiveAsync(context.Request, caller, context.RequestAborted);
        await SendAsync(context, file.ToJson());
    }

    /// <summary>The fields may come in any order, so the file is kept before its purpose is known; it goes again when the purpose is none of ours.</summary>
    private async Task<FileRecord> ReceiveAsync(HttpRequest request, Caller caller, CancellationToken cancel)
    {
        MultipartReader reader = new(Boundary(request), request.Body) { HeadersCountLimit = 16, HeadersLengthLimit = 8 << 10 };
        FileRecord? file = null;
        string? purpose = null;
        try
        {
            while (await NextAsync(reader, cancel) is { } section)
            {
                if (!ContentDispositionHeaderValue.TryParse(section.ContentDisposition, out ContentDispositionHeaderValue? about)) continue;
                string name = HeaderUtilities.RemoveQuotes(about.Name).ToString();
                if (name == "purpose") purpose = await WholeAsync(() => TextOfAsync(section.Body, cancel));
                if (name != "file" || file is not null) continue;
                string fileName = HeaderUtilities.RemoveQuotes(about.FileNameStar.HasValue ? about.FileNameStar : about.FileName).ToString();
                fileName = Path.GetFileName(fileName.Replace('\\', '/'));
                file = await WholeAsync(() => files.AddAsync(caller, fileName.Length is > 0 and <= NameLengthMax ? fileName : "file", "batch", section.Body, cancel));
            }
            if (file is null) throw Refusal.Missing("file");
            if (purpose is null) throw Refusal.Missing("purpose");
            if (purpose != "batch") throw Refusal.Value("purpose", "it must be 'batch': files are used for batches only.");
            return file;
        }
        catch
        {
            if (file is not null) await files.DeleteAsync(caller, file.Id, CancellationToken.None);
            throw;
        }
    }

    private async Task ListAsync(HttpContext context)
    {
        Caller caller = callers.Require(context.Request);
        PageAsk page = PageAsk.Of(context.Request, PageDefault, PageMax);
        string? purpose = context.Request.Query["purpose"];
        IEnumerable<FileRecord> all = await files.ListAsync(caller, context.RequestAborted);
        if (!page.OldestFirst) all = all.Reverse();
        await SendAsync(context, page.ListOf([.. all.Where(file => string.IsNullOrEmpty(purpose) || file.Purpose == purpose).Select(file => file.ToJson())]));
    }

    private async Task ShowAsync(HttpContext context) => await SendAsync(context, (await FindAsync(context, callers.Require(context.Request))).ToJson());

    private async Task DeleteAsync(HttpContext context)
    {
        Caller caller = callers.Require(context.Request);
        string id = IdOf(context);
        if (!await files.DeleteAsync(caller, id, context.RequestAborted)) throw NotFound(id);
        await SendAsync(context, new JsonObject { ["id"] = id, ["object"] = "file", ["deleted"] = true });
    }

    private async Task ContentAsync(HttpContext context)
    {
        Caller caller = callers.Require(context.Request);
        FileRecord file = await FindAsync(context, caller);
        context.Response.ContentType = "application/octet-stream";
        context.Response.ContentLength = file.Bytes;
        ContentDispositionHeaderValue disposition = new("attachment");
        disposition.SetHttpFileName(file.Name);
        context.Response.Headers.ContentDisposition = disposition.ToString();
        await foreach (ReadOnlyMemory<byte> part in files.ReadAsync(caller.Tenant.Id, file, context.RequestAborted))
            await context.Response.Body.WriteAsync(part, context.RequestAborted);
    }

    private async Task<FileRecord> FindAsync(HttpContext context, Caller caller)
    {
        string id = IdOf(context);
        return await files.FindAsync(caller, id, context.RequestAborted) ?? throw NotFound(id);
    }

    private static string Boundary(HttpRequest request)
    {
        bool multipart = MediaTypeHeaderValue.TryParse(request.ContentType, out MediaTypeHeaderValue? type) && type.MediaType.Equals("multipart/form-data", StringComparison.OrdinalIgnoreCase);
        string boundary = multipart ? HeaderUtilities.RemoveQuotes(type!.Boundary).ToString() : "";
        return boundary.Length is > 0 and <= 200
            ? boundary
            : throw new ApiException(415, Refusal.InvalidRequest, "unsupported_media_type", "A file is sent as multipart/form-data with the fields 'file' and 'purpose'.");
    }

    private static Task<MultipartSection?> NextAsync(MultipartReader reader, CancellationToken cancel) => WholeAsync(() => reader.ReadNextSectionAsync(cancel));

    /// <summary>Reads on in the body; where it ends too early that is the sender's fault.</summary>
    private static async Task<T> WholeAsync<T>(Func<Task<T>> read)
    {
        try
        {
            return await read();
        }
        catch (Exception error) when (error is IOException or InvalidDataException && error is not BadHttpRequestException)
        {
            throw new ApiException(400, Refusal.InvalidRequest, "invalid_multipart", "The multipart body could not be read: it is cut off or broken.");
        }
    }

    private static async Task<string> TextOfAsync(Stream body, CancellationToken cancel)
    {
        byte[] bytes = new byte[FieldBytesMax];
        int length = await body.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, cancel);
        return Encoding.UTF8.GetString(bytes, 0, length).Trim();
    }

    private static string IdOf(HttpContext context) => (string)context.Request.RouteValues["id"]!;

    public static ApiException NotFound(string id, string param = "id") => new(404, Refusal.InvalidRequest, "file_not_found", $"There is no file '{id[..Math.Min(80, id.Length)]}': it expired, was deleted, or belongs to another project or tenant.", param);

    private static async Task SendAsync(HttpContext context, JsonObject answer)
    {
        using JsonAnswer json = new();
        answer.WriteTo(json.Writer);
        await json.SendAsync(context.Response);
    }
}
