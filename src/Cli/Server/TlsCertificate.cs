using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Qanat.Cli;

/// <summary>The certificate that connections are shown. A file that was replaced is taken up by the next connection, without a restart; one that cannot be read leaves the old in force.</summary>
internal sealed class TlsCertificate
{
    private readonly TlsConfiguration configuration;
    private readonly Lock gate = new();
    private X509Certificate2 current;
    private DateTime writtenAt;

    /// <exception cref="CommandException">It cannot be read.</exception>
    public TlsCertificate(TlsConfiguration configuration)
    {
        this.configuration = configuration;
        try
        {
            (current, writtenAt) = (Read(), Written());
        }
        catch (Exception error) when (error is IOException or CryptographicException or UnauthorizedAccessException)
        {
            throw new CommandException($"The certificate {configuration.Certificate} cannot be used: {error.Message}", error);
        }
    }

    public X509Certificate2 Current()
    {
        lock (gate)
        {
            DateTime written = Written();
            if (written == writtenAt) return current;
            try
            {
                // The old one stays with connections that use it.
                current = Read();
                writtenAt = written;
            }
            catch (Exception error) when (error is IOException or CryptographicException or UnauthorizedAccessException)
            {
                // Half written, or without its key yet: asked again at the next connection.
            }
            return current;
        }
    }

    private DateTime Written()
    {
        DateTime certificate = File.GetLastWriteTimeUtc(configuration.Certificate);
        DateTime key = configuration.Key is { } file ? File.GetLastWriteTimeUtc(file) : certificate;
        return certificate > key ? certificate : key;
    }

    private X509Certificate2 Read() => Path.GetExtension(configuration.Certificate).ToUpperInvariant() is ".PFX" or ".P12"
        ? X509CertificateLoader.LoadPkcs12FromFile(configuration.Certificate, Environment.GetEnvironmentVariable("QANAT_TLS_PASSWORD"))
        : X509Certificate2.CreateFromPemFile(configuration.Certificate, configuration.Key ?? configuration.Certificate);
}
