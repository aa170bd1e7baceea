using System.Diagnostics;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;

namespace Qanat.Gateway.Bench;

/// <summary>Servers that compute a model themselves.</summary>
internal sealed partial class Peer
{
    /// <summary>qanat up on a model file, books on: a price, a tenant with a budget, its key.</summary>
    public static async Task<Peer> QanatAsync(string model, string data, int threads)
    {
        const string Owner = "sk-owner-of-the-bench";
        Process process = Start("dotnet", [ProgramOf("src/Cli", "qanat.dll"), "up", "--data", data, "--urls", "http://127.0.0.1:0", "--model", model, "--name", "bench", "--threads", $"{threads}", "--kv-mb", "2048"], ("QANAT_OWNER_KEY", Owner));
        Uri? url = null;
        while (url is null && await process.StandardOutput.ReadLineAsync() is { } line)
        {
            if (line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is ["API", { } address, ..]) url = new Uri(address[..^"/v1".Length]);
        }
        _ = process.StandardOutput.ReadToEndAsync();
        using HttpClient http = new() { BaseAddress = url ?? throw new InvalidOperationException("qanat up did not serve.") };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Owner);
        await PostAsync(http, "api/tenants", new JsonObject { ["name"] = "bench", ["monthly_budget"] = "100000" });
        JsonNode key = await PostAsync(http, "api/keys", new JsonObject { ["tenant"] = "bench", ["name"] = "bench" });
        return new Peer("qanat", process, Completions(url), new Dictionary<string, string> { ["Authorization"] = "Bearer " + key["key"] });
    }

    /// <summary>llama-server of a folder, with as many slots as clients.</summary>
    public static async Task<Peer> LlamaServerAsync(string folder, string model, int threads, int clients)
    {
        int port = FreePort();
        ProcessStartInfo start = new(Path.Combine(folder, "llama-server"), ["-m", model, "--host", "127.0.0.1", "--port", $"{port}", "-t", $"{threads}", "-tb", $"{threads}", "-np", $"{clients}", "-c", $"{4096 * clients}", "--no-webui"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        start.Environment["LD_LIBRARY_PATH"] = folder;
        Process process = Process.Start(start)!;
        _ = process.StandardOutput.ReadToEndAsync();
        _ = process.StandardError.ReadToEndAsync();
        Uri url = new($"http://127.0.0.1:{port}");
        using HttpClient http = new();
        for (int attempt = 0; attempt < 600; attempt++)
        {
            if (process.HasExited) throw new InvalidOperationException("llama-server ended before it served.");
            try
            {
                using HttpResponseMessage health = await http.GetAsync(new Uri(url, "health"));
                if (health.IsSuccessStatusCode) break;
            }
            catch (HttpRequestException)
            {
                // It does not listen yet.
            }
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System);
        }
        return new Peer("llama-server", process, Completions(url), new Dictionary<string, string>());
    }
}
