using System.CommandLine;
using System.Text.Json.Nodes;

namespace Qanat.Cli;

/// <summary>qanat config check | schema.</summary>
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
        return new Command("config", "The configuration file, qanat.json.") { check, schema };
    }
}
