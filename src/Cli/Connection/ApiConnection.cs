using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Qanat.Cli;

/// <summary>A server to talk to: the one named by QANAT_URL and QANAT_KEY, else the one that holds the data directory, else one started in this process on the directory, without a
/// model, for as long as the command takes. So every command has one code path.</summary>
public sealed class ApiConnection : IAsyncDisposable
{
    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromSeconds(5);
    private readonly HttpClient http;
    private readonly IAsyncDisposable? ownServer;

    private ApiConnection(string url, string key, IAsyncDisposable? ownServer)
    {
        http = new HttpClient { BaseAddress = new Uri(url.TrimEnd('/') + "/"), Timeout = Timeout.InfiniteTimeSpan };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        this.ownServer = ownServer;
    }

    /// <exception cref="CommandException">A server is named but its key is not, or the data directory cannot be opened.</exception>
    public static async Task<ApiConnection> OpenAsync(DataDirectory data, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(data);
        string? url = Environment.GetEnvironmentVariable("QANAT_URL");
        if (!string.IsNullOrWhiteSpace(url))
        {
            string key = Environment.GetEnvironmentVariable("QANAT_KEY") ?? throw new CommandException("QANAT_URL is set but QANAT_KEY is not: set it to an owner key of that server.");
            return new ApiConnection(url, key, null);
        }
        if (data.ReadNote() is { } note && await AnswersAsync(note, cancel)) return new ApiConnection(note.Url, note.Key, null);
        QanatServer server = await QanatServer.StartAsync(ServerOptions.ForCommands(data), new SilentProgress(), cancel);
        return new ApiConnection(server.Url, server.LocalKey, server);
    }

    public Task<JsonNode> GetAsync(string path, CancellationToken cancel) => SendAsync(HttpMethod.Get, path, null, cancel);
    public Task<JsonNode> PostAsync(string path, JsonObject body, CancellationToken cancel) => SendAsync(HttpMethod.Post, path, body, cancel);
    public Task<JsonNode> PutAsync(string path, JsonObject body, CancellationToken cancel) => SendAsync(HttpMethod.Put, path, body, cancel);
    public Task<JsonNode> DeleteAsync(string path, CancellationToken cancel) => SendAsync(HttpMethod.Delete, path, null, cancel);

    /// <summary>Copies a download to a stream.</summary>
    public async Task DownloadAsync(string path, Stream target, CancellationToken cancel)
    {
        using HttpResponseMessage response = await http.GetAsync(path, HttpCompletionOption.ResponseHeadersRead, cancel);
        if (!response.IsSuccessStatusCode) throw Refused(response, await response.Content.ReadAsStringAsync(cancel));
        await response.Content.CopyToAsync(target, cancel);
    }

    public async ValueTask DisposeAsync()
    {
        http.Dispose();
        if (ownServer is not null) await ownServer.DisposeAsync();
    }

    private async Task<JsonNode> SendAsync(HttpMethod method, string path, JsonObject? body, CancellationToken cancel)
    {
        using HttpRequestMessage request = new(method, path);
        if (body is not null) request.Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json");
        try
        {
            using HttpResponseMessage response = await http.SendAsync(request, cancel);
            string text = await response.Content.ReadAsStringAsync(cancel);
            if (!response.IsSuccessStatusCode) throw Refused(response, text);
            return text.Length == 0 ? new JsonObject() : JsonNode.Parse(text) ?? new JsonObject();
        }
        catch (HttpRequestException error)
        {
            throw new CommandException($"The server at {http.BaseAddress} does not answer: {error.Message}", error);
        }
    }

    private static CommandException Refused(HttpResponseMessage response, string text)
    {
        string? message = null;
        try
        {
            message = JsonNode.Parse(text)?["error"]?["message"]?.GetValue<string>();
        }
        catch (JsonException)
        {
            // Not JSON: the status line says what there is to say.
        }
        return new CommandException(message ?? $"The server answered {(int)response.StatusCode} {response.ReasonPhrase}.");
    }

    private static async Task<bool> AnswersAsync(ServerNote note, CancellationToken cancel)
    {
        using HttpClient probe = new() { Timeout = ProbeTimeout };
        try
        {
            using HttpRequestMessage request = new(HttpMethod.Get, note.Url.TrimEnd('/') + "/api/status");
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", note.Key);
            using HttpResponseMessage response = await probe.SendAsync(request, cancel);
            return response.IsSuccessStatusCode;
        }
        catch (Exception error) when (error is HttpRequestException or TaskCanceledException && !cancel.IsCancellationRequested)
        {
            return false;
        }
    }
}

/// <summary>A command that cannot do what was asked: the message is printed, the exit code is 1.</summary>
public sealed class CommandException : Exception
{
    public CommandException(string message) : base(message) { }
    public CommandException(string message, Exception inner) : base(message, inner) { }
    public CommandException() { }
}
