using System.Globalization;

namespace Qanat.Models;

/// <summary>Memory this process could still take: what the system has free or can free, and what each control group it is in still allows (version 1 and 2, its own and those above it).</summary>
public static class AvailableMemory
{
    /// <summary>Limits as great as this are how a system says that there is none.</summary>
    private const long NoLimit = long.MaxValue / 2;

    /// <param name="root">Where the system's files are: another place in tests.</param>
    /// <returns>All memory there is, where nothing is told.</returns>
    public static long Bytes(string root = "/")
    {
        long available = FirstNumber(Path.Combine(root, "proc/meminfo"), "MemAvailable:") is { } kibibytes ? kibibytes * 1024 : GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        foreach ((string folder, bool isFirstVersion) in Groups(root))
        {
            if (FirstNumber(Path.Combine(folder, isFirstVersion ? "memory.limit_in_bytes" : "memory.max"), "") is not ({ } limit and < NoLimit)) continue;
            // Files that are mapped or cached are given up before anything fails.
            long used = FirstNumber(Path.Combine(folder, "memory.stat"), isFirstVersion ? "total_rss " : "anon ") ?? 0;
            available = Math.Min(available, Math.Max(0, limit - used));
        }
        return available;
    }

    /// <summary>Folders of the process's control groups, from its own upwards; those of a container may be told by names that only its host has, and then its root is left.</summary>
    private static IEnumerable<(string Folder, bool IsFirstVersion)> Groups(string root)
    {
        foreach (string line in Lines(Path.Combine(root, "proc/self/cgroup")))
        {
            // number:controllers:path; version 2 has the number 0 and names no controllers.
            string[] parts = line.Split(':', 3);
            if (parts.Length < 3) continue;
            bool isSecondVersion = parts[0] == "0" && parts[1].Length == 0;
            if (!isSecondVersion && !parts[1].Split(',').Contains("memory")) continue;
            string mount = Path.Combine(root, "sys/fs/cgroup", isSecondVersion ? "" : "memory");
            for (string path = parts[2].Trim('/'); ; path = path[..Math.Max(0, path.LastIndexOf('/'))])
            {
                yield return (Path.Combine(mount, path), !isSecondVersion);
                if (path.Length == 0) break;
            }
        }
    }

    /// <summary>The number that follows a word at the beginning of a line; null when there is no such file, line or number.</summary>
    private static long? FirstNumber(string file, string word)
    {
        foreach (string line in Lines(file))
            if (line.StartsWith(word, StringComparison.Ordinal))
                return long.TryParse(line[word.Length..].Trim().Split(' ')[0], NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number : null;
        return null;
    }

    private static string[] Lines(string file)
    {
        try
        {
            return File.ReadAllLines(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
