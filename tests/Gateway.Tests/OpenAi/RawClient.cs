using System.Net.Sockets;
using System.Text;

namespace Qanat.Gateway.Tests;

/// <summary>Speaks HTTP/1.1 by hand, to see and send what an HTTP library would hide.</summary>
internal sealed class RawClient : IDisposable
{
    private readonly TcpClient tcp = new();
    private readonly StringBuilder received = new();

    private NetworkStream? stream;

    private RawClient() { }

    public string Received => received.ToString();

    public static async Task<RawClient> ConnectAsync(Uri server)
    {
        RawClient client = new();
        await client.tcp.ConnectAsync(server.Host, server.Port);
        client.stream = client.tcp.GetStream();
        return client;
    }

    public static async Task<RawClient> PostAsync(TestGateway gateway, string path, string json, string headers = "")
    {
        RawClient client = await ConnectAsync(gateway.Uri);
        await client.SendAsync($"POST {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {gateway.Key}\r\n{headers}Content-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(json)}\r\n\r\n{json}");
        return client;
    }

    public Task SendAsync(string text) => SendAsync(Encoding.UTF8.GetBytes(text));

    public async Task SendAsync(byte[] bytes) => await stream!.WriteAsync(bytes, TestContext.Current.CancellationToken);

    /// <summary>Reads until the text has come; fails when the connection ends before.</summary>
    public async Task ReadUntilAsync(string text)
    {
        while (!Received.Contains(text, StringComparison.Ordinal))
            Assert.True(await ReadSomeAsync(), $"The connection ended before '{text}': {Received}");
    }

    /// <summary>Reads until the connection ends, however it ends.</summary>
    public async Task<string> ReadToEndAsync()
    {
        while (await ReadSomeAsync()) { }
        return Received;
    }

    /// <summary>Says that nothing more will be sent, and goes on reading.</summary>
    public void FinishSending() => tcp.Client.Shutdown(SocketShutdown.Send);

    public void Dispose() => tcp.Dispose();

    /// <summary>Reads what has come; false: the connection has ended.</summary>
    public async Task<bool> ReadSomeAsync()
    {
        byte[] buffer = new byte[16 << 10];
        try
        {
            int count = await stream!.ReadAsync(buffer, TestContext.Current.CancellationToken);
            received.Append(Encoding.UTF8.GetString(buffer, 0, count));
            return count > 0;
        }
        catch (IOException)
        {
            return false;
        }
    }
}
