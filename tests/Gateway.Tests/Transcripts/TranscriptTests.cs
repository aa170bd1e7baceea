using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using Qanat.Books;
using Qanat.Engine;
using Qanat.Models;
using Qanat.Store;

namespace Qanat.Gateway.Tests;

public sealed class TranscriptTests
{
    private const string Chat = """{"model":"scripted-1","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"The password is plover."}]}""";
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task Nothing_is_kept_unless_the_tenant_wants_it_and_from_then_on_by_every_API()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        using HttpClient owner = await gateway.ClientOfAsync("acme", KeyRole.Owner, Reach.Tenant);
        Assert.Equal(200, (await gateway.PostAsync("/v1/chat/completions", Chat)).Status);
        Assert.Empty(await KeptAsync(owner));

        Answer on = await SendAsync(owner, "PUT", "/api/tenants/acme/keeping", """{"days":30}""");
        Assert.Equal((200, 30), (on.Status, (int)on.Body["keep_days"]!));
        (string Path, string Body)[] asked =
        [
            ("/v1/chat/completions", Chat),
            ("/v1/messages", """{"model":"scripted-1","max_tokens":9,"messages":[{"role":"user","content":"The password is plover!!"}]}"""),
            ("/v1/completions", """{"model":"scripted-1","prompt":"The password is plover"}"""),
            ("/api/chat", """{"model":"scripted-1","stream":false,"messages":[{"role":"user","content":"The password is plover???"}]}"""),
        ];
        foreach ((string path, string body) in asked) Assert.Equal((path, 200), (path, (await gateway.PostAsync(path, body)).Status));
        Assert.NotEmpty(await gateway.StreamAsync("/v1/chat/completions", """{"model":"scripted-1","stream":true,"messages":[{"role":"user","content":"The password is plover, streamed."}]}"""));
        string[] ids = await KeptAsync(owner);
        Assert.Equal(5, ids.Length);
        foreach (string id in ids)
        {
            Answer shown = await SendAsync(owner, "GET", "/api/transcripts/" + id);
            Assert.Contains("plover", shown.Text, StringComparison.Ordinal);
            Assert.Equal(("Hello", "stop"), ((string?)shown.Body["answers"]![0]!["text"], (string?)shown.Body["answers"]![0]!["end"]));
        }
        Answer first = await SendAsync(owner, "GET", "/api/transcripts/" + ids[^1]);
        Assert.Equal(["system", "user"], first.Body["messages"]!.AsArray().Select(each => (string)each!["role"]!));

        // Off again: no more, and what there is stays until it is deleted.
        await SendAsync(owner, "PUT", "/api/tenants/acme/keeping", """{"days":null}""");
        await gateway.PostAsync("/v1/chat/completions", """{"model":"scripted-1","messages":[{"role":"user","content":"Not this."}]}""");
        Assert.Equal(5, (await KeptAsync(owner)).Length);
        Assert.Equal(200, (await SendAsync(owner, "DELETE", "/api/transcripts/" + ids[0])).Status);
        Assert.Equal(404, (await SendAsync(owner, "DELETE", "/api/transcripts/" + ids[0])).Status);
        Assert.Equal(4, (int)(await SendAsync(owner, "DELETE", "/api/transcripts")).Body["deleted"]!);
        Assert.Empty(await KeptAsync(owner));
        string audit = (await gateway.AdminAsync("GET", "/api/audit")).Text;
        Assert.All(["tenant.keep", "transcript.read", "transcript.delete", "transcript.delete_all"], action => Assert.Contains($"\"{action}\"", audit, StringComparison.Ordinal));
        Assert.DoesNotContain("plover", audit, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_kept_is_sealed_for_its_tenant_and_request()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        await KeepAsync(gateway, 1);
        await gateway.PostAsync("/v1/chat/completions", Chat);
        IDocumentStore documents = (IDocumentStore)gateway.Store;
        StoredDocument kept = Assert.Single(await documents.ListAsync(new DocumentQuery("transcript"), None));
        Assert.False(kept.Content.Span.IndexOf("plover"u8) >= 0);
        TenantId house = gateway.Get<DirectoryState>().Current.FindTenant("house")!.Id;
        await documents.TryAddAsync(new NewDocument(kept.Key with { Tenant = house }, kept.CreatedAt, kept.Content), None);
        await Assert.ThrowsAnyAsync<System.Security.Cryptography.CryptographicException>(() => gateway.Get<TranscriptStore>().FindAsync(house, new RequestId(Guid.Parse(kept.Key.Id)), None));
    }

    [Fact]
    public async Task It_is_gone_after_its_days_and_fewer_days_hold_for_older_ones_too()
    {
        ManualClock clock = new();
        await using TestGateway gateway = await TestGateway.StartAsync(clock: clock);
        using HttpClient owner = await gateway.ClientOfAsync("acme", KeyRole.Owner, Reach.Tenant);
        await KeepAsync(gateway, 10);
        await SayAsync(gateway, "one");
        clock.Advance(TimeSpan.FromDays(4));
        await SayAsync(gateway, "three");
        Assert.Equal(2, (await KeptAsync(owner)).Length);
        await KeepAsync(gateway, 3);
        RetentionSweep sweep = new(gateway.Get<DirectoryState>(), gateway.Get<TranscriptStore>(), gateway.Get<ResponseStore>(), new GatewayOptions(), clock, NullLogger<RetentionSweep>.Instance);
        await sweep.RunOnceAsync(None);
        Assert.Single(await KeptAsync(owner));
        clock.Advance(TimeSpan.FromDays(10));
        Assert.Empty(await KeptAsync(owner));
    }

    [Fact]
    public async Task What_a_client_that_left_was_told_is_kept_without_an_end()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        await KeepAsync(gateway, 1);
        Caller caller = CallerOf(gateway);
        Call call = new(caller, Operation.Chat, new ModelName("scripted-1"), [1, 2, 3], 1, null, new SamplingOptions(), [], -1, IgnoreStopTokens: false, null) { PromptText = "abc" };
        using CancellationTokenSource left = new();
        TranscriptKeeping keeping = new((each, cancel) => Script.SayAndWait(each, Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancel), cancel), gateway.Get<TranscriptStore>(), gateway.Get<ServedModels>(), NullLogger<TranscriptKeeping>.Instance);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (CallEvent happened in keeping.RunAsync(call, left.Token).WithCancellation(None))
            {
                if (happened is Delta) await left.CancelAsync();
            }
        });
        StoredDocument kept = Assert.Single(await ((IDocumentStore)gateway.Store).ListAsync(new DocumentQuery("transcript"), None));
        Transcript transcript = (await gateway.Get<TranscriptStore>().FindAsync(caller.Tenant.Id, new RequestId(Guid.Parse(kept.Key.Id)), None))!;
        Assert.Equal(("abc", "waiting", null), (transcript.Prompt, transcript.Answers[0].Text, transcript.Answers[0].End));
    }

    [Fact]
    public async Task The_longest_transcript_that_is_kept_fits_a_document_and_says_that_it_was_shortened()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        await KeepAsync(gateway, 1);
        Caller caller = CallerOf(gateway);
        // Control characters take the most room in JSON.
        string most = new('\u0001', TranscriptDraft.CharsMax);
        foreach ((string prompt, string answer, bool shortened) in ((string, string, bool)[])[(most, most, false), (most + "x", most, true), (most, most + "x", true)])
        {
            Call call = new(caller, Operation.Completion, new ModelName("scripted-1"), [.. Enumerable.Repeat(1, prompt.Length % 251 + answer.Length % 2)], 1, null, new SamplingOptions(), [], -1, IgnoreStopTokens: false, null) { PromptText = prompt };
            TranscriptDraft draft = new(call);
            draft.Take(new Admitted(RequestId.New(TimeProvider.System), TestGateway.Now, Money.Zero(Currency.Usd), null));
            draft.Take(new Delta(0, [new TextPiece(answer)], []));
            Transcript transcript = draft.Finish(prompt);
            Assert.Equal((shortened, most, most), (transcript.Shortened, transcript.Prompt, transcript.Answers[0].Text));
            await gateway.Get<TranscriptStore>().KeepAsync(caller.Tenant.Id, draft.Id!.Value, transcript, 1, None);
            Assert.Equal(transcript.ToText(), (await gateway.Get<TranscriptStore>().FindAsync(caller.Tenant.Id, draft.Id!.Value, None))!.ToText());
        }
    }

    [Fact]
    public async Task Nobody_else_reads_or_deletes_them()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        await KeepAsync(gateway, 30);
        await gateway.PostAsync("/v1/chat/completions", Chat);
        using HttpClient owner = await gateway.ClientOfAsync("acme", KeyRole.Owner, Reach.Tenant);
        string id = Assert.Single(await KeptAsync(owner));
        using HttpClient stranger = await gateway.ClientOfAsync("house", KeyRole.Owner, Reach.Tenant);
        foreach ((string method, string path) in ((string, string)[])[("GET", "/api/transcripts/" + id), ("DELETE", "/api/transcripts/" + id), ("GET", "/api/transcripts?tenant=acme"), ("DELETE", "/api/transcripts?tenant=acme"), ("PUT", "/api/tenants/acme/keeping")])
            Assert.Equal((path, 404), (path, (await SendAsync(stranger, method, path, method == "PUT" ? """{"days":1}""" : null)).Status));
        foreach (KeyRole role in Roles.All.Where(each => each != KeyRole.Owner))
        {
            using HttpClient other = await gateway.ClientOfAsync("acme", role, Reach.Cloud);
            Assert.Equal((role, 403), (role, (await SendAsync(other, "GET", "/api/transcripts/" + id)).Status));
            Assert.Equal((role, 403), (role, (await SendAsync(other, "DELETE", "/api/transcripts?tenant=acme")).Status));
        }
        Assert.Single(await KeptAsync(owner));
        Assert.Equal(200, (await gateway.AdminAsync("GET", $"/api/transcripts/{id}?tenant=acme")).Status);
        Assert.Equal(400, (await gateway.AdminAsync("GET", "/api/transcripts")).Status);
        foreach (string body in (string[])["{}", """{"days":0}""", """{"days":3651}""", """{"days":"x"}"""]) Assert.Equal((body, 400), (body, (await SendAsync(owner, "PUT", "/api/tenants/acme/keeping", body)).Status));
    }

    private static async Task KeepAsync(TestGateway gateway, int days) =>
        await gateway.Get<TranscriptChanges>().KeepAsync("test", gateway.Get<DirectoryState>().Current.FindTenant("acme")!.Id, days, None);

    private static async Task SayAsync(TestGateway gateway, string what) =>
        Assert.Equal(200, (await gateway.PostAsync("/v1/chat/completions", $$"""{"model":"scripted-1","messages":[{"role":"user","content":"{{what}}"}]}""")).Status);

    private static async Task<string[]> KeptAsync(HttpClient owner) => [.. (await SendAsync(owner, "GET", "/api/transcripts")).Body["data"]!.AsArray().Select(each => (string)each!["id"]!)];

    private static Task<Answer> SendAsync(HttpClient client, string method, string path, string? body = null) => TestGateway.SendAsync(client, new HttpRequestMessage(new HttpMethod(method), path)
    {
        Content = body is null ? null : new StringContent(body, System.Text.Encoding.UTF8, "application/json"),
    });

    private static Caller CallerOf(TestGateway gateway)
    {
        Assert.True(gateway.Get<KeyRing>().TryAuthenticate(gateway.Key, out Caller caller));
        return caller;
    }
}
