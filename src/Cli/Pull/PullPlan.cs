using System.Collections.Immutable;
using System.IO.Enumeration;

namespace Qanat.Cli;

/// <summary>Which files of a repository are fetched, and where they go.</summary>
public sealed record PullPlan(RepositoryIndex Index, string Folder, ImmutableArray<RepositoryFile> Files)
{
    private static readonly string[] BesideWeights = ["*.json", "*.jinja", "*.txt", "license*", "notice*"];
    private const int FilesMax = 4096;

    public long Bytes => Files.Sum(file => file.Bytes);

    /// <summary>The weights asked for with what they need: one GGUF file (all its parts), or every safetensors file with the texts beside it.</summary>
    /// <param name="pattern">A file name with * and ?; null: the only choice there is.</param>
    /// <exception cref="CommandException">Nothing fits, or several do and none was chosen.</exception>
    public static PullPlan Make(RepositoryIndex index, string? pattern, string folder)
    {
        ArgumentNullException.ThrowIfNull(index);
        if (index.Files.Length > FilesMax) throw new CommandException($"{index.Name} has {index.Files.Length} files; more than {FilesMax} are not taken.");
        foreach (RepositoryFile file in index.Files) EnsureInside(index, file.Path);
        ImmutableArray<RepositoryFile> weights = Weights(index, pattern);
        bool isGguf = weights[0].Path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase);
        IEnumerable<RepositoryFile> beside = index.Files.Where(file => !file.Path.Contains('/', StringComparison.Ordinal) && (isGguf ? IsLicence(file.Path) : BesideWeights.Any(each => FileSystemName.MatchesSimpleExpression(each, file.Path))));
        return new PullPlan(index, folder, [.. weights.Concat(beside).DistinctBy(file => file.Path)]);
    }

    private static ImmutableArray<RepositoryFile> Weights(RepositoryIndex index, string? pattern)
    {
        RepositoryFile[] gguf = [.. index.Files.Where(file => file.Path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase))];
        RepositoryFile[] tensors = [.. index.Files.Where(file => file.Path.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase))];
        RepositoryFile[] found = pattern is null ? (gguf.Length > 0 ? gguf : tensors) : [.. gguf.Concat(tensors).Where(file => FileSystemName.MatchesSimpleExpression(pattern, Path.GetFileName(file.Path)))];
        if (found.Length == 0)
            throw new CommandException(pattern is null
                ? $"{index.Name} holds neither GGUF nor safetensors files."
                : $"No weights of {index.Name} are called like '{pattern}'. There are: {List(gguf.Concat(tensors))}.");
        if (found.All(file => file.Path.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase))) return [.. tensors];
        string[] models = [.. found.Select(file => Whole(file.Path)).Distinct(StringComparer.Ordinal)];
        if (models.Length > 1) throw new CommandException($"{index.Name} holds several models: choose one with --file, e.g. --file '*Q4_K_M*'. There are: {List(found)}.");
        return [.. gguf.Where(file => Whole(file.Path) == models[0])];
    }

    /// <summary>The name without "-00001-of-00003": the parts of one model are fetched together.</summary>
    internal static string Whole(string path)
    {
        string name = path[..^".gguf".Length];
        int of = name.LastIndexOf("-of-", StringComparison.Ordinal), dash = of < 0 ? -1 : name.LastIndexOf('-', of - 1);
        return dash > 0 && name[(dash + 1)..of].All(char.IsAsciiDigit) && name[(of + 4)..].All(char.IsAsciiDigit) ? name[..dash] : name;
    }

    private static bool IsLicence(string path) => path.StartsWith("license", StringComparison.OrdinalIgnoreCase) || path.StartsWith("notice", StringComparison.OrdinalIgnoreCase);

    private static string List(IEnumerable<RepositoryFile> files) => string.Join(", ", files.Take(40).Select(file => $"{file.Path} ({Amount.OfBytes(file.Bytes)})"));

    /// <summary>A repository's names are somebody else's: none may lead out of its folder.</summary>
    private static void EnsureInside(RepositoryIndex index, string path)
    {
        bool isSafe = path.Length is > 0 and < 512 && !path.StartsWith('/') && !path.Contains('\\', StringComparison.Ordinal) && !path.Contains(':', StringComparison.Ordinal)
            && path.Split('/').All(part => part.Length > 0 && part is not ("." or "..")) && !path.Any(char.IsControl);
        if (!isSafe) throw new CommandException($"{index.Name} lists a file whose name leads out of its folder ('{path[..Math.Min(80, path.Length)]}'): nothing was fetched.");
    }
}

/// <summary>Amounts as people read them.</summary>
internal static class Amount
{
    public static string OfBytes(double bytes) => bytes switch
    {
        >= 1e9 => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{bytes / 1e9:0.##} GB"),
        >= 1e6 => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{bytes / 1e6:0.#} MB"),
        _ => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{bytes / 1e3:0.#} kB"),
    };
}
