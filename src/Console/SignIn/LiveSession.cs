using Microsoft.AspNetCore.Components.Authorization;
using Microsoft.AspNetCore.Components.Server;
using Microsoft.Extensions.Logging;
using Qanat.Gateway;

namespace Qanat.Console;

/// <summary>Ends a live page once the identity it was opened with is revoked: the cookie is only looked at when a connection begins.</summary>
internal sealed class LiveSession(ILoggerFactory logs, DirectoryState directory) : RevalidatingServerAuthenticationStateProvider(logs)
{
    protected override TimeSpan RevalidationInterval => TimeSpan.FromSeconds(30);

    protected override Task<bool> ValidateAuthenticationStateAsync(AuthenticationState authenticationState, CancellationToken cancellationToken) =>
        Task.FromResult(SessionCookie.CallerOf(directory, authenticationState.User) is not null);
}
