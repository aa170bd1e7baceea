using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>DashScope's native API.</summary>
internal sealed class DashScopeEndpoints(Callers callers, NativeRequests requests, AnswerServing answers, GatewayOptions options)
{
    private const string Root = "/api/v1";

    /// <summary>Errors below this path are worded as DashScope's. The admin API is a level higher.</summary>
    public static bool Owns(PathString path) => path.StartsWithSegments(Root, StringComparison.Ordinal);

    public void Map(ApiRoutes routes)
    {
        routes.Post(Root + "/services/aigc/text-generation/generation", Permission.Infer, GenerateAsync);
    }

    private async Task GenerateAsync(HttpContext context)
    {
        Caller caller = callers.Require(context.Request);
        NativeRequest request;
        using (JsonBody body = await JsonBody.ReadAsync(context.Request, options, context.RequestAborted))
            request = requests.Read(JsonFields.OfRequest(body.Root), caller, context.Request);
        await answers.SendAsync(context, request.Generation, new NativeTeller(request.Format));
    }
}
