using System.Net;
using System.Net.Sockets;

namespace Qanat.Gateway;

/// <summary>Keeps requests to addresses that people configure out of networks they must not reach (server-side request forgery). The address that is connected to is checked, not only its
/// name: a name that resolves to something else the second time (DNS rebinding) gains nothing.</summary>
public static class OutsideAddresses
{
    private static readonly IPNetwork[] Inside =
    [
        IPNetwork.Parse("0.0.0.0/8"), IPNetwork.Parse("10.0.0.0/8"), IPNetwork.Parse("100.64.0.0/10"), IPNetwork.Parse("127.0.0.0/8"), IPNetwork.Parse("169.254.0.0/16"), IPNetwork.Parse("172.16.0.0/12"),
        IPNetwork.Parse("192.0.0.0/24"), IPNetwork.Parse("192.0.2.0/24"), IPNetwork.Parse("192.88.99.0/24"), IPNetwork.Parse("192.168.0.0/16"), IPNetwork.Parse("198.18.0.0/15"),
        IPNetwork.Parse("198.51.100.0/24"), IPNetwork.Parse("203.0.113.0/24"), IPNetwork.Parse("224.0.0.0/3"),
        IPNetwork.Parse("::/96"), IPNetwork.Parse("64:ff9b:1::/48"), IPNetwork.Parse("100::/64"), IPNetwork.Parse("2001::/23"), IPNetwork.Parse("2001:db8::/32"),
        IPNetwork.Parse("fc00::/7"), IPNetwork.Parse("fe80::/10"), IPNetwork.Parse("fec0::/10"), IPNetwork.Parse("ff00::/8"),
    ];

    private static readonly IPNetwork Translated = IPNetwork.Parse("64:ff9b::/96");
    private static readonly IPNetwork SixToFour = IPNetwork.Parse("2002::/16");

    /// <summary>Whether an address is on the public internet: not private, link-local, loopback, multicast or otherwise reserved, however it is written.</summary>
    public static bool IsPublic(IPAddress address)
    {
        ArgumentNullException.ThrowIfNull(address);
        if (address.IsIPv4MappedToIPv6) address = address.MapToIPv4();
        if (address.AddressFamily == AddressFamily.InterNetworkV6)
        {
            // IPv4 addresses inside IPv6 ones are judged as what they lead to.
            ReadOnlySpan<byte> bytes = address.GetAddressBytes();
            if (Translated.Contains(address)) return IsPublic(new IPAddress(bytes[12..]));
            if (SixToFour.Contains(address)) return IsPublic(new IPAddress(bytes[2..6]));
        }
        return !Array.Exists(Inside, network => network.BaseAddress.AddressFamily == address.AddressFamily && network.Contains(address));
    }

    /// <summary>Whether a host is inside as it is written: an address, or a name that always means this machine (RFC 6761). Where other names lead is known when they are connected to.</summary>
    public static bool IsInsideAsWritten(Uri uri, Predicate<IPAddress> allows)
    {
        ArgumentNullException.ThrowIfNull(uri);
        ArgumentNullException.ThrowIfNull(allows);
        string host = uri.DnsSafeHost.TrimEnd('.');
        if (IPAddress.TryParse(host, out IPAddress? literal)) return !allows(literal);
        bool isThisMachine = host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase);
        return isThisMachine && !allows(IPAddress.Loopback) && !allows(IPAddress.IPv6Loopback);
    }

    /// <summary>What is wrong with a host inside, when it is written and when it is connected to.</summary>
    public static string Sentence(string host) => $"{host} is an address of this machine or of a private network, which is not allowed here";

    /// <summary>Resolves a name, and connects to the first address that is allowed and answers.</summary>
    /// <exception cref="HttpRequestException">No address is allowed, or none answers.</exception>
    public static async ValueTask<Stream> ConnectAsync(DnsEndPoint target, Predicate<IPAddress> allows, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(target);
        IPAddress[] addresses = IPAddress.TryParse(target.Host, out IPAddress? literal) ? [literal] : await Dns.GetHostAddressesAsync(target.Host, cancel);
        IPAddress[] allowed = Array.FindAll(addresses, allows);
        if (allowed.Length == 0)
            throw new HttpRequestException(HttpRequestError.ConnectionError, addresses.Length == 0 ? $"{target.Host} has no address." : $"{Sentence(target.Host)}.");
        Socket socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(allowed, target.Port, cancel);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
