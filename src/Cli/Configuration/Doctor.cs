using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Qanat.Kernels;

namespace Qanat.Cli;

internal enum Health { Good, Odd, Bad }

/// <param name="Advice">What to do about it; null: nothing.</param>
internal sealed record Finding(string Check, Health State, string Found, string? Advice = null);

/// <summary>Looks at what serving depends on. Changes nothing but a file of its own in the data directory, which it removes.</summary>
internal sealed class Doctor(DataDirectory data, TimeProvider clock)
{
    private const int FsyncsMeasured = 20;
    private const double SlowFsyncMs = 20;
    private const long MemoryLowBytes = 1L << 30;
    private const long DiskLowBytes = 2L << 30;

    public async Task<List<Finding>> ExamineAsync(CancellationToken cancel)
    {
        List<Finding> findings = [Cpu(), Memory(), Directory(), Clock()];
        if (System.IO.Directory.Exists(data.Root)) findings.AddRange([Disk(), Fsync()]);
        (Finding configuration, QanatConfiguration? read) = Configuration();
        findings.Add(configuration);
        if (read is not null) findings.AddRange([Model(read), Port(read)]);
        findings.Add(await BooksAsync(cancel));
        if (IsServing()) findings.Add(await RoutesAsync(cancel));
        return findings;
    }

    private static Finding Cpu()
    {
        string found = string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessorCount} cores, {CpuTiers.Describe(CpuTiers.Best)}");
        return CpuTiers.Best == CpuTier.Scalar
            ? new Finding("cpu", Health.Odd, found, "Without AVX2 models run many times slower: use another machine, or attach an upstream.")
            : new Finding("cpu", Health.Good, found);
    }

    private static Finding Memory()
    {
        long bytes = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        string found = string.Create(CultureInfo.InvariantCulture, $"{bytes / (1 << 20)} MB for this process");
        return bytes < MemoryLowBytes ? new Finding("memory", Health.Odd, found, "A model needs its file's size and the cache (--kv-mb) beside it.") : new Finding("memory", Health.Good, found);
    }

    private Finding Directory()
    {
        if (!System.IO.Directory.Exists(data.Root)) return new Finding("data directory", Health.Good, $"{data.Root} will be made at the first start");
        try
        {
            string probe = Path.Combine(data.Root, ".doctor");
            File.WriteAllBytes(probe, [1]);
            File.Delete(probe);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return new Finding("data directory", Health.Bad, $"{data.Root} cannot be written", $"{error.Message} Give this user the directory, or choose another with --data.");
        }
        if (!OperatingSystem.IsWindows() && (File.GetUnixFileMode(data.Root) & (UnixFileMode.OtherRead | UnixFileMode.OtherWrite)) != UnixFileMode.None)
            return new Finding("data directory", Health.Odd, $"{data.Root} can be read by other users of this machine", $"chmod o-rwx {data.Root}: the books are in it.");
        return new Finding("data directory", Health.Good, data.Root);
    }

    private Finding Disk()
    {
        long free = new DriveInfo(Path.GetFullPath(data.Root)).AvailableFreeSpace;
        string found = string.Create(CultureInfo.InvariantCulture, $"{free / (1 << 20)} MB free");
        return free < DiskLowBytes ? new Finding("disk", Health.Odd, found, "When the disk is full nothing is served, because usage could not be written: make room.") : new Finding("disk", Health.Good, found);
    }

    /// <summary>How long it takes until a small write is on the disk: what every request's commit waits for.</summary>
    private Finding Fsync()
    {
        string file = Path.Combine(data.Root, ".doctor-fsync");
        try
        {
            double[] times = new double[FsyncsMeasured];
            using (FileStream stream = new(file, FileMode.Create, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose))
            {
                for (int index = 0; index < times.Length; index++)
                {
                    long began = clock.GetTimestamp();
                    stream.Write(new byte[512]);
                    stream.Flush(flushToDisk: true);
                    times[index] = clock.GetElapsedTime(began).TotalMilliseconds;
                }
            }
            Array.Sort(times);
            double median = times[times.Length / 2];
            string found = string.Create(CultureInfo.InvariantCulture, $"a write is on the disk after {median:0.0} ms (median of {FsyncsMeasured})");
            return median > SlowFsyncMs ? new Finding("fsync", Health.Odd, found, "Each request waits for the disk: a local SSD is faster than a network disk.") : new Finding("fsync", Health.Good, found);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return new Finding("fsync", Health.Bad, "could not be measured", error.Message);
        }
    }

    private Finding Clock() => clock.GetUtcNow().Year < 2026
        ? new Finding("clock", Health.Bad, clock.GetUtcNow().ToString("u", CultureInfo.InvariantCulture), "The clock is wrong: prices, budgets and periods depend on it. Set it, and keep it with NTP.")
        : new Finding("clock", Health.Good, clock.GetUtcNow().ToString("u", CultureInfo.InvariantCulture));

    private (Finding, QanatConfiguration?) Configuration()
    {
        string file = data.ConfigurationFile;
        try
        {
            QanatConfiguration read = QanatConfiguration.Read(file);
            return (new Finding("configuration", Health.Good, File.Exists(file) ? file : "no qanat.json: the defaults hold"), read);
        }
        catch (CommandException error)
        {
            return (new Finding("configuration", Health.Bad, "cannot be used", error.Message), null);
        }
    }

    private static Finding Model(QanatConfiguration read) => read.Model is { } file
        ? new Finding("model", Health.Good, string.Create(CultureInfo.InvariantCulture, $"{file}, {new FileInfo(file).Length / (1 << 20)} MB"))
        : new Finding("model", Health.Odd, "none configured: a small model with random weights is served", "Set model in qanat.json, or give --model FILE.gguf.");

    /// <summary>Whether the port is free, unless our own server has it.</summary>
    private Finding Port(QanatConfiguration read)
    {
        string url = (read.Urls ?? ServerOptions.DefaultUrl).Split(';', ',')[0].Trim();
        if (IsServing()) return new Finding("port", Health.Good, $"a server runs at {data.ReadNote()!.Url}");
        if (!Uri.TryCreate(url, UriKind.Absolute, out Uri? uri)) return new Finding("port", Health.Good, url);
        try
        {
            using TcpListener listener = new(IPAddress.TryParse(uri.DnsSafeHost, out IPAddress? address) ? address : IPAddress.Loopback, uri.Port);
            listener.Start();
            return new Finding("port", Health.Good, $"{url} is free");
        }
        catch (SocketException error)
        {
            return new Finding("port", Health.Bad, $"{url} cannot be listened on", $"{error.Message}. Stop what uses it, or choose another with --urls.");
        }
    }

    private bool IsServing()
    {
        if (data.ReadNote() is not { } note) return false;
        try
        {
            using Process process = Process.GetProcessById(note.ProcessId);
            return !process.HasExited;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    /// <summary>Whether the books open, and what in them is missing or only assumed.</summary>
    private async Task<Finding> BooksAsync(CancellationToken cancel)
    {
        if (!System.IO.Directory.Exists(data.Root)) return new Finding("books", Health.Good, "none yet");
        try
        {
            await using ApiConnection server = await ApiConnection.OpenAsync(data, cancel);
            int prices = (await server.GetAsync("api/prices", cancel))["data"]!.AsArray().Count;
            JsonNode[] costs = [.. (await server.GetAsync("api/costs", cancel))["data"]!.AsArray().OfType<JsonNode>()];
            JsonNode pnl = await server.GetAsync("api/books/pnl", cancel);
            long unpriced = pnl["totals"]!.AsArray().Sum(total => (long)total!["unpriced"]!), uncosted = pnl["totals"]!.AsArray().Sum(total => (long)total!["uncosted"]!);
            string found = string.Create(CultureInfo.InvariantCulture, $"{prices} price versions, {costs.Length} cost versions, {unpriced} requests unpriced, {uncosted} uncosted");
            if (prices == 0 || costs.Length == 0 || unpriced + uncosted > 0) return new Finding("books", Health.Odd, found, "Set what is missing: qanat price set, qanat cost set.");
            return costs.All(cost => (bool?)cost["assumed"] == true) ? new Finding("books", Health.Odd, found, "The cost of this machine is an assumption: qanat cost confirm, or qanat cost set.") : new Finding("books", Health.Good, found);
        }
        catch (Exception error) when (error is CommandException or HttpRequestException)
        {
            return new Finding("books", Health.Bad, "cannot be opened", error.Message);
        }
    }

    /// <summary>Whether somebody serves every model that a route was set for. Only a running server knows what its engine serves.</summary>
    private async Task<Finding> RoutesAsync(CancellationToken cancel)
    {
        try
        {
            await using ApiConnection server = await ApiConnection.OpenAsync(data, cancel);
            JsonNode[] routes = [.. (await server.GetAsync("api/upstream-routes", cancel))["data"]!.AsArray().OfType<JsonNode>()];
            string[] unserved = [.. routes.Where(route => (string?)route["served_by"] == "nobody").Select(route => (string)route["model"]!)];
            return unserved.Length > 0
                ? new Finding("routes", Health.Odd, $"nobody serves {string.Join(", ", unserved)}", "Their calls are refused (503): add an upstream that has them (qanat upstream add), turn theirs on, or name a model that is served to stand in (qanat upstream route).")
                : new Finding("routes", Health.Good, string.Create(CultureInfo.InvariantCulture, $"{routes.Length} models with a route, each served"));
        }
        catch (Exception error) when (error is CommandException or HttpRequestException)
        {
            return new Finding("routes", Health.Odd, "could not be asked for", error.Message);
        }
    }
}
