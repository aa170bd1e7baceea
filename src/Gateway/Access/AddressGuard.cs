using System.Collections.Immutable;
using System.Net;

namespace Qanat.Gateway;

/// <summary>Whether this server may open a connection to an address that somebody typed in (an upstream, a webhook). Addresses of this machine and of private networks are
/// refused unless they are allowed by name: otherwise whoever may set a webhook could make the server read what only it can reach. The check is made on the address that is
/// connected to, after the name was resolved, so a name that resolves differently the second time gains nothing.</summary>
public sealed class AddressGuard(ImmutableArray<IPNetwork> allowed)
{
    /// <summary>Public addresses only.</summary>
    public static readonly AddressGuard PublicOnly = new([]);

    private volatile IPNetwork[] inside = [.. allowed];

    /// <summary>Allows other networks inside, from the next connection on.</summary>
    public void Apply(ImmutableArray<IPNetwork> next) => inside = [.. next];

    public bool Allows(IPAddress address)
    {
        ArgumentNullException.ThrowIfNull(address);
        IPAddress plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return Array.Exists(inside, network => network.Contains(plain)) || OutsideAddresses.IsPublic(plain);
    }

    /// <summary>Whether an address may be kept at all: http or https, without a user in it, and not inside as it is written. A name's address is checked when it is connected to.</summary>
    /// <exception cref="ApiException">400: not such an address, or a literal one that is not allowed.</exception>
    public void Check(string address, string param)
    {
        if (!Uri.TryCreate(address, UriKind.Absolute, out Uri? uri) || uri.Scheme is not ("http" or "https") || uri.UserInfo.Length > 0)
            throw Refusal.Value(param, "it must be an http or https address without a user name in it.");
        if (OutsideAddresses.IsInsideAsWritten(uri, Allows)) throw Refusal.Value(param, $"{OutsideAddresses.Sentence(uri.Host)}; whoever runs the server can allow it (allowed_networks in qanat.json).");
    }

    /// <summary>An HTTP handler that connects to allowed addresses only, and follows no redirect.</summary>
    public SocketsHttpHandler Handler() => new()
    {
        AllowAutoRedirect = false,
        UseProxy = false,
        // One tenant's receiver must not hear of another's.
        UseCookies = false,
        ConnectTimeout = TimeSpan.FromSeconds(10),
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        ConnectCallback = (context, cancel) => OutsideAddresses.ConnectAsync(context.DnsEndPoint, Allows, cancel),
    };
}
