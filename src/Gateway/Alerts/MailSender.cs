using System.Globalization;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using MailKit;
using MailKit.Net.Smtp;
using MailKit.Security;
using Microsoft.Extensions.Logging;
using MimeKit;

namespace Qanat.Gateway;

/// <summary>Hands alerts to the mail server of this installation, one message for each address, so that a wrong address holds up no other.</summary>
public sealed class MailSender(TimeProvider clock, ILogger<MailSender> log)
{
    private static readonly TimeSpan AnswerMax = TimeSpan.FromSeconds(20);
    private volatile MailTerms? terms;

    /// <summary>Null: this installation sends no mail.</summary>
    public MailTerms? Terms => terms;

    /// <summary>Puts another server in force, or none.</summary>
    public void Apply(MailTerms? next) => terms = next;

    /// <summary>Whether the server took it. The same alert has the same message id each time, by which whoever gets it twice can tell.</summary>
    public async Task<bool> SendAsync(BudgetAlert alert, string address, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(alert);
        if (terms is not { } server) return false;
        using MimeMessage message = Compose(alert, address, server);
        using CancellationTokenSource late = new(AnswerMax, clock);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancel, late.Token);
        try
        {
            using SmtpClient smtp = new() { Timeout = (int)AnswerMax.TotalMilliseconds };
            await smtp.ConnectAsync(server.Host, server.Port, OptionsOf(server.Security), either.Token);
            if (server.User is { } user) await smtp.AuthenticateAsync(user, (await File.ReadAllTextAsync(server.PasswordFile!, either.Token)).Trim(), either.Token);
            await smtp.SendAsync(message, either.Token);
            await smtp.DisconnectAsync(quit: true, either.Token);
            return true;
        }
        catch (Exception error) when (IsTheirs(error) || error is OperationCanceledException && !cancel.IsCancellationRequested)
        {
            log.LogWarning("The mail server {Host}:{Port} did not take an alert: {Failure}", server.Host, server.Port, error.Message);
            return false;
        }
    }

    private MimeMessage Compose(BudgetAlert alert, string address, MailTerms server)
    {
        MimeMessage message = new()
        {
            Subject = alert.Refused ? $"{alert.Tenant}: the {alert.Kind} is used up" : string.Create(CultureInfo.InvariantCulture, $"{alert.Tenant}: {alert.ThresholdPercent} % of the {alert.Kind} is used"),
            Body = new TextPart("plain") { Text = Words(alert) },
            Date = clock.GetUtcNow(),
            MessageId = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(alert.Id + "/" + address)).AsSpan(0, 16)) + "@qanat",
        };
        message.From.Add(MailboxAddress.Parse(server.From));
        message.To.Add(MailboxAddress.Parse(address));
        // Nobody's absence notice should answer it.
        message.Headers.Add("Auto-Submitted", "auto-generated");
        return message;
    }

    private static string Words(BudgetAlert alert) => string.Create(CultureInfo.InvariantCulture, $"""
        {(alert.Refused ? $"The {alert.Kind} of the tenant {alert.Tenant} is used up: a request did not fit what is left of it." : $"{alert.ThresholdPercent} % of the {alert.Kind} of the tenant {alert.Tenant} is used.")}

        Limit: {alert.Limit} {alert.Currency}
        Spent: {alert.Spent} {alert.Currency}
        Held by requests under way: {alert.Held} {alert.Currency}
        As of: {alert.At}

        {(alert.ThresholdPercent >= 100 ? "Requests that would exceed it are refused." : "Requests are served until it is used up.")}

        """);

    private static SecureSocketOptions OptionsOf(MailSecurity security) => security switch
    {
        MailSecurity.StartTls => SecureSocketOptions.StartTls,
        MailSecurity.Tls => SecureSocketOptions.SslOnConnect,
        _ => SecureSocketOptions.None,
    };

    private static bool IsTheirs(Exception error) =>
        error is CommandException or ProtocolException or AuthenticationException or SslHandshakeException or NotSupportedException or SocketException or IOException or TimeoutException or UnauthorizedAccessException;
}
