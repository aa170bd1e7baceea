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

    /// <summary>Who makes a change, as the audit log names them, if they may.</summary>
    /// <exception cref="ApiException">401: the session has ended. 403: not theirs to do.</exception>
    public async Task<string> NameAsync(Permission permission)
    {
        Caller caller = await CallerAsync();
        caller.Demand(permission);
        return $"{caller.Key.Name} (console)";
    }

    public async Task<bool> MayAsync(Permission permission) => (await CallerAsync()).May(permission);

    /// <summary>The only tenant whose things may be shown; null: all.</summary>
    public async Task<TenantId?> OnlyAsync() => (await CallerAsync()).Only();
}
