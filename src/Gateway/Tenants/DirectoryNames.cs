using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>What a tenant, project or key may be called, and the complaints about it.</summary>
internal static class DirectoryNames
{
    /// <exception cref="ApiException">400: empty, too long, or with characters that do not print.</exception>
    public static string Check(string? name, string param)
    {
        string trimmed = (name ?? "").Trim();
        bool printable = trimmed.All(letter => !char.IsControl(letter) && !char.IsSurrogate(letter));
        if (trimmed.Length is 0 or > DirectoryState.NameLengthMax || !printable)
            throw new ApiException(400, "invalid_request_error", "invalid_value", $"A name needs 1 to {DirectoryState.NameLengthMax} printable characters.", param);
        return trimmed;
    }

    public static ApiException Taken(string what, string name) =>
        new(409, "invalid_request_error", "name_taken", $"There is a {what} called '{name}' already.", "name");

    /// <summary>A project by its id, or by a name that only one of the tenants that the caller sees uses.</summary>
    public static Project Project(DirectoryModel directory, AdminRequest request, string idOrName)
    {
        if (Guid.TryParse(idOrName, out Guid id) && directory.FindProject(new ProjectId(id)) is { } byId && request.Sees(byId.Tenant)) return byId;
        Project[] named = [.. directory.Projects.Where(project => request.Sees(project.Tenant) && project.Name.Equals(idOrName, StringComparison.OrdinalIgnoreCase))];
        return named switch
        {
            [Project only] => only,
            [] => throw Unknown("project", idOrName),
            _ => throw Refusal.Value("id", $"{named.Length} tenants have a project called '{idOrName}': name it by its id."),
        };
    }

    public static ApiException Unknown(string what, string name) =>
        new(404, "invalid_request_error", "not_found", $"There is no {what} '{name}'.", what);
}
