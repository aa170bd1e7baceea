using System.CommandLine;
using System.Text.Json.Nodes;

namespace Qanat.Cli;

/// <summary>qanat config check | schema | reload.</summary>
internal static class ConfigCommands
{
    public static Command Build(Shared shared)
    {
        Argument<FileInfo?> file = new("file") { Description = "Default: qanat.json in the data directory.", Arity = ArgumentArity.ZeroOrOne };
        Command check = new("check", "Read the configuration and say what is wrong with it.") { file };
        check.SetAction((parsed, _) => Shared.RunAsync(() =>
        {
            string path = parsed.GetValue(file)?.FullName ?? shared.Data(parsed).ConfigurationFile;
            QanatConfiguration.Read(path);
            shared.Terminal(parsed).Say(new JsonObject { ["file"] = path, ["ok"] = true, ["there"] = File.Exists(path) }, File.Exists(path) ? $"{path} is good." : $"There is no {path}: the defaults hold.");
            return Task.CompletedTask;
        }));
        Command schema = new("schema", "Print the JSON Schema of the configuration.");
        schema.SetAction((parsed, _) => Shared.RunAsync(() =>
        {
            System.Console.Out.Write(QanatConfiguration.SchemaText());
            return Task.CompletedTask;
        }));
        Command reload = new("reload", "Have the running server read its configuration again, as SIGHUP does.");
        reload.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode done = await server.PostAsync("api/config/reload", [], cancel);
            terminal.Say(done, Words(Texts(done["applied"]), Texts(done["need_restart"]), null));
        }, cancel));
        return new Command("config", "The configuration file, qanat.json.") { check, schema, reload };
    }

    internal static string Words(IReadOnlyList<string> applied, IReadOnlyList<string> needRestart, string? problem)
    {
        if (problem is not null) return $"nothing was changed. {problem}";
        string done = applied.Count == 0 ? "nothing to put in force." : $"in force: {string.Join(", ", applied)}.";
        return needRestart.Count == 0 ? done : $"{done} After a restart: {string.Join(", ", needRestart)}.";
    }

    private static string[] Texts(JsonNode? list) => [.. list!.AsArray().Select(each => (string)each!)];
}
