namespace Qanat.Cli;

/// <summary>qanat pull: what is asked.</summary>
public sealed record PullOptions(string Model, RepositoryLayout Layout, Uri? Site, string? File, string? Revision, string? AcceptReason);

/// <param name="Path">What to serve: a file, or the folder of a model in safetensors.</param>
public sealed record PulledModel(ModelRecord Record, string Path);

/// <summary>Told what is being fetched.</summary>
public interface IPullProgress
{
    void Begin(RepositoryFile file);
    void Came(RepositoryFile file, long bytes);
}

/// <summary>Fetches a model into the data directory and records where it came from and under which licence.</summary>
public sealed class ModelPull(HttpClient http, DataDirectory data, TimeProvider clock, Func<string, string?> environment)
{
    /// <summary>Left free on the disk.</summary>
    private const long SpareBytes = 256L << 20;

    public static HttpClient Client() => new(new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.FromMinutes(5), ConnectTimeout = TimeSpan.FromSeconds(30) })
    {
        Timeout = Timeout.InfiniteTimeSpan,
        DefaultRequestHeaders = { { "User-Agent", "qanat" } },
    };

    /// <exception cref="CommandException">What is wrong, and what to do. Whatever came whole stays and is not fetched again.</exception>
    public async Task<PulledModel> RunAsync(PullOptions options, IPullProgress progress, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(progress);
        string folder = FolderOf(data, options.Model);
        Uri site = options.Site ?? new Uri(options.Layout == RepositoryLayout.ModelScope ? "https://modelscope.cn/" : "https://huggingface.co/");
        var repository = new ModelRepository(http, new Uri(site.AbsoluteUri.TrimEnd('/') + "/"), environment(options.Layout == RepositoryLayout.ModelScope ? "MODELSCOPE_API_TOKEN" : "HF_TOKEN"), clock);
        RepositoryIndex index = await repository.ReadAsync(options.Layout, options.Model, options.Revision ?? (options.Layout == RepositoryLayout.ModelScope ? "master" : "main"), cancel);
        PullPlan plan = PullPlan.Make(index, options.File, folder);
        Directory.CreateDirectory(folder);
        EnsureRoom(plan);
        var files = new List<PulledFile>();
        foreach (RepositoryFile file in plan.Files)
        {
            progress.Begin(file);
            var download = new FileDownload(http, repository, clock) { Came = bytes => progress.Came(file, bytes) };
            files.Add(new PulledFile(file.Path, file.Bytes, await download.RunAsync(file, folder, cancel), file.Hash is not null));
        }
        ModelRecord? before = ModelRecord.Beside(folder);
        ModelRecord record = new()
        {
            Repository = index.Name,
            Source = index.Source,
            Revision = index.Revision,
            PulledAt = clock.GetUtcNow(),
            Licence = Licence.Of(index.Name, index.LicenceId),
            Acceptance = before?.Acceptance,
            Files = [.. files.Concat(before?.Files.Where(old => files.All(file => file.Path != old.Path) && File.Exists(Path.Combine(folder, old.Path))) ?? []).OrderBy(file => file.Path, StringComparer.Ordinal)],
        };
        if (options.AcceptReason is { } reason && record.Licence.Hosting != CommercialHosting.Free) record = Accept(record, reason, clock);
        record.Save(folder);
        return new PulledModel(record, ServedPath(record with { Files = files }, folder));
    }

    /// <summary>OWNER/NAME below the folder of models.</summary>
    /// <exception cref="CommandException">The name is none.</exception>
    public static string FolderOf(DataDirectory data, string model)
    {
        ArgumentNullException.ThrowIfNull(data);
        ArgumentNullException.ThrowIfNull(model);
        string[] parts = model.Split('/');
        bool isName = parts.Length == 2 && parts.All(part => part.Length is > 0 and < 128 && part.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.') && part.Any(c => c != '.'));
        return isName ? Path.Combine(data.Models, parts[0], parts[1]) : throw new CommandException($"'{model}' is not the name of a model: write OWNER/NAME, such as Qwen/Qwen3-0.6B-GGUF.");
    }

    /// <summary>The file or folder that is meant: as it is, or what was pulled under that name.</summary>
    /// <exception cref="CommandException">Neither is there.</exception>
    public static string Find(DataDirectory data, string model)
    {
        ArgumentNullException.ThrowIfNull(data);
        if (System.IO.File.Exists(model) || Directory.Exists(model)) return Path.GetFullPath(model);
        bool isName = model?.Split('/').Length == 2;
        if (isName && ModelRecord.Beside(FolderOf(data, model!)) is { } record) return OnlyPath(record, FolderOf(data, model!));
        throw new CommandException(isName ? $"There is no file {model}, and no model of that name was pulled: qanat pull {model}." : $"There is no file {model}.");
    }

    /// <exception cref="CommandException">No reason was given.</exception>
    public static ModelRecord Accept(ModelRecord record, string reason, TimeProvider clock)
    {
        ArgumentNullException.ThrowIfNull(record);
        if (string.IsNullOrWhiteSpace(reason)) throw new CommandException("Say why you may host this model: the reason is kept beside it.");
        return record with { Acceptance = new LicenceAcceptance(clock.GetUtcNow(), Environment.UserName, reason.Trim()) };
    }

    /// <exception cref="CommandException">Several models of that repository were pulled.</exception>
    private static string OnlyPath(ModelRecord record, string folder)
    {
        string[] models = [.. Gguf(record).GroupBy(PullPlan.Whole).Select(parts => Path.Combine(folder, parts.First()))];
        return models.Length < 2 ? ServedPath(record, folder) : throw new CommandException($"Several models of {record.Repository} were pulled: name the file. There are: {string.Join(", ", models)}.");
    }

    /// <summary>The first part of a GGUF model, else the folder.</summary>
    public static string ServedPath(ModelRecord record, string folder)
    {
        ArgumentNullException.ThrowIfNull(record);
        return Gguf(record).FirstOrDefault() is { } file ? Path.Combine(folder, file) : folder;
    }

    private static IEnumerable<string> Gguf(ModelRecord record) => record.Files.Select(file => file.Path).Where(path => path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase)).Order(StringComparer.Ordinal);

    private static void EnsureRoom(PullPlan plan)
    {
        long missing = plan.Files.Sum(file => Math.Max(0, file.Bytes - Have(Path.Combine(plan.Folder, file.Path))));
        long free = new DriveInfo(Path.GetFullPath(plan.Folder)).AvailableFreeSpace;
        if (missing + SpareBytes > free)
            throw new CommandException($"{plan.Index.Name} needs {Amount.OfBytes(missing)} more and the disk has {Amount.OfBytes(free)} free: make room, or set --data to another disk.");
    }

    private static long Have(string place) => File.Exists(place) ? new FileInfo(place).Length : File.Exists(place + ".part") ? new FileInfo(place + ".part").Length : 0;
}
