using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Qanat.Cli.Tests;

/// <summary>A site on this machine with one repository, laid out as Hugging Face and as ModelScope do it, and with faults to order.</summary>
internal sealed class ModelSite : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly Dictionary<string, byte[]> files = new(StringComparer.Ordinal);

    private ModelSite(WebApplication app) => this.app = app;

    public Uri Address => new(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
    public string? Licence { get; set; } = "apache-2.0";

    /// <summary>Answers of each file end after so many bytes of what was asked for, the first so often.</summary>
    public int CutAfter { get; set; } = int.MaxValue;
    public int Cuts { get; set; }

    /// <summary>The first so many answers of large files that would be cut stay open and silent instead, until whoever asked leaves.</summary>
    public int Stalls { get; set; }

    /// <summary>So does every index.</summary>
    public bool IndexStalls { get; set; }

    /// <summary>Done once something stays silent.</summary>
    public Task HasStalled => stalled.Task;

    private readonly TaskCompletionSource stalled = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Ignores Range headers, as some mirrors do.</summary>
    public bool HasNoRanges { get; set; }

    /// <summary>The index promises what the files are not.</summary>
    public bool Lies { get; set; }

    /// <summary>Its index tells no hashes.</summary>
    public bool HidesHashes { get; set; }

    /// <summary>Bytes of files that were sent, and the Range headers that came.</summary>
    public long Sent { get; private set; }
    public List<string> Ranges { get; } = [];
    public List<string?> Tokens { get; } = [];

    public static async Task<ModelSite> StartAsync(params (string Path, byte[] Content)[] files)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var site = new ModelSite(builder.Build());
        foreach ((string path, byte[] content) in files) site.files[path] = content;
        site.app.MapGet("/api/models/{owner}/{name}/revision/{revision}", site.HuggingFace);
        site.app.MapGet("/api/v1/models/{owner}/{name}", () => Results.Text(new JsonObject { ["Code"] = 200, ["Data"] = new JsonObject { ["License"] = site.Licence } }.ToJsonString(), "application/json"));
        site.app.MapGet("/api/v1/models/{owner}/{name}/repo/files", site.ModelScope);
        site.app.MapGet("/{owner}/{name}/resolve/{revision}/{**path}", site.SendAsync);
        site.app.MapGet("/models/{owner}/{name}/resolve/{revision}/{**path}", site.SendAsync);
        await site.app.StartAsync();
        return site;
    }

    public ValueTask DisposeAsync() => app.DisposeAsync();

    private async Task StallAsync(HttpContext context)
    {
        stalled.TrySetResult();
        var left = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using CancellationTokenRegistration leaving = context.RequestAborted.Register(left.SetResult);
        await left.Task;
    }

    private async Task<IResult> HuggingFace(HttpContext context, string owner)
    {
        if (IndexStalls) await StallAsync(context);
        Tokens.Add(context.Request.Headers.Authorization);
        if (owner == "nobody") return Results.NotFound();
        JsonArray siblings = [.. files.Select(file => new JsonObject
        {
            ["rfilename"] = file.Key,
            ["size"] = file.Value.Length,
            ["blobId"] = HidesHashes ? null : Blob(file.Value),
            ["lfs"] = IsLarge(file.Key) ? new JsonObject { ["sha256"] = HidesHashes ? null : Sha256(file.Value), ["size"] = file.Value.Length } : null,
        })];
        return Results.Text(new JsonObject { ["sha"] = "0123456789abcdef0123456789abcdef01234567", ["cardData"] = new JsonObject { ["license"] = Licence }, ["siblings"] = siblings }.ToJsonString(), "application/json");
    }

    private IResult ModelScope()
    {
        JsonArray list = [.. files.Select(file => new JsonObject { ["Path"] = file.Key, ["Name"] = Path.GetFileName(file.Key), ["Size"] = file.Value.Length, ["Type"] = "blob", ["Sha256"] = Sha256(file.Value) })];
        return Results.Text(new JsonObject { ["Code"] = 200, ["Data"] = new JsonObject { ["Files"] = list } }.ToJsonString(), "application/json");
    }

    private async Task SendAsync(HttpContext context, string path)
    {
        if (!files.TryGetValue(path, out byte[]? content))
        {
            context.Response.StatusCode = (int)HttpStatusCode.NotFound;
            return;
        }
        int from = 0;
        if (context.Request.Headers.Range.ToString() is { Length: > 0 } range)
        {
            Ranges.Add(range);
            if (!HasNoRanges)
            {
                from = int.Parse(range["bytes=".Length..].TrimEnd('-'), CultureInfo.InvariantCulture);
                context.Response.StatusCode = (int)HttpStatusCode.PartialContent;
                context.Response.Headers.ContentRange = string.Create(CultureInfo.InvariantCulture, $"bytes {from}-{content.Length - 1}/{content.Length}");
            }
        }
        context.Response.ContentLength = content.Length - from;
        bool stalls = IsLarge(path) && Stalls > 0 && content.Length - from > CutAfter, cut = IsLarge(path) && (stalls || Cuts > 0) && content.Length - from > CutAfter;
        int count = cut ? CutAfter : content.Length - from;
        Sent += count;
        await context.Response.Body.WriteAsync(content.AsMemory(from, count));
        await context.Response.Body.FlushAsync();
        if (stalls)
        {
            Stalls--;
            await StallAsync(context);
            return;
        }
        if (!cut) return;
        Cuts--;
        context.Abort();
    }

    private static bool IsLarge(string path) => path.EndsWith(".gguf", StringComparison.Ordinal) || path.EndsWith(".safetensors", StringComparison.Ordinal);

    private string Sha256(byte[] content) => Convert.ToHexStringLower(SHA256.HashData(Lies ? [.. content, 1] : content));

    private string Blob(byte[] content)
    {
#pragma warning disable CA5350 // Git's name of a file.
        return Convert.ToHexStringLower(SHA1.HashData([.. Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"blob {content.Length}\0")), .. content, .. Lies ? new byte[] { 1 } : []]));
#pragma warning restore CA5350
    }
}
