using System.CommandLine;
using System.Text.Json.Nodes;

namespace Qanat.Cli;

/// <summary>qanat doctor: is this machine, this data directory and this configuration good to serve from?</summary>
internal static class DoctorCommand
{
    public static Command Build(Shared shared)
    {
        Command doctor = new("doctor", "Check this machine, the data directory and the configuration, and say what to do. Exit code 1 when something stands in the way.");
        doctor.SetAction(async (parsed, cancel) =>
        {
            bool ok = true;
            int code = await Shared.RunAsync(async () =>
            {
                List<Finding> findings = await new Doctor(shared.Data(parsed), TimeProvider.System).ExamineAsync(cancel);
                ok = findings.TrueForAll(finding => finding.State != Health.Bad);
                JsonArray rows = [.. findings.Select(finding => (JsonNode)new JsonObject { ["check"] = finding.Check, ["state"] = finding.State.ToString().ToLowerInvariant(), ["found"] = finding.Found, ["advice"] = finding.Advice })];
                shared.Terminal(parsed).Say(new JsonObject { ["ok"] = ok, ["checks"] = rows }, string.Join('\n', findings.Select(Line)));
            });
            return code != 0 ? code : ok ? 0 : 1;
        });
        return doctor;
    }

    private static string Line(Finding finding)
    {
        string mark = finding.State switch { Health.Good => "ok  ", Health.Odd => "note", _ => "BAD " };
        return $"{mark}  {finding.Check,-16} {finding.Found}{(finding.Advice is null ? "" : $"\n      {"",-16} {finding.Advice}")}";
    }
}
