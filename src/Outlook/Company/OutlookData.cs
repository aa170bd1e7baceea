using System.Collections.Immutable;
using System.Reflection;

namespace Qanat.Outlook;

/// <summary>Where the texts of companies and investments are: built in, or a folder of the analyst's own.</summary>
public sealed class OutlookData
{
    private const string Prefix = "outlook/";
    private readonly string? _folder;
    private readonly bool _withBuiltIn;

    private OutlookData(string? folder, bool withBuiltIn) => (_folder, _withBuiltIn) = (folder, withBuiltIn);

    /// <summary>The facts and models that come with Qanat.</summary>
    public static OutlookData BuiltIn { get; } = new(null, withBuiltIn: true);

    /// <summary>A folder with *.model, *.facts.csv and *.invest files.</summary>
    public static OutlookData Folder(string path) => Directory.Exists(path)
        ? new OutlookData(path, withBuiltIn: false)
        : throw new OutlookDataException(new Fault(new Place(path, 0), "there is no such folder."));

    /// <summary>What comes with Qanat and what a folder adds; a file of the folder takes the place of one with its name. The folder need not exist.</summary>
    public static OutlookData BuiltInAnd(string folder) => Directory.Exists(folder) ? new OutlookData(folder, withBuiltIn: true) : BuiltIn;

    public ImmutableArray<string> Names(string ending) => [.. All().Where(n => n.EndsWith(ending, StringComparison.Ordinal)).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];

    public ImmutableArray<string> Companies => [.. Names(".model").Select(n => n[..^".model".Length])];

    public bool Has(string name) => IsInFolder(name) || IsBuiltIn(name);

    /// <summary>Whether a text is the folder's own.</summary>
    public bool IsInFolder(string name) => _folder is not null && File.Exists(Path.Combine(_folder, name));

    /// <exception cref="OutlookDataException">There is no such text.</exception>
    public string Read(string name)
    {
        if (IsInFolder(name)) return File.ReadAllText(Path.Combine(_folder!, name));
        if (!IsBuiltIn(name)) throw new OutlookDataException(new Fault(new Place(name, 0), $"there is no such file; there are: {string.Join(", ", All().Distinct(StringComparer.Ordinal))}."));
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(Prefix + name)!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }

    private bool IsBuiltIn(string name) => _withBuiltIn && Assembly.GetExecutingAssembly().GetManifestResourceInfo(Prefix + name) is not null;

    private IEnumerable<string> All()
    {
        IEnumerable<string> own = _folder is null ? [] : Directory.EnumerateFiles(_folder).Select(f => Path.GetFileName(f));
        return _withBuiltIn ? own.Concat(Assembly.GetExecutingAssembly().GetManifestResourceNames().Where(n => n.StartsWith(Prefix, StringComparison.Ordinal)).Select(n => n[Prefix.Length..])) : own;
    }
}
