namespace Qanat.Kernels;

/// <summary>How many cores the worker team may use.</summary>
public static class CpuTopology
{
    /// <summary>Physical cores available to this process: two threads of one core share its multipliers and gain nothing here.</summary>
    public static int PhysicalCores { get; } = Count("/sys/devices/system/cpu", Environment.ProcessorCount);

    /// <param name="folder">Where Linux describes its processors; elsewhere it is missing and every logical processor counts.</param>
    /// <param name="logical">Processors the process may use, after affinity and container limits.</param>
    internal static int Count(string folder, int logical)
    {
        try
        {
            // Siblings of one core read the same list, e.g. "0,64": distinct lists are cores.
            int cores = Directory.EnumerateDirectories(folder, "cpu*")
                .Select(cpu => Path.Combine(cpu, "topology", "thread_siblings_list"))
                .Where(File.Exists)
                .Select(File.ReadAllText)
                .Distinct(StringComparer.Ordinal)
                .Count();
            return cores == 0 ? logical : Math.Min(cores, logical);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return logical;
        }
    }
}
