using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;

namespace Qanat.Gateway;

/// <summary>Whether this server may open a connection to an address that somebody typed in (an upstream, a webhook). Addresses of this machine and of private networks are
/// refused unless they are allowed by name: otherwise whoever may set a webhook could make the server read what only it can reach. The check is made on the address that is
/// connected to, after the name was resolved, so a name that resolves differently the second time gains nothing.</summary>
public sealed class AddressGuard(ImmutableArray<IPNetwork> allowed)
{
    /// <summary>IANA's special-purpose registries: this host, private, shared, link-local (cloud metadata), documentation, benchmarking, multicast, reserved, and IPv6's forms that carry an IPv4 address.</summary>
    private static readonly ImmutableArray<IPNetwork> Special =
    [
        .. ((string[])["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
            "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "::/127", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fc00::/7", "fe80::/10",
            "fec0::/10", "ff00::/8"]).Select(IPNetwork.Parse),
    ];

    /// <summary>Public addresses only.</summary>
    public static readonly AddressGuard PublicOnly = new([]);

    public bool Allows(IPAddress address)
    {
        ArgumentNullException.ThrowIfNull(address);
        IPAddress plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return allowed.Any(network => network.Contains(plain)) || !Special.Any(network => network.Contains(plain));
    }

    /// <summary>Only http and https, without a user in the address, and no port that a mail or shell server would listen on is of any use here: HTTP speaks first.</summary>
    /// <exception cref="ApiException">400: not such an address, or a literal one that is not allowed.</exception>
    public void Check(string address, string param)
    {
        if (!Uri.TryCreate(address, UriKind.Absolute, out Uri? uri) || uri.Scheme is not ("http" or "https") || uri.UserInfo.Length > 0)
            throw Refusal.Value(param, "it must be an http or https address without a user name in it.");
        if (IPAddress.TryParse(uri.DnsSafeHost, out IPAddress? literal) && !Allows(literal))
            throw Refusal.Value(param, $"{literal} is an address of this machine or of a private network; whoever runs the server can allow it (allowed_networks in qanat.json).");
    }

    /// <summary>An HTTP handler that connects to allowed addresses only, and follows no redirect.</summary>
    public SocketsHttpHandler Handler() => new()
    {
        AllowAutoRedirect = false,
        UseProxy = false,
        ConnectTimeout = TimeSpan.FromSeconds(10),
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        ConnectCallback = ConnectAsync,
    };

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancel)
    {
        IPAddress[] found = await Dns.GetHostAddressesAsync(context.DnsEndPoint.Host, cancel);
        IPAddress[] open = [.. found.Where(Allows)];
        if (open.Length == 0)
            throw new HttpRequestException($"{context.DnsEndPoint.Host} is at an address of this machine or of a private network, which is not allowed.");
        Socket socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(open, context.DnsEndPoint.Port, cancel);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
