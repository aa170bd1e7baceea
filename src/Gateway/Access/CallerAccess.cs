using Microsoft.AspNetCore.Http;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Metadata of an endpoint: the permission it needs.</summary>
public sealed record Needed(Permission Permission);

/// <summary>What the rules say about one identity.</summary>
public static class CallerAccess
{
    public static bool May(this Caller caller, Permission permission)
    {
        ArgumentNullException.ThrowIfNull(caller);
        return Roles.Allows(caller.Key.Role, caller.Terms.Reach, permission);
    }

    /// <exception cref="ApiException">403: it may not.</exception>
    public static void Demand(this Caller caller, Permission permission)
    {
        if (caller.May(permission)) return;
        throw new ApiException(StatusCodes.Status403Forbidden, "permission_error", "permission_denied",
            caller.Terms.Reach == Reach.Tenant && !Roles.IsOfTenants(permission)
                ? $"This needs the permission '{AdminJson.Text(permission)}', which an identity that reaches its own tenant only cannot have."
                : $"This needs the permission '{AdminJson.Text(permission)}', which the role '{AdminJson.Text(caller.Key.Role)}' does not have. Roles that have it: {string.Join(", ", Roles.With(permission).Select(AdminJson.Text))}.");
    }

    /// <exception cref="ApiException">403: its key is bound to other models.</exception>
    public static void DemandModel(this Caller caller, ModelName model)
    {
        ArgumentNullException.ThrowIfNull(caller);
        if (!caller.Terms.AllowsModel(model))
            throw new ApiException(StatusCodes.Status403Forbidden, "permission_error", "model_not_allowed", $"This key may not ask the model '{model}'. It may ask: {string.Join(", ", caller.Terms.Models)}.", "model");
    }

    /// <summary>The only tenant that it sees; null: it sees all.</summary>
    public static TenantId? Only(this Caller caller)
    {
        ArgumentNullException.ThrowIfNull(caller);
        return caller.Terms.Reach == Reach.Cloud ? null : caller.Tenant.Id;
    }

    /// <summary>Whether it sees what belongs to this tenant.</summary>
    public static bool Sees(this Caller caller, TenantId tenant) => caller.Only() is not { } only || only == tenant;

    /// <summary>Whether it reaches what a key of this project of its tenant left: files, batches, stored responses, tasks. Whoever may make keys of any project reaches what all of them left (ADR 70).</summary>
    /// <param name="project">Null: it was left before the project was written down, and is its tenant's.</param>
    public static bool Reaches(this Caller caller, ProjectId? project)
    {
        ArgumentNullException.ThrowIfNull(caller);
        return project is not { } whose || whose == caller.Project.Id || caller.May(Permission.ChangeKeys);
    }

    /// <summary>Nobody hands out, or takes away, more than they have.</summary>
    /// <exception cref="ApiException">403: the other identity may do what this one may not.</exception>
    public static void DemandCover(this Caller caller, KeyRole role, Reach reach)
    {
        ArgumentNullException.ThrowIfNull(caller);
        if (Roles.Covers(caller.Key.Role, caller.Terms.Reach, role, reach)) return;
        throw new ApiException(StatusCodes.Status403Forbidden, "permission_error", "permission_denied",
            $"An identity with the role '{AdminJson.Text(role)}' that reaches {(reach == Reach.Cloud ? "all of the cloud" : "its tenant")} may do what you may not: ask somebody who has those permissions.");
    }
}
