using System.Text.Json;
using System.Text.Json.Serialization;

namespace Qanat.Cli;

/// <summary>Somebody accepted a licence that does not let the model be hosted freely.</summary>
public sealed record LicenceAcceptance(DateTimeOffset At, string By, string Reason);

/// <param name="Sha256">Of what came.</param>
/// <param name="IsPromised">The site told a hash, and it is that of what came; without one only the length was compared.</param>
public sealed record PulledFile(string Path, long Bytes, string Sha256, bool IsPromised = true);

/// <summary>Where a model came from and under which licence: kept beside it as qanat-model.json.</summary>
public sealed record ModelRecord
{
    public const string FileName = "qanat-model.json";
    private static readonly JsonSerializerOptions Format = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) } };

    public required string Repository { get; init; }
    public required string Source { get; init; }
    public required string Revision { get; init; }
    public required DateTimeOffset PulledAt { get; init; }
    public required Licence Licence { get; init; }
    public LicenceAcceptance? Acceptance { get; init; }
    public required IReadOnlyList<PulledFile> Files { get; init; }

    public bool MayBeHosted => Licence.Hosting == CommercialHosting.Free || Acceptance is not null;

    /// <summary>The record beside a model: in its folder, or in that of its file. Null: it was not pulled.</summary>
    /// <exception cref="CommandException">The record cannot be read.</exception>
    public static ModelRecord? Beside(string model)
    {
        string folder = Directory.Exists(model) ? model : Path.GetDirectoryName(Path.GetFullPath(model)) ?? ".";
        string file = Path.Combine(folder, FileName);
        if (!File.Exists(file)) return null;
        try
        {
            return JsonSerializer.Deserialize<ModelRecord>(File.ReadAllText(file), Format) ?? throw new JsonException("it is empty");
        }
        catch (JsonException error)
        {
            throw new CommandException($"{file} cannot be read: {error.Message}. Pull the model again; files that are whole are not fetched twice.", error);
        }
    }

    public void Save(string folder)
    {
        string next = Path.Combine(folder, FileName + ".next");
        File.WriteAllText(next, JsonSerializer.Serialize(this, Format));
        File.Move(next, Path.Combine(folder, FileName), overwrite: true);
    }

    /// <exception cref="CommandException">The licence has not been accepted: the model may not be served.</exception>
    public void EnsureMayBeHosted()
    {
        if (MayBeHosted) return;
        string what = Licence.Hosting switch
        {
            CommercialHosting.Forbidden => "forbids hosting it for others",
            CommercialHosting.Conditional => "sets conditions for hosting it",
            _ => "is not known here",
        };
        throw new CommandException($"The licence of {Repository} ({Licence.Id}) {what}: {Licence.Terms}. To serve it all the same, say why you may: qanat models accept {Repository} --reason \"...\".");
    }
}
