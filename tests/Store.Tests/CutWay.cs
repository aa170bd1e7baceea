using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Npgsql;

namespace Qanat.Store.Tests;

/// <summary>A way to a database server that breaks at the message a test names. The server does not notice: its end of the connection stays open.
/// Messages are told apart as PostgreSQL's protocol does, not as they happen to arrive: the same work always takes the same ones.</summary>
internal sealed class CutWay : IDisposable
{
    /// <summary>Of the greeting that begins a session.</summary>
    private const int ProtocolVersion = 3;

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly List<TcpClient> _ends = [];
    private readonly Lock _lock = new();
    private readonly int _serverPort;
    private readonly string _server;
    private int _left;
    private bool _answerIsLost;
    private volatile bool _isAway;
    private bool _isAwayAfter;
    private TaskCompletionSource _cut = new();

    public CutWay(string connectionString)
    {
        _server = connectionString;
        _serverPort = new NpgsqlConnectionStringBuilder(connectionString).Port;
        _listener.Start();
        _ = AcceptAsync();
    }

    public string ConnectionString => _server.Replace(
        string.Create(CultureInfo.InvariantCulture, $"Port={_serverPort}"), string.Create(CultureInfo.InvariantCulture, $"Port={((IPEndPoint)_listener.LocalEndpoint).Port}"), StringComparison.Ordinal);

    public bool HasCut => WhenCut.IsCompleted;
    public Task WhenCut => _cut.Task;

    /// <param name="message">Of those that go to the server from now on; 1: the next.</param> <param name="answerIsLost">The server still gets it, and only its answer is lost.</param>
    /// <param name="away">Afterwards nobody comes through, until <see cref="Open"/>.</param>
    public void CutAt(int message, bool answerIsLost, bool away)
    {
        lock (_lock) (_left, _answerIsLost, _isAwayAfter, _cut) = (message, answerIsLost, away, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
    }

    public void Open()
    {
        lock (_lock) (_left, _isAway) = (0, false);
    }

    public void Dispose()
    {
        _listener.Dispose();
        lock (_lock) _ends.ForEach(end => end.Dispose());
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                TcpClient client = await _listener.AcceptTcpClientAsync();
                if (_isAway)
                {
                    client.Dispose();
                    continue;
                }
                TcpClient server = new();
                await server.ConnectAsync(IPAddress.Loopback, _serverPort);
                lock (_lock) _ends.AddRange([client, server]);
                TaskCompletionSource losing = new();
                _ = ToServerAsync(client, server, losing);
                _ = ToClientAsync(client, server, losing.Task);
            }
        }
        catch (Exception ended) when (ended is SocketException or ObjectDisposedException or InvalidOperationException)
        {
        }
    }

    private async Task ToServerAsync(TcpClient client, TcpClient server, TaskCompletionSource losing)
    {
        try
        {
            bool isGreeting = true;
            while (await NextAsync(client.GetStream(), isGreeting) is { } message)
            {
                // Requests for encryption, which the server refuses, have an own number for a version.
                if (isGreeting && BinaryPrimitives.ReadInt16BigEndian(message.AsSpan(4)) == ProtocolVersion) isGreeting = false;
                bool cut = IsToBeCut();
                if (cut && !_answerIsLost)
                {
                    Cut(client);
                    return;
                }
                if (cut) losing.SetResult();
                await server.GetStream().WriteAsync(message);
            }
            // Whoever leaves of his own will is seen off; whoever was cut is not.
            if (!losing.Task.IsCompleted) server.Dispose();
        }
        catch (Exception ended) when (ended is IOException or ObjectDisposedException or InvalidOperationException)
        {
        }
    }

    /// <summary>The next greeting, or all up to the next message that need not wait for a later one to be sent; null: no more.</summary>
    private static async Task<byte[]?> NextAsync(NetworkStream from, bool isGreeting)
    {
        List<byte> message = [];
        while (true)
        {
            // Of all but greetings the first byte says what it is; its length counts itself, and not that byte.
            int kindBytes = isGreeting ? 0 : 1;
            byte[] head = new byte[kindBytes + sizeof(int)];
            if (await from.ReadAtLeastAsync(head, head.Length, throwOnEndOfStream: false) < head.Length) return null;
            byte[] rest = new byte[BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(kindBytes)) - sizeof(int)];
            await from.ReadExactlyAsync(rest);
            message.AddRange(head);
            message.AddRange(rest);
            // Parse, bind, describe, execute and close go with what follows.
            if (isGreeting || !"PBDEC".Contains((char)head[0], StringComparison.Ordinal)) return [.. message];
        }
    }

    private async Task ToClientAsync(TcpClient client, TcpClient server, Task losing)
    {
        byte[] buffer = new byte[1 << 16];
        try
        {
            while (await server.GetStream().ReadAsync(buffer) is > 0 and int count)
            {
                if (losing.IsCompleted)
                {
                    Cut(client);
                    return;
                }
                await client.GetStream().WriteAsync(buffer.AsMemory(0, count));
            }
            client.Dispose();
        }
        catch (Exception ended) when (ended is IOException or ObjectDisposedException or InvalidOperationException)
        {
        }
    }

    private bool IsToBeCut()
    {
        lock (_lock) return _left > 0 && --_left == 0;
    }

    /// <summary>Whoever learns of the loss finds it said already: a test that looks whether it was cut must not be ahead of this.</summary>
    private void Cut(TcpClient client)
    {
        lock (_lock)
        {
            _isAway = _isAwayAfter;
            _cut.TrySetResult();
        }
        client.Dispose();
    }
}
