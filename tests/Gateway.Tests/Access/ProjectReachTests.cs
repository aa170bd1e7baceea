using System.Text;
using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway.Tests;

/// <summary>What a key leaves behind is its project's: the tenant's other projects do not find it, and whoever may make keys of them all does (ADR 70).</summary>
public sealed class ProjectReachTests
{
    [Fact]
    public async Task Files_and_batches()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        using HttpClient lab = await LabAsync(gateway), owner = await gateway.ClientOfAsync("acme", KeyRole.Owner, Reach.Tenant);
        string id = (string)(await BatchTests.CreateAsync(gateway, """{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"model":"scripted-1","input":"four"}}""", "/v1/embeddings")).Body["id"]!;
        JsonNode batch = await BatchTests.UntilAsync(gateway, id, BatchTests.HasEnded);
        Assert.Equal("completed", (string?)batch["status"]);
        string at = "/v1/batches/" + id, input = "/v1/files/" + batch["input_file_id"], output = "/v1/files/" + batch["output_file_id"];
        string again = $$"""{"input_file_id":"{{batch["input_file_id"]}}","endpoint":"/v1/embeddings","completion_window":"24h"}""";

        (string Method, string Path, string? Body, string Code)[] asked =
        [
            ("GET", at, null, "batch_not_found"), ("POST", at + "/cancel", "{}", "batch_not_found"), ("POST", "/v1/batches", again, "file_not_found"),
            ("GET", input, null, "file_not_found"), ("GET", input + "/content", null, "file_not_found"), ("DELETE", input, null, "file_not_found"),
            ("GET", output, null, "file_not_found"), ("GET", output + "/content", null, "file_not_found"), ("DELETE", output, null, "file_not_found"),
        ];
        foreach ((string method, string path, string? body, string code) in asked)
        {
            Answer refused = await SendAsync(lab, method, path, body);
            Assert.Equal((method, path, 404, code), (method, path, refused.Status, refused.Code));
        }
        Assert.Equal((0, 0), await CountsAsync(lab));
        Assert.Equal((1, 2), await CountsAsync(gateway.Http));
        Assert.Equal((1, 2), await CountsAsync(owner));
        foreach (string path in (string[])[at, input, output]) Assert.Equal((200, 200), ((await gateway.GetAsync(path)).Status, (await SendAsync(owner, "GET", path)).Status));
        Assert.Equal(200, (await SendAsync(owner, "DELETE", output)).Status);
    }

    [Fact]
    public async Task Stored_responses()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        using HttpClient lab = await LabAsync(gateway), owner = await gateway.ClientOfAsync("acme", KeyRole.Owner, Reach.Tenant);
        Answer made = await gateway.PostAsync("/v1/responses", """{"model":"scripted-1","input":"Hi","store":true}""");
        string id = (string)made.Body["id"]!, at = "/v1/responses/" + id, item = (string)made.Body["output"]![0]!["id"]!;
        string goesOn = $$"""{"model":"scripted-1","input":"more","previous_response_id":"{{id}}"}""";
        (string Method, string Path, string? Body, string Code)[] asked =
        [
            ("GET", at, null, "response_not_found"), ("GET", at + "/input_items", null, "response_not_found"), ("DELETE", at, null, "response_not_found"), ("POST", "/v1/responses", goesOn, "response_not_found"),
            ("POST", "/v1/responses", $$"""{"model":"scripted-1","input":[{"type":"item_reference","id":"{{item}}"}]}""", "item_not_found"),
        ];
        foreach ((string method, string path, string? body, string code) in asked)
        {
            Answer refused = await SendAsync(lab, method, path, body);
            Assert.Equal((method, path, 404, code), (method, path, refused.Status, refused.Code));
        }
        foreach (HttpClient who in (HttpClient[])[gateway.Http, owner])
            Assert.Equal((200, 200), ((await SendAsync(who, "GET", at, null)).Status, (await SendAsync(who, "POST", "/v1/responses", goesOn)).Status));
        Assert.Equal(200, (await SendAsync(owner, "DELETE", at)).Status);
    }

    [Fact]
    public async Task Tasks()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        using HttpClient lab = await LabAsync(gateway), owner = await gateway.ClientOfAsync("acme", KeyRole.Owner, Reach.Tenant);
        TaskCompletionSource mayEnd = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) => Script.SayAndWait(call, mayEnd.Task, cancel);
        string at = NativeTaskTests.PathOf(await NativeTaskTests.BeginAsync(gateway));
        Assert.Equal((404, 404), ((await SendAsync(lab, "GET", at)).Status, (await SendAsync(lab, "POST", at + "/cancel", "{}")).Status));
        foreach (HttpClient who in (HttpClient[])[gateway.Http, owner])
        {
            Answer shown = await SendAsync(who, "GET", at);
            Assert.Equal((200, false), (shown.Status, shown.Body.AsObject().ContainsKey("project")));
        }
        Assert.Equal(200, (await SendAsync(owner, "POST", at + "/cancel", "{}")).Status);
        Answer ended = await gateway.GetAsync(at);
        Assert.Equal(("CANCELED", false), ((string?)ended.Body["output"]!["task_status"], ended.Body.AsObject().ContainsKey("project")));
    }

    /// <summary>A key of another project of the tenant "acme".</summary>
    private static async Task<HttpClient> LabAsync(TestGateway gateway)
    {
        DirectoryState directory = gateway.Get<DirectoryState>();
        Project project = await directory.CreateProjectAsync("test", directory.Current.FindTenant("acme")!, "lab", null, CancellationToken.None);
        return gateway.Client((await directory.CreateKeyAsync("test", new NewKeyOrder(project, "lab", KeyRole.Inference, null), null, CancellationToken.None)).Secret);
    }

    private static async Task<(int Batches, int Files)> CountsAsync(HttpClient client) =>
        ((await SendAsync(client, "GET", "/v1/batches")).Body["data"]!.AsArray().Count, (await SendAsync(client, "GET", "/v1/files")).Body["data"]!.AsArray().Count);

    private static Task<Answer> SendAsync(HttpClient client, string method, string path, string? body = null) => TestGateway.SendAsync(client, new HttpRequestMessage(new HttpMethod(method), path)
    {
        Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json"),
    });
}
