using System.CommandLine;
using System.Text.Json.Nodes;
using Spectre.Console;

namespace Qanat.Cli;

/// <summary>qanat account: identities of people, who sign in to the console with a name and a password.</summary>
internal static class AccountCommands
{
    public static Command Build(Shared shared) => new("account", "People who sign in to the console. The password is asked for, or read from standard input.") { Create(shared), Password(shared) };

    private static Command Create(Shared shared)
    {
        Argument<string> login = new("login") { Description = "What they call themselves when signing in." };
        Option<string> tenant = new("--tenant") { Description = "Name or id of their tenant.", Required = true };
        Option<string> role = new("--role") { Description = "owner, finance, operator, developer or viewer (docs/access.md).", Required = true };
        Option<string?> reach = new("--reach") { Description = "tenant: sees its own tenant only. cloud: sees all of it. Default: cloud for owners, tenant for all others." };
        Command create = new("create", "Make an account.") { login, tenant, role, reach };
        create.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode made = await server.PostAsync("api/accounts", new JsonObject
            {
                ["login"] = parsed.GetValue(login),
                ["tenant"] = parsed.GetValue(tenant),
                ["role"] = parsed.GetValue(role),
                ["reach"] = parsed.GetValue(reach),
                ["password"] = ReadPassword(),
            }, cancel);
            terminal.Say(made, $"{parsed.GetValue(login)} can sign in now.");
        }, cancel));
        return create;
    }

    private static Command Password(Shared shared)
    {
        Argument<string> id = new("id") { Description = "The account's id, from `qanat key list`." };
        Command password = new("password", "Set another password; it ends every session of the old one.") { id };
        password.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
            terminal.Say(await server.PutAsync($"api/accounts/{Uri.EscapeDataString(parsed.GetValue(id)!)}/password", new JsonObject { ["password"] = ReadPassword() }, cancel), "The password is changed; open sessions have ended."), cancel));
        return password;
    }

    private static string ReadPassword() => System.Console.IsInputRedirected
        ? System.Console.In.ReadLine() ?? throw new CommandException("The password is read from standard input, and there was none.")
        : AnsiConsole.Prompt(new TextPrompt<string>("Password:").Secret());
}
