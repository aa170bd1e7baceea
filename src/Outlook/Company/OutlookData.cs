using System.Collections.Immutable;
using System.Reflection;

namespace Qanat.Outlook;

/// <summary>Where the texts of companies and investments are: built in, or a folder of the analyst's own.</summary>
public sealed class OutlookData
{
    private const string Prefix = "outlook/";
    private readonly string? _folder;

    private OutlookData(string? folder) => _folder = folder;

    /// <summary>The facts and models that come with Qanat.</summary>
    public static OutlookData BuiltIn { get; } = new(null);

    /// <summary>A folder with *.model, *.facts.csv and *.invest files.</summary>
    public static OutlookData Folder(string path) => Directory.Exists(path)
        ? new OutlookData(path)
        : throw new OutlookDataException(new Fault(new Place(path, 0), "there is no such folder."));

    public ImmutableArray<string> Names(string ending) => [.. All().Where(n => n.EndsWith(ending, StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    public ImmutableArray<string> Companies => [.. Names(".model").Select(n => n[..^".model".Length])];

    public bool Has(string name) => _folder is null ? Assembly.GetExecutingAssembly().GetManifestResourceInfo(Prefix + name) is not null : File.Exists(Path.Combine(_folder, name));

    /// <exception cref="OutlookDataException">There is no such text.</exception>
    public string Read(string name)
    {
        if (_folder is not null)
        {
            string path = Path.Combine(_folder, name);
            return File.Exists(path) ? File.ReadAllText(path) : throw Missing(name);
        }
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(Prefix + name) ?? throw Missing(name);
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }

    private OutlookDataException Missing(string name) => new(new Fault(new Place(name, 0), $"there is no such file; there are: {string.Join(", ", All())}."));

    private IEnumerable<string> All() => _folder is null
        ? Assembly.GetExecutingAssembly().GetManifestResourceNames().Where(n => n.StartsWith(Prefix, StringComparison.Ordinal)).Select(n => n[Prefix.Length..])
        : Directory.EnumerateFiles(_folder).Select(f => Path.GetFileName(f));
}
