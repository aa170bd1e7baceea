using System.Diagnostics;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Qanat.Gateway.Bench.Tracing;

namespace Qanat.Gateway.Bench;

/// <summary>A program under measurement, in a process of its own.</summary>
internal sealed partial class Peer : IAsyncDisposable
{
    private readonly Process process;

    private Peer(string name, Process process, Uri url, IReadOnlyDictionary<string, string> headers) => (Name, this.process, Url, Headers) = (name, process, url, headers);

    public string Name { get; }
    public Uri Url { get; }
    public IReadOnlyDictionary<string, string> Headers { get; }

    /// <summary>Resident now, in MB.</summary>
    public double ResidentMb
    {
        get
        {
            process.Refresh();
            return Math.Round(process.WorkingSet64 / 1e6, 1);
        }
    }

    public int ProcessId => process.Id;

    /// <summary>Processor time used so far.</summary>
    public TimeSpan Processor
    {
        get
        {
            process.Refresh();
            return process.TotalProcessorTime;
        }
    }

    public static async Task<Peer> MockAsync(int tokens, int perTokenMs, TraceFolder? trace = null)
    {
        Process process = Start("dotnet", [ProgramOf("tools/MockUpstream", "Qanat.MockUpstream.dll"), "--tokens", $"{tokens}", "--per-token-ms", $"{perTokenMs}"], [("DOTNET_ThreadPool_UnfairSemaphoreSpinLimit", "0"), .. Traced(trace)]);
        string url = (await process.StandardOutput.ReadLineAsync())!;
        return new Peer("direct", process, Completions(new Uri(url[..^"/v1".Length])), new Dictionary<string, string>());
    }

    public static async Task<Peer> YarpAsync(Uri mock, TraceFolder? trace = null)
    {
        Process process = Start("dotnet", [Path.Combine(AppContext.BaseDirectory, "Qanat.Gateway.Bench.dll"), "yarp", mock.GetLeftPart(UriPartial.Authority)], Traced(trace));
        return new Peer("yarp", process, Completions(new Uri((await process.StandardOutput.ReadLineAsync())!)), new Dictionary<string, string>());
    }

    /// <summary>qanat up on a fresh data directory, with the mock as an upstream, a price, a tenant and its key.</summary>
    public static async Task<Peer> QanatAsync(Uri mock, string data, TraceFolder? trace = null)
    {
        const string Owner = "sk-owner-of-the-bench";
        Process process = Start("dotnet", [ProgramOf("src/Cli", "qanat.dll"), "up", "--data", data, "--urls", "http://127.0.0.1:0"], [("QANAT_OWNER_KEY", Owner), .. Traced(trace)]);
        Uri? url = null;
        while (url is null && await process.StandardOutput.ReadLineAsync() is { } line)
        {
            if (line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is ["API", { } address, ..]) url = new Uri(address[..^"/v1".Length]);
        }
        _ = process.StandardOutput.ReadToEndAsync();
        using HttpClient http = new() { BaseAddress = url ?? throw new InvalidOperationException("qanat up did not serve.") };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Owner);
        await PostAsync(http, "api/upstreams", new JsonObject
        {
            ["name"] = "mock",
            ["url"] = mock.GetLeftPart(UriPartial.Authority) + "/v1",
            ["allow_private"] = true,
            ["concurrent_max"] = 10_000,
            ["models"] = new JsonArray(new JsonObject { ["name"] = "mock", ["rates"] = "input 0.5 output 1" }),
        });
        await PostAsync(http, "api/tenants", new JsonObject { ["name"] = "bench", ["monthly_budget"] = "100000" });
        JsonNode key = await PostAsync(http, "api/keys", new JsonObject { ["tenant"] = "bench", ["name"] = "bench" });
        return new Peer("qanat", process, Completions(url), new Dictionary<string, string> { ["Authorization"] = "Bearer " + key["key"] });
    }

    /// <summary>npm @portkey-ai/gateway, from bench/Gateway.Bench/package.json; null when npm or node is missing.</summary>
    public static async Task<Peer?> PortkeyAsync(Uri mock)
    {
        string folder = AppContext.BaseDirectory;
        if (!Directory.Exists(Path.Combine(folder, "node_modules")))
        {
            using Process install = Start("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--prefix", folder]);
            await install.WaitForExitAsync();
            if (install.ExitCode != 0) return null;
        }
        int port = FreePort();
        Process process = Start("node", [Path.Combine(folder, "node_modules/@portkey-ai/gateway/build/start-server.js"), $"--port={port}", "--headless"], ("TRUSTED_CUSTOM_HOSTS", "127.0.0.1"), ("NODE_ENV", "production"));
        _ = process.StandardOutput.ReadToEndAsync();
        Uri url = new($"http://127.0.0.1:{port}");
        using HttpClient http = new();
        for (int attempt = 0; attempt < 100; attempt++)
        {
            try
            {
                await http.GetAsync(url);
                break;
            }
            catch (HttpRequestException)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System);
            }
        }
        return new Peer("portkey", process, Completions(url), new Dictionary<string, string>
        {
            ["Authorization"] = "Bearer sk-x",
            ["x-portkey-provider"] = "openai",
            ["x-portkey-custom-host"] = mock.GetLeftPart(UriPartial.Authority) + "/v1",
        });
    }

    public async ValueTask DisposeAsync()
    {
        process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
    }

    private static Uri Completions(Uri root) => new(root, "v1/chat/completions");

    private static int FreePort()
    {
        using TcpListener listener = new(System.Net.IPAddress.Loopback, 0);
        listener.Start();
        return ((System.Net.IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static (string Name, string Value)[] Traced(TraceFolder? trace) => trace is null ? [] : [.. trace.Variables.Select(each => (each.Key, each.Value))];

    private static Process Start(string program, string[] arguments, params ReadOnlySpan<(string Name, string Value)> environment)
    {
        ProcessStartInfo start = new(program, arguments) { RedirectStandardOutput = true, UseShellExecute = false };
        foreach ((string name, string value) in environment) start.Environment[name] = value;
        return Process.Start(start)!;
    }

    /// <summary>What the same build made elsewhere: bench/X/bin/CONFIG/net10.0 -> FOLDER/bin/CONFIG/net10.0.</summary>
    private static string ProgramOf(string folder, string file)
    {
        DirectoryInfo framework = new(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));
        string root = framework.Parent!.Parent!.Parent!.Parent!.Parent!.FullName;
        return Path.Combine(root, folder, "bin", framework.Parent.Name, framework.Name, file);
    }

    private static async Task<JsonNode> PostAsync(HttpClient http, string path, JsonObject body)
    {
        using HttpResponseMessage response = await http.PostAsJsonAsync(path, body);
        string text = await response.Content.ReadAsStringAsync();
        return response.IsSuccessStatusCode ? JsonNode.Parse(text)! : throw new InvalidOperationException(text);
    }
}
