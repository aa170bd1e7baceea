using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;

namespace Qanat.Gateway.Tests;

public sealed class FileTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    [Fact]
    public async Task A_file_is_kept_listed_read_and_deleted()
    {
        TestGateway gateway = fixture.Fresh();
        byte[] content = new byte[1_300_000];
        for (int index = 0; index < content.Length; index++) content[index] = (byte)(index * 31 % 251);
        Answer made = await UploadAsync(gateway, content, "rows.jsonl");
        Assert.Equal((200, "file", content.Length, "rows.jsonl", "batch"), (made.Status, (string?)made.Body["object"], (int)made.Body["bytes"]!, (string?)made.Body["filename"], (string?)made.Body["purpose"]));
        string at = "/v1/files/" + made.Body["id"];
        Assert.Equal(made.Body.ToJsonString(), (await gateway.GetAsync(at)).Body.ToJsonString());
        Assert.Equal(content, await gateway.Http.GetByteArrayAsync(at + "/content", TestContext.Current.CancellationToken));
        Assert.Contains((await gateway.GetAsync("/v1/files?purpose=batch")).Body["data"]!.AsArray(), file => (string?)file!["id"] == (string?)made.Body["id"]);
        Assert.True((bool)(await gateway.SendAsync(new HttpRequestMessage(HttpMethod.Delete, at))).Body["deleted"]!);
        Assert.Equal((404, "file_not_found"), ((await gateway.GetAsync(at)).Status, (await gateway.GetAsync(at + "/content")).Code));
    }

    [Fact]
    public async Task Another_tenant_does_not_find_it()
    {
        TestGateway gateway = fixture.Fresh();
        Answer made = await UploadAsync(gateway, "{}"u8.ToArray(), "mine.jsonl");
        foreach (string path in (string[])["/v1/files/" + made.Body["id"], $"/v1/files/{made.Body["id"]}/content"])
            Assert.Equal(404, (await TestGateway.SendAsync(gateway.Owner, new HttpRequestMessage(HttpMethod.Get, path))).Status);
        Assert.Empty((await TestGateway.SendAsync(gateway.Owner, new HttpRequestMessage(HttpMethod.Get, "/v1/files"))).Body["data"]!.AsArray());
    }

    [Fact]
    public async Task A_path_in_a_files_name_is_not_kept()
    {
        Answer made = await UploadAsync(fixture.Fresh(), "{}"u8.ToArray(), "../../etc/passwd");
        Assert.Equal("passwd", (string?)made.Body["filename"]);
    }

    [Fact]
    public async Task A_file_that_is_too_large_leaves_nothing_behind()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(options: new GatewayOptions { FileBytesMax = 100_000, FilePartBytes = 4096 });
        Answer refused = await UploadAsync(gateway, new byte[100_001], "large.jsonl");
        Assert.Equal((413, "file_too_large"), (refused.Status, refused.Code));
        Assert.Equal(200, (await UploadAsync(gateway, new byte[100_000], "right.jsonl")).Status);
        Assert.Single((await gateway.GetAsync("/v1/files")).Body["data"]!.AsArray());
    }

    [Fact]
    public async Task A_file_that_has_expired_is_gone()
    {
        ManualClock clock = new();
        await using TestGateway gateway = await TestGateway.StartAsync(clock: clock, options: new GatewayOptions { FilesKept = TimeSpan.FromHours(1) });
        Answer made = await UploadAsync(gateway, "{}"u8.ToArray(), "old.jsonl");
        clock.Advance(TimeSpan.FromHours(2));
        Assert.Empty((await gateway.GetAsync("/v1/files")).Body["data"]!.AsArray());
        Assert.Equal(404, (await gateway.GetAsync($"/v1/files/{made.Body["id"]}/content")).Status);
    }

    [Theory]
    [InlineData("assistants", 400, "purpose")]
    [InlineData(null, 400, "purpose")]
    public async Task Only_batches_use_files(string? purpose, int status, string param)
    {
        Answer refused = await UploadAsync(fixture.Fresh(), "{}"u8.ToArray(), "x.jsonl", purpose);
        Assert.Equal((status, param), (refused.Status, refused.Param));
    }

    [Fact]
    public async Task What_is_no_upload_is_refused()
    {
        TestGateway gateway = fixture.Fresh();
        Assert.Equal(415, (await gateway.PostAsync("/v1/files", "{}")).Status);
        foreach (string body in (string[])["", "--b\r\n", "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\ncut", "nonsense"])
        {
            using ByteArrayContent content = new(Encoding.UTF8.GetBytes(body));
            content.Headers.ContentType = MediaTypeHeaderValue.Parse("multipart/form-data; boundary=b");
            Answer refused = await gateway.SendAsync(new HttpRequestMessage(HttpMethod.Post, "/v1/files") { Content = content });
            Assert.Equal((body, 400), (body, refused.Status));
        }
    }

    internal static Task<Answer> UploadAsync(TestGateway gateway, byte[] content, string name, string? purpose = "batch")
    {
        MultipartFormDataContent form = [];
        if (purpose is not null) form.Add(new StringContent(purpose), "purpose");
        form.Add(new ByteArrayContent(content), "file", name);
        return gateway.SendAsync(new HttpRequestMessage(HttpMethod.Post, "/v1/files") { Content = form });
    }
}
