using Qanat.Models;

namespace Qanat.Cli;

/// <summary>Memory that goes to keys, values and recurrent states where nobody says how much: a part of what the weights leave free. It is taken as it is filled.</summary>
/// <param name="Kv">Bytes for keys and values.</param>
/// <param name="States">Bytes for the states of hybrid models.</param>
internal sealed record ModelMemory(long Kv, long States)
{
    private const int PartDigits = 5;
    private const long KvMin = 512L << 20, KvMost = 4L << 30, StatesMin = 256L << 20, StatesMost = 1L << 30;

    /// <param name="path">A model file, or a folder of them.</param>
    public static ModelMemory For(string path) => Of(AvailableMemory.Bytes() - SizeOf(path));

    /// <param name="free">Bytes that the weights leave.</param>
    public static ModelMemory Of(long free) => new(Math.Clamp(free / 2, KvMin, KvMost), Math.Clamp(free / 4, StatesMin, StatesMost));

    private static long SizeOf(string path)
    {
        if (Directory.Exists(path)) return Sum(path, "*.safetensors");
        if (!File.Exists(path)) return 0;
        // One part of several names how many there are: NAME-00001-of-00003.gguf.
        string name = Path.GetFileName(path);
        int of = name.LastIndexOf("-of-", StringComparison.Ordinal);
        return Sum(Path.GetDirectoryName(Path.GetFullPath(path))!, of < PartDigits ? name : name[..(of - PartDigits)] + "*" + name[of..]);
    }

    private static long Sum(string folder, string pattern) => new DirectoryInfo(folder).EnumerateFiles(pattern).Sum(file => file.Length);
}
