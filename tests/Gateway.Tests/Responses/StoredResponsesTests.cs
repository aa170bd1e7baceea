using System.Collections.Immutable;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway.Tests;

/// <summary>Which responses are stored, who may say so, for how long, and that they are sealed (ADR 55).</summary>
public sealed class StoredResponsesTests
{
    private const string Path = "/v1/responses";
    private const string Setting = "/api/tenants/acme/responses";
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task Nothing_is_stored_without_being_asked_and_whoever_looks_for_it_is_told_what_to_do()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Answer made = await gateway.PostAsync(Path, Ask("\"input\":\"plover\""));
        Assert.False((bool)made.Body["store"]!);
        Event end = Event.All(await gateway.StreamAsync(Path, Ask("\"input\":\"plover\",\"stream\":true,\"store\":null"))).Last(each => each.Data is not null);
        Assert.Equal(("response.completed", false), (end.Name, (bool)end.Data!["response"]!["store"]!));
        await gateway.PostAsync(Path, Ask("\"input\":\"plover\",\"store\":false"));
        Assert.Empty(await StoredAsync(gateway));

        string id = (string)made.Body["id"]!, item = (string)made.Body["output"]![0]!["id"]!;
        Answer[] lost =
        [
            await gateway.GetAsync($"{Path}/{id}"),
            await gateway.GetAsync($"{Path}/{id}/input_items"),
            await gateway.SendAsync(new HttpRequestMessage(HttpMethod.Delete, $"{Path}/{id}")),
            await gateway.PostAsync(Path, Ask($"\"input\":\"more\",\"previous_response_id\":\"{id}\"")),
            await gateway.PostAsync(Path, Ask($$"""
                "input":[{"type":"item_reference","id":"{{item}}"}]
                """)),
        ];
        Assert.Equal([(null, "response_not_found"), (null, "response_not_found"), (null, "response_not_found"), ("previous_response_id", "response_not_found"), ("input[0].id", "item_not_found")], lost.Select(each => (each.Param, each.Code)));
        Assert.All(lost, each => Assert.Equal(404, each.Status));
        Assert.All(lost, each => Assert.Contains("\"store\": true", each.Message, StringComparison.Ordinal));
        Assert.Equal(3, gateway.Script.Calls.Count);
    }

    [Fact]
    public async Task A_tenant_has_them_stored_unless_a_request_declines_or_never_and_each_answer_says_which()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        using HttpClient owner = await gateway.ClientOfAsync("acme", KeyRole.Owner, Reach.Tenant);
        (string? Set, string Asked, bool Stored)[] cases =
        [
            (null, "", false), (null, ",\"store\":true", true), (null, ",\"store\":false", false),
            ("unless_declined", "", true), ("unless_declined", ",\"store\":true", true), ("unless_declined", ",\"store\":false", false),
            ("never", "", false), ("never", ",\"store\":true", false), ("never", ",\"store\":false", false),
            ("when_asked", "", false),
        ];
        int length = 0;
        foreach ((string? set, string asked, bool stored) in cases)
        {
            if (set is not null) Assert.Equal((200, set), ((await SendAsync(owner, "PUT", Setting, $$"""{"store":"{{set}}"}""")).Status, (string?)(await SendAsync(owner, "GET", Setting)).Body["store"]));
            Answer made = await gateway.PostAsync(Path, Ask($"\"input\":\"{new string('x', ++length)}\"{asked}"));
            Answer found = await gateway.GetAsync($"{Path}/{made.Body["id"]}");
            Assert.Equal((set, asked, stored, stored ? 200 : 404), (set, asked, (bool)made.Body["store"]!, found.Status));
            if (!stored) Assert.Equal(set == "never", found.Message.Contains("This tenant has none stored", StringComparison.Ordinal));
        }
        string audit = (await gateway.AdminAsync("GET", "/api/audit")).Text;
        Assert.Contains("\"tenant.responses\"", audit, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_stored_is_sealed_for_its_tenant_and_id()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Answer made = await gateway.PostAsync(Path, Ask("\"input\":\"plover\",\"store\":true,\"metadata\":{\"note\":\"plover\"}"));
        StoredDocument stored = Assert.Single(await StoredAsync(gateway));
        Assert.False(stored.Content.Span.IndexOf("plover"u8) >= 0);
        Assert.Equal(made.Body.ToJsonString(), (await gateway.GetAsync($"{Path}/{made.Body["id"]}")).Body.ToJsonString());
        DirectoryModel directory = gateway.Get<DirectoryState>().Current;
        Tenant house = directory.FindTenant("house")!;
        await ((IDocumentStore)gateway.Store).TryAddAsync(new NewDocument(stored.Key with { Tenant = house.Id }, stored.CreatedAt, stored.Content), None);
        await Assert.ThrowsAnyAsync<System.Security.Cryptography.CryptographicException>(() => gateway.Get<ResponseStore>().FindAsync(new Caller(house, directory.FindProject(house.Id, DirectoryState.DefaultProject)!, directory.Keys.First(key => key.Tenant == house.Id)), stored.Key.Id, None));
    }

    [Fact]
    public async Task They_are_gone_after_thirty_days_or_the_tenants_and_fewer_days_hold_for_older_ones_too()
    {
        ManualClock clock = new();
        // None but the sweep of this test: one that the clock sets off would read the days of now and delete by the clock of weeks later.
        await using TestGateway gateway = await TestGateway.StartAsync(clock: clock, options: new GatewayOptions { ExpiredDocumentsInterval = Timeout.InfiniteTimeSpan });
        using HttpClient owner = await gateway.ClientOfAsync("acme", KeyRole.Owner, Reach.Tenant);
        Assert.Equal(30, (int)(await SendAsync(owner, "GET", Setting)).Body["days"]!);
        string first = await StoreAsync(gateway, "a");
        clock.Advance(TimeSpan.FromDays(30) - TimeSpan.FromSeconds(1));
        Assert.Equal(200, (await gateway.GetAsync(first)).Status);
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(404, (await gateway.GetAsync(first)).Status);

        Assert.Equal(200, (await SendAsync(owner, "PUT", Setting, """{"days":100}""")).Status);
        string older = await StoreAsync(gateway, "bb");
        clock.Advance(TimeSpan.FromDays(50));
        string newer = await StoreAsync(gateway, "ccc");
        Assert.Equal((200, 200), ((await gateway.GetAsync(older)).Status, (await gateway.GetAsync(newer)).Status));
        await SendAsync(owner, "PUT", Setting, """{"days":40}""");
        RetentionSweep sweep = new(gateway.Get<DirectoryState>(), gateway.Get<TranscriptStore>(), gateway.Get<ResponseStore>(), new GatewayOptions(), clock, NullLogger<RetentionSweep>.Instance);
        await sweep.RunOnceAsync(None);
        Assert.Equal((404, 200), ((await gateway.GetAsync(older)).Status, (await gateway.GetAsync(newer)).Status));
    }

    [Fact]
    public async Task All_of_a_tenants_are_deleted_by_its_owner_and_by_nobody_else()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        string[] kept = [await StoreAsync(gateway, "a"), await StoreAsync(gateway, "bb")];
        using HttpClient owner = await gateway.ClientOfAsync("acme", KeyRole.Owner, Reach.Tenant);
        using HttpClient stranger = await gateway.ClientOfAsync("house", KeyRole.Owner, Reach.Tenant);
        foreach (string method in (string[])["GET", "PUT", "DELETE"])
            Assert.Equal((method, 404), (method, (await SendAsync(stranger, method, Setting, method == "PUT" ? """{"store":"never"}""" : null)).Status));
        foreach (KeyRole role in Roles.All.Where(each => each != KeyRole.Owner))
        {
            using HttpClient other = await gateway.ClientOfAsync("acme", role, Reach.Cloud);
            Assert.Equal((role, 403, 403), (role, (await SendAsync(other, "DELETE", Setting)).Status, (await SendAsync(other, "PUT", Setting, """{"store":"unless_declined"}""")).Status));
        }
        foreach (string body in (string[])["{}", """{"days":0}""", """{"days":3651}""", """{"store":"always"}""", """{"store":true}"""]) Assert.Equal((body, 400), (body, (await SendAsync(owner, "PUT", Setting, body)).Status));
        foreach (string each in kept) Assert.Equal(200, (await gateway.GetAsync(each)).Status);

        Assert.Equal(2, (int)(await SendAsync(owner, "DELETE", Setting)).Body["deleted"]!);
        Assert.Empty(await StoredAsync(gateway));
        foreach (string each in kept) Assert.Equal(404, (await gateway.GetAsync(each)).Status);
        Assert.Contains("\"response.delete_all\"", (await gateway.AdminAsync("GET", "/api/audit")).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_an_earlier_version_stored_in_the_clear_is_found_and_sealed()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        IDocumentStore documents = (IDocumentStore)gateway.Store;
        TenantId acme = gateway.Get<DirectoryState>().Current.FindTenant("acme")!.Id;
        ResponseStore store = gateway.Get<ResponseStore>();
        await AddPlainAsync(documents, acme, "resp_old");
        await AddPlainAsync(documents, acme, "resp_older");
        Assert.Equal("plover", (string?)(await gateway.GetAsync(Path + "/resp_old")).Body["output"]![0]!["content"]);
        Assert.Equal(200, (await gateway.SendAsync(new HttpRequestMessage(HttpMethod.Delete, Path + "/resp_older"))).Status);

        await store.SealPlainAsync(None);
        StoredDocument stored = Assert.Single(await StoredAsync(gateway));
        Assert.False(stored.Content.Span.IndexOf("plover"u8) >= 0);
        Assert.NotNull(stored.ExpiresAt);
        Assert.Equal("plover", (string?)(await gateway.GetAsync(Path + "/resp_old")).Body["output"]![0]!["content"]);
        Assert.Equal(200, (await gateway.SendAsync(new HttpRequestMessage(HttpMethod.Delete, Path + "/resp_old"))).Status);
        Assert.Empty(await StoredAsync(gateway));
    }

    [Fact]
    public async Task One_that_is_deleted_while_it_is_sealed_does_not_come_back()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        IDocumentStore documents = (IDocumentStore)gateway.Store;
        TenantId acme = gateway.Get<DirectoryState>().Current.FindTenant("acme")!.Id;
        await AddPlainAsync(documents, acme, "resp_old");
        ResponseStore store = new(documents, new SealedDocuments(new DeletesBefore(documents, () => gateway.Get<ResponseStore>().DeleteAsync(acme, "resp_old", None)), gateway.Get<SecretBox>()), gateway.Get<GatewayOptions>(), TimeProvider.System);
        await store.SealPlainAsync(None);
        Assert.Empty(await StoredAsync(gateway));
    }

    [Fact]
    public async Task An_answer_that_is_too_large_to_be_stored_is_not_lost_and_says_that_it_is_not()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        string fields = $"\"input\":\"Hi\",\"store\":true,\"metadata\":{{\"a\":\"{new string('x', 4 << 20)}\"}}";
        Answer made = await gateway.PostAsync(Path, Ask(fields));
        Assert.Equal((200, "completed", false), (made.Status, (string?)made.Body["status"], (bool)made.Body["store"]!));
        Assert.Equal(404, (await gateway.GetAsync($"{Path}/{made.Body["id"]}")).Status);
        Assert.Contains(gateway.Log.Lines, line => line.StartsWith("Warning", StringComparison.Ordinal) && line.Contains("could not be stored", StringComparison.Ordinal));
    }

    private static async Task<string> StoreAsync(TestGateway gateway, string input) => $"{Path}/{(await gateway.PostAsync(Path, Ask($"\"input\":\"{input}\",\"store\":true"))).Body["id"]}";

    private static Task AddPlainAsync(IDocumentStore documents, TenantId tenant, string id)
    {
        Instant now = Instant.Now(TimeProvider.System);
        string text = $$"""{"response":{"id":"{{id}}","object":"response","output":[{"type":"message","id":"msg_1","role":"assistant","content":"plover"}]},"input":[]}""";
        return documents.TryAddAsync(new NewDocument(new DocumentKey("response", tenant, id), now, Encoding.UTF8.GetBytes(text), Instant.From(TimeProvider.System.GetUtcNow().AddDays(30))), None);
    }

    private static async Task<ImmutableArray<StoredDocument>> StoredAsync(TestGateway gateway)
    {
        IDocumentStore documents = (IDocumentStore)gateway.Store;
        return [.. await documents.ListAsync(new DocumentQuery("response"), None), .. await documents.ListAsync(new DocumentQuery("sealed_response"), None)];
    }

    private static Task<Answer> SendAsync(HttpClient client, string method, string path, string? body = null) => TestGateway.SendAsync(client, new HttpRequestMessage(new HttpMethod(method), path)
    {
        Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json"),
    });

    private static string Ask(string fields) => "{\"model\":\"scripted-1\"," + fields.Trim() + "}";

    /// <summary>Somebody deletes a response between the moments when it is read and when what was made of it is added.</summary>
    private sealed class DeletesBefore(IDocumentStore inner, Func<Task> delete) : IDocumentStore
    {
        public async Task<DocumentVersion?> TryAddAsync(NewDocument document, CancellationToken cancel = default)
        {
            await delete();
            return await inner.TryAddAsync(document, cancel);
        }

        public Task<StoredDocument?> FindAsync(DocumentKey key, CancellationToken cancel = default) => inner.FindAsync(key, cancel);
        public Task<ImmutableArray<StoredDocument>> ListAsync(DocumentQuery query, CancellationToken cancel = default) => inner.ListAsync(query, cancel);
        public Task<DocumentVersion?> TryReplaceAsync(DocumentKey key, DocumentVersion expected, ReadOnlyMemory<byte> content, Instant? expiresAt = null, CancellationToken cancel = default) => inner.TryReplaceAsync(key, expected, content, expiresAt, cancel);
        public Task<DocumentSum> SumAsync(string kind, TenantId? tenant, CancellationToken cancel = default) => inner.SumAsync(kind, tenant, cancel);
        public Task<bool> TryDeleteAsync(DocumentKey key, DocumentVersion? expected = null, CancellationToken cancel = default) => inner.TryDeleteAsync(key, expected, cancel);
        public Task<long> DeleteExpiredAsync(int documentsMax, CancellationToken cancel = default) => inner.DeleteExpiredAsync(documentsMax, cancel);
    }
}
