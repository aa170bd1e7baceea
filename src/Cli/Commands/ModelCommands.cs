using System.CommandLine;
using System.Text.Json.Nodes;
using Qanat.Kernels;
using Qanat.Models;

namespace Qanat.Cli;

/// <summary>qanat pull | models | quantize: model files on this machine.</summary>
internal static class ModelCommands
{
    public static Command Pull(Shared shared)
    {
        Argument<string> name = new("model") { Description = "OWNER/NAME, as on the site." };
        Option<RepositoryLayout> layout = new("--from") { Description = "Whose layout the site has: HuggingFace or ModelScope.", DefaultValueFactory = _ => RepositoryLayout.HuggingFace };
        Option<string?> site = new("--site") { Description = "A mirror of the site. Default: the site itself." };
        Option<string?> file = new("--file") { Description = "Which weights, e.g. '*Q4_K_M*'. Needed where a repository holds several." };
        Option<string?> revision = new("--revision") { Description = "Branch, tag or commit. Default: main (ModelScope: master)." };
        Option<string?> reason = new("--accept-licence") { Description = "Accept a licence that does not let the model be hosted freely, and say why you may." };
        Command pull = new("pull", "Fetch a model: resumable, checked against its hashes, with its licence recorded.") { name, layout, site, file, revision, reason };
        pull.SetAction((parsed, cancel) => Shared.RunAsync(async () =>
        {
            PullOptions options = new(parsed.GetRequiredValue(name), parsed.GetValue(layout), SiteOf(parsed.GetValue(site)), parsed.GetValue(file), parsed.GetValue(revision), parsed.GetValue(reason));
            using var http = ModelPull.Client();
            var pulling = new ModelPull(http, shared.Data(parsed), TimeProvider.System, Environment.GetEnvironmentVariable);
            bool json = shared.Terminal(parsed).Format == OutputFormat.Json;
            PulledModel pulled = await DownloadProgress.ShowAsync(json, progress => pulling.RunAsync(options, progress, cancel));
            if (json) Terminal.PrintJson(Of(pulled.Record, pulled.Path));
            else Tell(pulled);
        }));
        return pull;
    }

    private static Uri? SiteOf(string? given) =>
        given is null ? null
        : Uri.TryCreate(given, UriKind.Absolute, out Uri? site) && (site.Scheme == Uri.UriSchemeHttp || site.Scheme == Uri.UriSchemeHttps) ? site
        : throw new CommandException($"'{given}' is no address of a site: write it as https://hf-mirror.example/.");

    public static Command Models(Shared shared)
    {
        Command list = new("list", "Models that were pulled, with their licences.");
        list.SetAction((parsed, _) => Shared.RunAsync(() =>
        {
            JsonArray rows = [.. PulledModels(shared.Data(parsed)).Select(each => Of(each.Record, each.Path))];
            shared.Terminal(parsed).Table(new JsonObject { ["data"] = rows }, rows, new Column("model", "repository"), new Column("size", "size", Align.Right), new Column("licence", "licence"), new Column("hosting", "hosting"),
                new Column("accepted", "accepted"), new Column("serve with", "path"));
            return Task.CompletedTask;
        }));
        Argument<string> name = new("model") { Description = "OWNER/NAME, as pulled." };
        Option<string> reason = new("--reason") { Description = "Why you may host it: your own licence from the publisher, internal use, ...", Required = true };
        Command accept = new("accept", "Accept a licence that does not let the model be hosted freely. Who, when and why are kept beside the model.") { name, reason };
        accept.SetAction((parsed, _) => Shared.RunAsync(() =>
        {
            string folder = ModelPull.FolderOf(shared.Data(parsed), parsed.GetRequiredValue(name));
            ModelRecord record = ModelRecord.Beside(folder) ?? throw new CommandException($"{parsed.GetValue(name)} was not pulled: qanat models list says what was.");
            ModelRecord accepted = ModelPull.Accept(record, parsed.GetRequiredValue(reason), TimeProvider.System);
            accepted.Save(folder);
            shared.Terminal(parsed).Say(Of(accepted, ModelPull.ServedPath(accepted, folder)), $"Accepted: {record.Repository} may be served.");
            return Task.CompletedTask;
        }));
        return new Command("models", "Models on this machine.") { list, accept };
    }

    public static Command Quantize(Shared shared)
    {
        Argument<string> source = new("source") { Description = "A GGUF file (the first of its parts, where there are several), a folder with *.safetensors, or OWNER/NAME of a model that was pulled; best in F32, F16 or BF16." };
        Argument<FileInfo> target = new("target") { Description = "The GGUF file to write." };
        Option<QuantMix> mix = new("--type") { Description = string.Join(", ", Enum.GetNames<QuantMix>()), DefaultValueFactory = _ => QuantMix.Q4_K_M };
        Option<int?> threads = Shared.Threads();
        Option<bool> force = new("--force") { Description = "Write over a file that is there." };
        Command quantize = new("quantize", "Write a model with fewer bits per weight.") { source, target, mix, threads, force };
        quantize.SetAction((parsed, cancel) => Shared.RunAsync(() => Task.Run(() =>
        {
            FileInfo to = parsed.GetRequiredValue(target);
            if (to.Exists && !parsed.GetValue(force)) throw new CommandException($"{to.FullName} is there already: --force writes over it.");
            string from = ModelPull.Find(shared.Data(parsed), parsed.GetRequiredValue(source));
            if (Resolved(from) == Resolved(to.FullName)) throw new CommandException($"{to.FullName} is the source itself: write to another file, and remove the source when the new one is as you want it.");
            try
            {
                using ModelSource file = ModelSource.OpenAny(from);
                TensorProgress progress = new(file.Tensors.Count, shared.Terminal(parsed).Format);
                WriteWhole(to.FullName, stream => GgufQuantizer.Write(file, parsed.GetValue(mix), stream, parsed.GetValue(threads) ?? CpuTopology.PhysicalCores, progress, cancel));
                long bytes = new FileInfo(to.FullName).Length;
                shared.Terminal(parsed).Say(new JsonObject { ["file"] = to.FullName, ["bytes"] = bytes, ["source_bytes"] = file.Bytes }, $"{to.FullName}: {Amount.OfBytes(bytes)}, was {Amount.OfBytes(file.Bytes)}.");
            }
            catch (ModelFileException error)
            {
                throw new CommandException(error.Message, error);
            }
        }, cancel)));
        return quantize;
    }

    /// <summary>The file that a path leads to.</summary>
    private static string Resolved(string path) => (File.Exists(path) ? File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName : null) ?? Path.GetFullPath(path);

    /// <summary>The file is there when it is whole. What another command is just writing is left to it.</summary>
    private static void WriteWhole(string file, Action<FileStream> write)
    {
        string next = file + ".part";
        using (FileStream stream = new(next, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 20))
        {
            try
            {
                write(stream);
                stream.Flush();
            }
            catch
            {
                File.Delete(next);
                throw;
            }
        }
        File.Move(next, file, overwrite: true);
    }

    private static IEnumerable<PulledModel> PulledModels(DataDirectory data) => !Directory.Exists(data.Models) ? [] :
        Directory.EnumerateFiles(data.Models, ModelRecord.FileName, SearchOption.AllDirectories).Order(StringComparer.Ordinal)
            .Select(file => Path.GetDirectoryName(file)!).Select(folder => (folder, ModelRecord.Beside(folder)!)).Select(each => new PulledModel(each.Item2, ModelPull.ServedPath(each.Item2, each.folder)));

    private static JsonObject Of(ModelRecord record, string path) => new()
    {
        ["repository"] = record.Repository,
        ["source"] = record.Source,
        ["revision"] = record.Revision,
        ["size"] = Amount.OfBytes(record.Files.Sum(file => file.Bytes)),
        ["licence"] = record.Licence.Id,
        ["hosting"] = record.Licence.Hosting.ToString().ToLowerInvariant(),
        ["terms"] = record.Licence.Terms,
        ["accepted"] = record.Acceptance is { } acceptance ? $"{acceptance.By}: {acceptance.Reason}" : null,
        ["path"] = path,
    };

    private static void Tell(PulledModel pulled)
    {
        ModelRecord record = pulled.Record;
        System.Console.WriteLine($"{record.Repository} at {record.Revision[..Math.Min(12, record.Revision.Length)]}: {record.Files.Count} files, {Amount.OfBytes(record.Files.Sum(file => file.Bytes))}, {Checked(record.Files)}.");
        System.Console.WriteLine($"Licence: {record.Licence.Id}{(record.Licence.Terms is { } terms ? $", {terms}" : ", free to host")}.");
        System.Console.WriteLine(record.MayBeHosted ? $"Serve it: qanat up --model {pulled.Path}" : $"It is not served until the licence is accepted: qanat models accept {record.Repository} --reason \"...\"");
    }

    internal static string Checked(IReadOnlyList<PulledFile> files) => files.Where(file => !file.IsPromised).Select(file => file.Path).ToArray() is { Length: > 0 } unknown
        ? $"hashes as promised, but the site tells none of {string.Join(", ", unknown.Take(5))}{(unknown.Length > 5 ? $" and {unknown.Length - 5} more" : "")}"
        : "every hash as promised";

    private sealed class TensorProgress(int count, OutputFormat format) : IProgress<string>
    {
        private int done;

        public void Report(string value)
        {
            done++;
            if (format == OutputFormat.Text && !System.Console.IsOutputRedirected) System.Console.Write($"\r{done}/{count} {value}".PadRight(78)[..78]);
            if (done == count && format == OutputFormat.Text && !System.Console.IsOutputRedirected) System.Console.WriteLine();
        }
    }
}
