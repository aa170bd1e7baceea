using Microsoft.AspNetCore.Components.Authorization;
using Qanat.Books;
using Qanat.Gateway;

namespace Qanat.Console;

/// <summary>Who is signed in on this page, and what they may see and do.</summary>
public sealed class SignedIn(AuthenticationStateProvider session, DirectoryState directory)
{
    /// <exception cref="ApiException">401: the session has ended.</exception>
    public async Task<Caller> CallerAsync() => SessionCookie.CallerOf(directory, (await session.GetAuthenticationStateAsync()).User)
        ?? throw new ApiException(401, "authentication_error", "session_ended", "This session has ended: sign in again.");

    /// <summary>Who makes a change, as the audit log names them, if they may. Asked right before it, whatever the page showed when it was drawn.</summary>
    /// <param name="of">Whose things are changed; null: those of all, which only an identity that reaches the cloud may.</param>
    /// <exception cref="ApiException">401: the session has ended. 403: not theirs to do. 404: what they do not see.</exception>
    public async Task<string> NameAsync(Permission permission, TenantId? of = null)
    {
        Caller caller = await CallerAsync();
        caller.Demand(permission);
        if (of is { } tenant ? !caller.Sees(tenant) : caller.Only() is not null) throw new ApiException(404, "invalid_request_error", "not_found", "There is nothing of that kind.");
        return $"{caller.Key.Name} (console)";
    }

    /// <summary>The same for another identity, which may do no more than whoever changes it.</summary>
    /// <exception cref="ApiException">As above; 403 also: it may do what they may not.</exception>
    public async Task<string> NameAsync(Permission permission, TenantId of, KeyRole role, Reach reach)
    {
        (await CallerAsync()).DemandCover(role, reach);
        return await NameAsync(permission, of);
    }

    public async Task<bool> MayAsync(Permission permission) => (await CallerAsync()).May(permission);

    /// <summary>The only tenant whose things may be shown; null: all.</summary>
    public async Task<TenantId?> OnlyAsync() => (await CallerAsync()).Only();
}
