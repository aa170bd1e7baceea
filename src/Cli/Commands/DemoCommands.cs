using System.CommandLine;
using System.Text.Json.Nodes;

namespace Qanat.Cli;

/// <summary>qanat demo clear: removes what `up --demo` left.</summary>
internal static class DemoCommands
{
    public static Command Build(Shared shared)
    {
        Command clear = new("clear", "Remove the demo tenants with their keys, requests and transactions.");
        clear.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode cleared = await server.PostAsync("api/demo/clear", [], cancel);
            terminal.Say(cleared, $"Removed: {cleared["tenants"]} demo tenants and {cleared["requests"]} requests.");
        }, cancel));
        return new Command("demo", "The demo's data.") { clear };
    }
}
