using System.CommandLine;

namespace Qanat.Cli;

/// <summary>Everything `qanat` can be asked.</summary>
internal static class CommandTree
{
    public static RootCommand Build()
    {
        Shared shared = new();
        RootCommand root = new("Qanat: your own AI cloud on open Qwen models, with exact books.")
        {
            UpCommand.Build(shared),
            DirectoryCommands.Tenant(shared),
            DirectoryCommands.Project(shared),
            DirectoryCommands.Key(shared),
            AccountCommands.Build(shared),
            TariffCommands.Price(shared),
            TariffCommands.Cost(shared), UpstreamCommands.Upstream(shared),
            FinanceCommands.Contracts(shared),
            InvoiceCommands.Build(shared),
            BooksCommands.Usage(shared),
            BooksCommands.Books(shared),
            ConfigCommands.Build(shared),
            DoctorCommand.Build(shared),
            BackupCommands.Backup(shared),
            BackupCommands.Restore(shared),
            DemoCommands.Build(shared),
            OutlookTree.Build(shared),
            RunCommand.Build(shared),
            BenchCommand.Build(shared),
            ModelCommands.Pull(shared),
            ModelCommands.Models(shared),
            ModelCommands.Quantize(shared),
        };
        root.Options.Add(shared.DataOption);
        root.Options.Add(shared.StoreOption);
        root.Options.Add(shared.JsonOption);
        return root;
    }
}
