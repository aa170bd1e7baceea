namespace Qanat.Models;

/// <summary>Tensors that a file has and text does not need: those that see, and those that predict tokens further ahead.</summary>
internal sealed class LeftOutTensors
{
    private readonly ModelSource _file;
    private readonly int _layers;

    public LeftOutTensors(ModelSource file)
    {
        _file = file;
        string architecture = file.TextOrNull("general.architecture") ?? "";
        int blocks = file.IntegerOr(architecture + ".block_count", 0, 0, int.MaxValue);
        // An architecture that nobody knows is told of elsewhere.
        _layers = blocks == 0 ? int.MaxValue : blocks - file.IntegerOr(architecture + ".nextn_predict_layers", 0, 0, blocks);
    }

    /// <summary>What is read and takes memory.</summary>
    public IEnumerable<GgufTensor> Kept => _file.Tensors.Where(tensor => !IsVision(tensor.Name) && !IsFurther(tensor.Name));

    /// <summary>What is left out, in sentences.</summary>
    public IEnumerable<string> Notes()
    {
        // Of a folder only what is read becomes tensors here; it says itself what else it has.
        if (_file is HfCheckpoint folder) return folder.Notes;
        (string What, int Count)[] found = [("vision", _file.Tensors.Count(tensor => IsVision(tensor.Name))), ("further prediction", _file.Tensors.Count(tensor => IsFurther(tensor.Name)))];
        return found.Where(each => each.Count > 0).Select(each => Note(each.What, each.Count));
    }

    public static string Note(string what, int count) => FormattableString.Invariant($"{count} tensors for {what} are left out: only text is served");

    private static bool IsVision(string name) => name.StartsWith("v.", StringComparison.Ordinal) || name.StartsWith("mm.", StringComparison.Ordinal);

    /// <summary>Blocks behind the last layer, in GGUF's names.</summary>
    private bool IsFurther(string name) =>
        name.StartsWith("blk.", StringComparison.Ordinal) && name.IndexOf('.', 4) is > 4 and int end && int.TryParse(name.AsSpan(4, end - 4), System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out int block) && block >= _layers;
}
