namespace Qanat.Gateway;

/// <summary>How mail is protected on its way to the server that takes it.</summary>
public enum MailSecurity
{
    /// <summary>The connection begins plain and turns to TLS; a server that does not is given nothing.</summary>
    StartTls,

    /// <summary>TLS from the first byte.</summary>
    Tls,

    /// <summary>None: for a server on the same machine.</summary>
    None,
}

/// <summary>The server that takes mail of this installation.</summary>
/// <param name="From">Whose name the mail bears, e.g. "Qanat &lt;qanat@example.org&gt;".</param>
/// <param name="User">Null: it asks for no password.</param>
/// <param name="PasswordFile">The file that the password is in.</param>
public sealed record MailTerms(string Host, string From, int Port = 587, MailSecurity Security = MailSecurity.StartTls, string? User = null, string? PasswordFile = null)
{
    /// <summary>Everything that cannot be, each as a sentence.</summary>
    public IEnumerable<string> Complaints()
    {
        if (string.IsNullOrWhiteSpace(Host)) yield return "mail.host: it is empty.";
        if (Port is < 1 or > 65535) yield return "mail.port: from 1 to 65535.";
        if (!MailAddresses.IsOne(From)) yield return $"mail.from: '{From}' is not a mail address.";
        if (User is null != PasswordFile is null) yield return "mail.user and mail.password_file: both or neither.";
        if (PasswordFile is { } file && !File.Exists(file)) yield return $"mail.password_file: there is no file {file}.";
        if (User is not null && Security == MailSecurity.None) yield return "mail.security: a password is not sent over a plain connection.";
    }
}
