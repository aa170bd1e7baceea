using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Npgsql;

namespace Qanat.Store.Tests;

/// <summary>A PostgreSQL server of the tests' own, made from the programs that Debian installs and ended with the test process, however that ends. It refuses to run as root, so that then another user runs it.</summary>
public sealed class PostgresServer : IDisposable
{
    private const string Missing = "PostgreSQL is not installed (Debian: postgresql)";

    /// <summary>Linux gives programs ports from 32768 on, to listen and to connect from: one below stays free while the server is stopped.</summary>
    private const int PortMin = 15_000, PortMax = 32_000;

    /// <summary>PostgreSQL's own programs wait less: whoever takes longer hangs.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(5);
    private static readonly Lazy<PostgresServer?> s_shared = new(() => Programs() is null ? null : new PostgresServer(durable: false));
    private readonly string _directory;
    private readonly bool _durable;
    private readonly int _port;
    private readonly Process _watch;
    private int _schemas;

    /// <param name="durable">With fsync, as in earnest.</param>
    public PostgresServer(bool durable)
    {
        _durable = durable;
        _directory = Directory.CreateTempSubdirectory("qanat-postgres-").FullName;
        _port = FreePort();
        if (Environment.IsPrivilegedProcess) Run("chown", "postgres", _directory);
        _watch = Watch();
        RunAsOwner("initdb", "-D", Data, "-U", "qanat", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync");
        Start();
    }

    public string Folder => _directory;
    private string Data => Path.Combine(_directory, "data");

    /// <summary>A server that is away refuses at once; one that is slow to answer is waited for.</summary>
    public string ConnectionString => string.Create(CultureInfo.InvariantCulture, $"Host=127.0.0.1;Port={_port};Username=qanat;Database=postgres;Timeout={s_patience.TotalSeconds}");

    /// <summary>One server for all tests that only need a schema of their own. It is ended by the one that watches: the runner fails a process that takes seconds to end. Skips by name without the programs, which in CI is a failure.</summary>
    public static PostgresServer Shared
    {
        get
        {
            SkipUnlessInstalled();
            return s_shared.Value!;
        }
    }

    public static void SkipUnlessInstalled()
    {
        if (Programs() is not null) return;
        if (Environment.GetEnvironmentVariable("QANAT_CI") == "1") Assert.Fail(Missing);
        Assert.Skip(Missing);
    }

    /// <summary>A new empty schema; the connection string that leads to it.</summary>
    public string NewSchema()
    {
        string schema = string.Create(CultureInfo.InvariantCulture, $"books_{Interlocked.Increment(ref _schemas)}");
        Execute($"CREATE SCHEMA {schema}");
        return $"{ConnectionString};Search Path={schema}";
    }

    public void Execute(string sql)
    {
        using NpgsqlConnection connection = new(ConnectionString + ";Pooling=false");
        connection.Open();
        using NpgsqlCommand command = connection.CreateCommand();
#pragma warning disable CA2100 // the texts are the tests' own
        command.CommandText = sql;
#pragma warning restore CA2100
        command.ExecuteNonQuery();
    }

    public void Start() => RunAsOwner("pg_ctl", "start", "-w", "-t", "240", "-D", Data, "-l", Path.Combine(_directory, "log"), "-o",
        string.Create(CultureInfo.InvariantCulture, $"-p {_port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={_directory} -c fsync={(_durable ? "on" : "off")} -c max_connections=60"));

    /// <summary>Like the power going: connections break in the middle of whatever they do.</summary>
    public void Stop() => RunAsOwner("pg_ctl", "stop", "-m", "immediate", "-t", "240", "-D", Data);

    public void Dispose()
    {
        Stop();
        Directory.Delete(_directory, recursive: true);
        _watch.StandardInput.WriteLine("ended");
        _watch.StandardInput.Close();
        _watch.Dispose();
    }

    /// <summary>As if this process had been killed: nothing is told to the one that watches but the end of its pipe. Waits until that has cleared up.</summary>
    public void Abandon()
    {
        _watch.StandardInput.Close();
        _watch.StandardOutput.ReadToEnd();
        _watch.Dispose();
    }

    /// <summary>A shell, in a session of its own and nobody's child, that reads from a pipe of this process: when the pipe ends without a word, the process was killed, and the shell ends the server and removes its files.
    /// What was making the files or starting the server at that moment goes on for a while, so that it looks again.</summary>
    private Process Watch()
    {
        ProcessStartInfo start = new("setsid") { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, WorkingDirectory = "/" };
        const string script = "exec 2>/dev/null; read -r ended && exit 0; directory=$1; shift; for look in 1 2 3 4 5 6 7 8 9; do \"$@\" >&2; rm -rf \"$directory\" \"$directory.log\"; sleep 1; [ -e \"$directory\" ] || exit 0; done";
        foreach (string argument in (string[])["--fork", "/bin/sh", "-c", script, "watch", _directory, .. AsOwner("pg_ctl", "stop", "-m", "immediate", "-D", Data)]) start.ArgumentList.Add(argument);
        return Process.Start(start)!;
    }

    private static int FreePort()
    {
        for (int tries = 0; ; tries++)
        {
            int port = RandomNumberGenerator.GetInt32(PortMin, PortMax);
            try
            {
                using TcpListener free = new(IPAddress.Loopback, port);
                free.Start();
                return port;
            }
            catch (SocketException) when (tries < 100)
            {
                // Somebody's: another.
            }
        }
    }

    private static string? Programs() => !Directory.Exists("/usr/lib/postgresql") ? null
        : Directory.GetDirectories("/usr/lib/postgresql").Order(StringComparer.Ordinal).Select(version => Path.Combine(version, "bin")).LastOrDefault(bin => File.Exists(Path.Combine(bin, "initdb")));

    private void RunAsOwner(string program, params string[] arguments)
    {
        string[] command = AsOwner(program, arguments);
        Run(command[0], command[1..]);
    }

    private static string[] AsOwner(string program, params string[] arguments)
    {
        string path = Path.Combine(Programs()!, program);
        return Environment.IsPrivilegedProcess ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", path, .. arguments] : [path, .. arguments];
    }

    private void Run(string program, params string[] arguments)
    {
        // No pipes: the server would keep them open.
        ProcessStartInfo start = new("/bin/sh") { UseShellExecute = false, WorkingDirectory = _directory };
        foreach (string argument in (string[])["-c", "exec \"$0\" \"$@\" >>\"$QANAT_LOG\" 2>&1 </dev/null", program, .. arguments]) start.ArgumentList.Add(argument);
        start.Environment["QANAT_LOG"] = _directory + ".log";
        using Process process = Process.Start(start)!;
        bool hasEnded = process.WaitForExit(s_patience);
        if (!hasEnded) process.Kill(entireProcessTree: true);
        string log = File.ReadAllText(_directory + ".log");
        File.Delete(_directory + ".log");
        if (!hasEnded || process.ExitCode != 0) throw new InvalidOperationException($"{string.Join(' ', arguments.Prepend(program))} {(hasEnded ? "failed" : "did not end")}: {log}");
    }
}
