using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace Qanat.Simulation.Tests;

/// <summary>What one client saw of its request before the end, whichever end it was.</summary>
/// <param name="RequestId">Null: no response had begun.</param>
internal sealed record Seen(string? RequestId, int Tokens, bool Finished, string? Charge);

/// <summary>A client that counts the tokens it receives: it asks for logprobs, which come one per token.</summary>
internal static class StreamingClient
{
    public static async Task<Seen> RunAsync(HttpClient http, string prompt, int maxTokens, int seed, Action received, CancellationToken cancel)
    {
        string? id = null;
        int tokens = 0;
        bool finished = false;
        string? charge = null;
        try
        {
            using HttpRequestMessage request = new(HttpMethod.Post, "v1/chat/completions");
            request.Content = new StringContent(Body(prompt, maxTokens, seed).ToJsonString(), Encoding.UTF8, "application/json");
            using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel);
            response.EnsureSuccessStatusCode();
            id = response.Headers.GetValues("x-qanat-request-id").Single();
            using StreamReader reader = new(await response.Content.ReadAsStreamAsync(cancel));
            while (await reader.ReadLineAsync(cancel) is { } line)
            {
                if (!line.StartsWith("data: {", StringComparison.Ordinal)) continue;
                JsonNode chunk = JsonNode.Parse(line[6..])!;
                tokens += (chunk["choices"] as JsonArray)?.Sum(choice => (choice!["logprobs"]?["content"] as JsonArray)?.Count ?? 0) ?? 0;
                finished |= (chunk["choices"] as JsonArray)?.Any(choice => choice!["finish_reason"] is not null) ?? false;
                charge = chunk["usage"]?["x_qanat"]?["charge"]?.ToString() ?? charge;
                received();
            }
        }
        catch (Exception error) when (error is HttpRequestException or IOException or OperationCanceledException)
        {
            // The server was killed, or the client left: what was seen until then counts.
        }
        return new Seen(id, tokens, finished, charge);
    }

    private static JsonObject Body(string prompt, int maxTokens, int seed) => new()
    {
        ["model"] = "qanat-tiny",
        ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = prompt + seed.ToString(CultureInfo.InvariantCulture) }),
        ["stream"] = true,
        ["stream_options"] = new JsonObject { ["include_usage"] = true },
        ["logprobs"] = true,
        ["ignore_eos"] = true,
        ["max_tokens"] = maxTokens,
        ["seed"] = seed,
    };
}
