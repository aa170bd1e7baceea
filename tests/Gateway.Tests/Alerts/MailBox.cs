using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Qanat.Gateway.Tests;

/// <summary>A small mail server that keeps what it takes. It offers no TLS, and refuses while <see cref="Refuses"/> says so.</summary>
internal sealed class MailBox : IAsyncDisposable
{
    private readonly TcpListener listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource stopping = new();
    private readonly Task serving;

    public MailBox()
    {
        listener.Start();
        serving = ServeAsync();
    }

    public int Port => ((IPEndPoint)listener.LocalEndpoint).Port;

    /// <summary>Recipients for whom it has no room at the moment.</summary>
    public Predicate<string> Refuses { get; set; } = _ => false;

    /// <summary>Recipient and message, as they came.</summary>
    public List<(string To, string Text)> Taken { get; } = [];

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await serving;
        listener.Dispose();
        stopping.Dispose();
    }

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                using TcpClient client = await listener.AcceptTcpClientAsync(stopping.Token);
                try
                {
                    await TalkAsync(client);
                }
                catch (IOException)
                {
                    // It left in the middle; the next may come.
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The test is over.
        }
    }

    private async Task TalkAsync(TcpClient client)
    {
        using StreamReader reader = new(client.GetStream(), Encoding.UTF8);
        await using StreamWriter writer = new(client.GetStream(), new UTF8Encoding(false)) { NewLine = "\r\n", AutoFlush = true };
        await writer.WriteLineAsync("220 mailbox");
        string to = "";
        while (await reader.ReadLineAsync(stopping.Token) is { } line)
        {
            string command = line.Split(' ', ':')[0].ToUpperInvariant();
            if (command == "RCPT") to = line.Split('<', '>')[1];
            if (command == "DATA")
            {
                await writer.WriteLineAsync("354 go on");
                Taken.Add((to, await ReadMessageAsync(reader)));
            }
            string answer = command switch
            {
                "EHLO" => "250 mailbox",
                "RCPT" when Refuses(to) => "451 no room at the moment",
                "QUIT" => "221 bye",
                "STARTTLS" => "502 not here",
                _ => "250 ok",
            };
            await writer.WriteLineAsync(answer);
            if (command == "QUIT") return;
        }
    }

    private async Task<string> ReadMessageAsync(StreamReader reader)
    {
        StringBuilder text = new();
        while (await reader.ReadLineAsync(stopping.Token) is { } line && line != ".") text.AppendLine(line);
        return text.ToString();
    }
}
