using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Where a tenant's alerts go, by API and by page alike.</summary>
public sealed class AlertChanges(DirectoryState directory, AddressGuard guard, MailSender mail)
{
    /// <summary>Whether this installation can mail.</summary>
    public bool CanMail => mail.Terms is not null;

    /// <summary>Names the address that alerts are posted to; null ends it. The secret they are signed with, to be shown this once.</summary>
    /// <exception cref="ApiException">400: not an address that may be connected to.</exception>
    public async Task<string?> SetWebhookAsync(string who, TenantId tenant, string? url, CancellationToken cancel)
    {
        if (url is not null) guard.Check(url, "url");
        string? secret = url is null ? null : KeySecret.New();
        await directory.SetTermsAsync(who, "tenant.webhook", tenant, terms => terms with { Webhook = url is null ? null : new WebhookTerms(url, secret!) }, cancel);
        return secret;
    }

    /// <summary>Names whom alerts are mailed to; none ends it.</summary>
    /// <exception cref="ApiException">400: not mail addresses, or this installation cannot mail.</exception>
    public Task<Tenant> SetMailAsync(string who, TenantId tenant, IReadOnlyList<string> texts, CancellationToken cancel)
    {
        ImmutableArray<string> addresses = MailAddresses.Check(texts, "addresses");
        if (!addresses.IsEmpty && !CanMail) throw Refusal.Value("addresses", "this server has no mail server to send by (mail in qanat.json).");
        return directory.SetTermsAsync(who, "tenant.alert_mail", tenant, terms => terms with { AlertMail = addresses }, cancel);
    }
}
