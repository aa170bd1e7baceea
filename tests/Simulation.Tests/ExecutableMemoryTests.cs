using System.Net.Http.Json;
using System.Text.Json.Nodes;

namespace Qanat.Simulation.Tests;

/// <summary>The built program where no code may be assembled, as on systems that refuse executable memory.</summary>
public sealed class ExecutableMemoryTests
{
    [Fact]
    public async Task A_server_without_executable_memory_gives_the_same_answer_and_says_once_what_it_does_without()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        string[] data = [Directory.CreateTempSubdirectory("qanat-assembled").FullName, Directory.CreateTempSubdirectory("qanat-refused").FullName];
        Task<ServerProcess> starting = ServerProcess.StartAsync(data[0], cancel);
        await using (ServerProcess refused = await ServerProcess.StartAsync(data[1], new Dictionary<string, string>(StringComparer.Ordinal) { ["QANAT_EXECUTABLE_MEMORY"] = "off" }, cancel))
        await using (ServerProcess assembled = await starting)
        {
            Assert.Equal(await AnswerAsync(assembled, cancel), await AnswerAsync(refused, cancel));
            string kernels = (await refused.GetAsync("api/status", cancel))["deployments"]![0]!["kernels"]!.ToString();
            Assert.DoesNotContain("Emitted, ", kernels, StringComparison.Ordinal);
            Assert.DoesNotContain("Avx512Vnni, ", kernels, StringComparison.Ordinal);
            // What they wrote has all been read only when they have ended.
            await Task.WhenAll(assembled.StopAsync(cancel), refused.StopAsync(cancel));
            Assert.DoesNotContain("executable memory is switched off", assembled.Said, StringComparison.Ordinal);
            if (kernels.StartsWith("Avx2, ", StringComparison.Ordinal))
                Assert.Single(refused.Said.Split('\n'), line => line.Contains("executable memory is switched off", StringComparison.Ordinal));
        }
        foreach (string folder in data) Directory.Delete(folder, recursive: true);
    }

    /// <summary>Tokens and their probabilities, to the last digit that is told.</summary>
    private static async Task<string> AnswerAsync(ServerProcess server, CancellationToken cancel)
    {
        using HttpResponseMessage response = await server.Http.PostAsJsonAsync("v1/completions", new { model = "qanat-tiny", prompt = "The water of the qanat", max_tokens = 24, seed = 5, temperature = 1.0, logprobs = 3 }, cancel);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(cancel));
        JsonNode choice = JsonNode.Parse(await response.Content.ReadAsStringAsync(cancel))!["choices"]![0]!;
        Assert.Equal(24, choice["logprobs"]!["tokens"]!.AsArray().Count);
        return choice.ToJsonString();
    }
}
