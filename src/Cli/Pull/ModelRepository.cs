using System.Collections.Immutable;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;

namespace Qanat.Cli;

/// <summary>How the hash of a file is made.</summary>
public enum HashKind
{
    Sha256,

    /// <summary>SHA-1 over "blob LENGTH\0" and the content, as git names a file.</summary>
    GitBlob,
}

/// <summary>A file of a repository as its index lists it.</summary>
/// <param name="Hash">Lower-case hexadecimal; null when the index gives none.</param>
public sealed record RepositoryFile(string Path, long Bytes, string? Hash, HashKind HashKind, Uri Address);

/// <summary>What a repository holds at one revision.</summary>
public sealed record RepositoryIndex(string Name, string Source, string Revision, string? LicenceId, ImmutableArray<RepositoryFile> Files);

/// <summary>Reads the index of a repository laid out as Hugging Face or ModelScope lay theirs out.</summary>
public sealed class ModelRepository(HttpClient http, Uri site, string? token, TimeProvider clock)
{
    private const int IndexBytesMax = 32 << 20;

    /// <param name="name">OWNER/NAME.</param>
    /// <exception cref="CommandException">The repository is not there, is closed, or answers something else.</exception>
    public Task<RepositoryIndex> ReadAsync(RepositoryLayout layout, string name, string revision, CancellationToken cancel) => layout switch
    {
        RepositoryLayout.ModelScope => ReadModelScopeAsync(name, revision, cancel),
        _ => ReadHuggingFaceAsync(name, revision, cancel),
    };

    /// <summary>The token goes to the site it is for, never to where the site redirects.</summary>
    public HttpRequestMessage Request(Uri address)
    {
        HttpRequestMessage request = new(HttpMethod.Get, address);
        if (token is not null && address.Authority == site.Authority) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return request;
    }

    private async Task<RepositoryIndex> ReadHuggingFaceAsync(string name, string revision, CancellationToken cancel)
    {
        using JsonDocument document = await GetAsync(new Uri(site, $"api/models/{Escape(name)}/revision/{Uri.EscapeDataString(revision)}?blobs=true"), name, cancel);
        JsonElement root = document.RootElement;
        string commit = Text(root, "sha") ?? revision;
        var files = ImmutableArray.CreateBuilder<RepositoryFile>();
        foreach (JsonElement each in Array(root, "siblings"))
        {
            string path = Text(each, "rfilename") ?? throw Strange(name, "a file without a name");
            Uri address = new(site, $"{Escape(name)}/resolve/{Uri.EscapeDataString(commit)}/{Escape(path)}");
            bool isLarge = each.TryGetProperty("lfs", out JsonElement lfs) && lfs.ValueKind == JsonValueKind.Object;
            files.Add(isLarge
                ? new RepositoryFile(path, Size(lfs) ?? Size(each) ?? throw Strange(name, $"{path} without a size"), Text(lfs, "sha256") ?? Text(lfs, "oid"), HashKind.Sha256, address)
                : new RepositoryFile(path, Size(each) ?? throw Strange(name, $"{path} without a size"), Text(each, "blobId"), HashKind.GitBlob, address));
        }
        string? licence = root.TryGetProperty("cardData", out JsonElement card) && card.ValueKind == JsonValueKind.Object ? Text(card, "license") : null;
        return new RepositoryIndex(name, site.Authority, commit, licence, files.ToImmutable());
    }

    private async Task<RepositoryIndex> ReadModelScopeAsync(string name, string revision, CancellationToken cancel)
    {
        using JsonDocument about = await GetAsync(new Uri(site, $"api/v1/models/{Escape(name)}"), name, cancel);
        using JsonDocument list = await GetAsync(new Uri(site, $"api/v1/models/{Escape(name)}/repo/files?Revision={Uri.EscapeDataString(revision)}&Recursive=true"), name, cancel);
        if (!list.RootElement.TryGetProperty("Data", out JsonElement data) || data.ValueKind != JsonValueKind.Object) throw Strange(name, "no list of files");
        var files = ImmutableArray.CreateBuilder<RepositoryFile>();
        foreach (JsonElement each in Array(data, "Files"))
        {
            if (Text(each, "Type") != "blob") continue;
            string path = Text(each, "Path") ?? throw Strange(name, "a file without a path");
            files.Add(new RepositoryFile(path, Size(each, "Size") ?? throw Strange(name, $"{path} without a size"), Text(each, "Sha256") is { Length: > 0 } hash ? hash : null, HashKind.Sha256,
                new Uri(site, $"models/{Escape(name)}/resolve/{Uri.EscapeDataString(revision)}/{Escape(path)}")));
        }
        string? licence = about.RootElement.TryGetProperty("Data", out JsonElement model) && model.ValueKind == JsonValueKind.Object ? Text(model, "License") : null;
        return new RepositoryIndex(name, site.Authority, revision, licence, files.ToImmutable());
    }

    private async Task<JsonDocument> GetAsync(Uri address, string name, CancellationToken cancel)
    {
        using HttpRequestMessage request = Request(address);
        using var patience = new CancellationTokenSource(FileDownload.SilenceMax, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, patience.Token);
        try
        {
            using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token);
            switch (response.StatusCode)
            {
                case HttpStatusCode.NotFound: throw new CommandException($"{name} is not at {site.Authority}, or not in that revision.");
                case HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden: throw new CommandException($"{site.Authority} does not show {name} without a token, or not with this one: set HF_TOKEN (or MODELSCOPE_API_TOKEN) to one that may read it.");
            }
            if (!response.IsSuccessStatusCode) throw new CommandException($"{site.Authority} answered {(int)response.StatusCode} when asked for {name}. Try again later.");
            await response.Content.LoadIntoBufferAsync(IndexBytesMax, either.Token);
            return await JsonDocument.ParseAsync(await response.Content.ReadAsStreamAsync(either.Token), default, either.Token);
        }
        catch (OperationCanceledException error) when (!cancel.IsCancellationRequested)
        {
            throw new CommandException($"{site.Authority} does not answer. Is there a network, and a mirror that does (--site)?", error);
        }
        catch (HttpRequestException error)
        {
            throw new CommandException($"{site.Authority} cannot be reached: {error.Message}", error);
        }
        catch (JsonException error)
        {
            throw new CommandException($"What {site.Authority} answered for {name} is not an index of a repository. Is the site right (--site)?", error);
        }
    }

    private CommandException Strange(string name, string what) => new($"The index of {name} at {site.Authority} lists {what}.");

    private static string Escape(string path) => string.Join('/', path.Split('/').Select(Uri.EscapeDataString));
    private static string? Text(JsonElement element, string name) => element.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
    private static long? Size(JsonElement element, string name = "size") => element.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out long size) && size >= 0 ? size : null;
    private static JsonElement.ArrayEnumerator Array(JsonElement element, string name) =>
        element.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Array ? value.EnumerateArray() : default;
}

/// <summary>How a site lays out its repositories.</summary>
public enum RepositoryLayout { HuggingFace, ModelScope }
