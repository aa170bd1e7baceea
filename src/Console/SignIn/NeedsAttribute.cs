using Microsoft.AspNetCore.Authorization;
using Qanat.Gateway;

namespace Qanat.Console;

/// <summary>Names the permission that a page needs. A page without one is shown to nobody.</summary>
[AttributeUsage(AttributeTargets.Class)]
public sealed class NeedsAttribute(Permission permission) : AuthorizeAttribute(PolicyOf(permission))
{
    public Permission Permission { get; } = permission;

    public static string PolicyOf(Permission permission) => $"qanat-{permission}";
}

/// <summary>Met by who has the permission at this moment.</summary>
internal sealed record NeededPermission(Permission Permission) : IAuthorizationRequirement;

internal sealed class PermissionHandler(DirectoryState directory) : AuthorizationHandler<NeededPermission>
{
    protected override Task HandleRequirementAsync(AuthorizationHandlerContext context, NeededPermission requirement)
    {
        if (SessionCookie.CallerOf(directory, context.User) is { } caller && caller.May(requirement.Permission)) context.Succeed(requirement);
        return Task.CompletedTask;
    }
}
