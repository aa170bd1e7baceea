using Microsoft.AspNetCore.Components.Authorization;

namespace Qanat.Console;

/// <summary>Who is signed in on this page, as the audit log names them.</summary>
public sealed class Owner(AuthenticationStateProvider session)
{
    public async Task<string> NameAsync()
    {
        AuthenticationState state = await session.GetAuthenticationStateAsync();
        return $"{state.User.Identity?.Name ?? "unknown"} (console)";
    }
}
