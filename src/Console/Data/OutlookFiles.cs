using System.Collections.Immutable;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Qanat.Gateway;
using Qanat.Outlook;

namespace Qanat.Console;

/// <summary>What the outlook pages hand out as files: reports that stand alone, workbooks, JSON. The same as the command line writes.</summary>
internal static class OutlookFiles
{
    private const string Sheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

    public static void MapOutlookFiles(this IEndpointRouteBuilder app)
    {
        // Only how drawings look: nobody's figures.
        app.MapGet("/outlook/parts.css", () => Results.Text($".outlook {{ {ReportStyles.Parts} }}", "text/css")).AllowAnonymous();
        RouteGroupBuilder files = app.MapGroup("").RequireAuthorization(NeedsAttribute.PolicyOf(Permission.SeeBooks)).AddEndpointFilter(SecurityHeaders.Add);
        files.MapGet("/outlook/{company}/{file:regex(^(report\\.html|workbook\\.xlsx|analysis\\.json)$)}", Company);
        files.MapGet("/investments/{name}/{file:regex(^(report\\.html|workbook\\.xlsx|analysis\\.json)$)}", InvestmentAsync);
    }

    private static IResult Company(OutlookDesk desk, string company, string file, string? quarter, string[]? set)
    {
        if (desk.Open(company) is not { } session) return Results.NotFound();
        return Refusing(() =>
        {
            CompanyCommandResult result = OutlookCommands.Company(session.Book, new CompanyCommandOptions(company, quarter, null, [.. set ?? []], null));
            string name = $"{company}-{result.Analysis.Quarter}";
            return file switch
            {
                "report.html" => Results.Bytes(System.Text.Encoding.UTF8.GetBytes(result.Html), "text/html; charset=utf-8", name + ".html"),
                "workbook.xlsx" => Results.Bytes(result.Workbook, Sheet, name + ".xlsx"),
                _ => Results.Text(result.Json, "application/json"),
            };
        });
    }

    private static async Task<IResult> InvestmentAsync(OutlookDesk desk, string name, string file, string[]? set, CancellationToken cancel)
    {
        try
        {
            if (await desk.ReadAsync(name, cancel) is not { } investment) return Results.NotFound();
            InvestCommandResult result = OutlookCommands.Invest(new InvestCommandOptions("", investment.File, investment.Actuals), DriverMoves.Apply(investment, DriverMoves.Read(set ?? [])));
            return file switch
            {
                "report.html" => Results.Bytes(System.Text.Encoding.UTF8.GetBytes(result.Html), "text/html; charset=utf-8", name + ".html"),
                "workbook.xlsx" => Results.Bytes(result.Workbook, Sheet, name + ".xlsx"),
                _ => Results.Text(result.Json, "application/json"),
            };
        }
        catch (OutlookDataException refusal)
        {
            return Results.Text(refusal.Message, "text/plain", statusCode: StatusCodes.Status400BadRequest);
        }
    }

    private static IResult Refusing(Func<IResult> make)
    {
        try
        {
            return make();
        }
        catch (OutlookDataException refusal)
        {
            return Results.Text(refusal.Message, "text/plain", statusCode: StatusCodes.Status400BadRequest);
        }
    }
}
