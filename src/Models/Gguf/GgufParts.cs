using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Qanat.Models;

/// <summary>A model in several GGUF files, as it is published where one would be too large: NAME-00001-of-00003.gguf and its fellows. The first has the metadata; each has tensors of its own.</summary>
public sealed partial class GgufParts : ModelSource
{
    private const int PartsMax = 1024;

    private readonly List<GgufFile> _parts = [];
    private readonly Dictionary<string, GgufFile> _partByTensor = new(StringComparer.Ordinal);
    private readonly List<GgufTensor> _tensors = [];

    private GgufParts(string path) : base(path)
    {
    }

    public override long Bytes => _parts.Sum(part => part.Bytes);

    public override IReadOnlyDictionary<string, GgufValue> Metadata => _parts[0].Metadata;

    public override IReadOnlyList<GgufTensor> Tensors => _tensors;

    /// <summary>Opens a GGUF file; where it is one part of a model, all of them.</summary>
    /// <exception cref="ModelFileException">A file is missing, damaged, or no part of this model.</exception>
    public static ModelSource Open(string path)
    {
        GgufFile first = GgufFile.Open(path);
        int count;
        try
        {
            count = first.IntegerOr("split.count", 1, 0, PartsMax);
        }
        catch
        {
            first.Dispose();
            throw;
        }
        if (count <= 1) return first;
        first.Dispose();
        var model = new GgufParts(path);
        try
        {
            model.OpenParts(count);
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    public override bool TryTensor(string name, [MaybeNullWhen(false)] out GgufTensor tensor)
    {
        tensor = null;
        return _partByTensor.TryGetValue(name, out GgufFile? part) && part.TryTensor(name, out tensor);
    }

    public override TensorData Read(GgufTensor tensor) => _partByTensor[tensor.Name].Read(tensor);

    public override void Dispose()
    {
        foreach (GgufFile part in _parts) part.Dispose();
    }

    private void OpenParts(int count)
    {
        Match name = PartName().Match(Path);
        if (!name.Success || name.Groups["count"].Value != Number(count))
            throw Bad($"this is one of {count} parts of a model, and its name does not end in -00001-of-{count:00000}.gguf: rename the parts so that they can be found");
        for (int number = 1; number <= count; number++)
        {
            GgufFile part = GgufFile.Open($"{name.Groups["start"].Value}-{Number(number)}-of-{Number(count)}{name.Groups["end"].Value}");
            _parts.Add(part);
            if (part.Integer("split.count", 0, PartsMax) != count || part.Integer("split.no", 0, PartsMax) != number - 1)
                throw part.Bad($"this is not part {number} of {count}");
            foreach (GgufTensor tensor in part.Tensors)
            {
                if (!_partByTensor.TryAdd(tensor.Name, part)) throw part.Bad($"tensor \"{tensor.Name}\" is in another part, too");
                _tensors.Add(tensor);
            }
        }
        int expected = _parts[0].IntegerOr("split.tensors.count", _tensors.Count, 0, int.MaxValue);
        if (expected != _tensors.Count) throw Bad($"its parts have {_tensors.Count} tensors together; there should be {expected}");
    }

    private static string Number(int number) => number.ToString("00000", CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^(?<start>.+)-(?<number>\d{5})-of-(?<count>\d{5})(?<end>\.[gG][gG][uU][fF])$", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex PartName();
}
