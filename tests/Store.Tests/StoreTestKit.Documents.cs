using System.Text;
using Qanat.Books;

namespace Qanat.Store.Tests;

public abstract partial class StoreTestKit
{
    private static NewDocument NewDocument(string id, string text = "text", TenantId? tenant = null, string kind = "file", long atSeconds = 0, Instant? expiresAt = null) =>
        new(new DocumentKey(kind, tenant, id), TestBooks.At(atSeconds), Bytes(text), expiresAt);

    private static ReadOnlyMemory<byte> Bytes(string text) => Encoding.UTF8.GetBytes(text);

    private async Task<DocumentVersion> Add(NewDocument document) => (await Store.TryAddAsync(document, Cancel))!.Value;

    private async Task<string?> TextOf(DocumentKey key) => await Store.FindAsync(key, Cancel) is StoredDocument found ? Encoding.UTF8.GetString(found.Content.Span) : null;

    private async Task<string> Ids(DocumentQuery query) => string.Join(' ', (await Store.ListAsync(query, Cancel)).Select(document => document.Key.Id));

    [Fact]
    public async Task A_document_is_found_as_it_was_stored_by_its_kind_tenant_and_id()
    {
        NewDocument document = NewDocument("a", "\0\u00ff text", Facts.Tenant.Id, expiresAt: TestBooks.At(60));
        DocumentVersion version = await Add(document);
        StoredDocument found = (await Store.FindAsync(document.Key, Cancel))!;
        Assert.Equal((document.Key, version, document.CreatedAt, document.ExpiresAt), (found.Key, found.Version, found.CreatedAt, found.ExpiresAt));
        Assert.Equal(document.Content.ToArray(), found.Content.ToArray());
        foreach (DocumentKey other in (DocumentKey[])[document.Key with { Id = "b" }, document.Key with { Kind = "batch" }, document.Key with { Tenant = null }, document.Key with { Tenant = Facts.NewTenant("other").Id }])
            Assert.Null(await Store.FindAsync(other, Cancel));
    }

    [Fact]
    public async Task A_document_without_content_is_a_document()
    {
        await Add(NewDocument("empty", ""));
        Assert.Equal("", await TextOf(NewDocument("empty").Key));
    }

    [Fact]
    public async Task A_key_that_is_taken_keeps_its_document()
    {
        NewDocument first = NewDocument("a", "first");
        await Add(first);
        Assert.Null(await Store.TryAddAsync(NewDocument("a", "second"), Cancel));
        Assert.Equal("first", await TextOf(first.Key));
        await Add(NewDocument("a", "of a tenant", Facts.Tenant.Id));
        Assert.Equal("first", await TextOf(first.Key));
    }

    [Fact]
    public async Task Of_many_who_replace_the_version_they_read_one_succeeds()
    {
        NewDocument document = NewDocument("counter", "0");
        DocumentVersion read = await Add(document);
        DocumentVersion?[] versions = await Task.WhenAll(Enumerable.Range(1, 20).Select(writer => Store.TryReplaceAsync(document.Key, read, Bytes(writer.ToString(System.Globalization.CultureInfo.InvariantCulture)), null, Cancel)));
        int won = Array.FindIndex(versions, version => version is not null);
        Assert.Single(versions, version => version is not null);
        StoredDocument now = (await Store.FindAsync(document.Key, Cancel))!;
        Assert.Equal((won + 1).ToString(System.Globalization.CultureInfo.InvariantCulture), Encoding.UTF8.GetString(now.Content.Span));
        Assert.Equal((versions[won], document.CreatedAt), (now.Version, now.CreatedAt));
    }

    [Fact]
    public async Task A_document_deleted_and_added_again_is_not_at_the_version_that_was_read_before()
    {
        NewDocument document = NewDocument("a");
        DocumentVersion read = await Add(document);
        Assert.True(await Store.TryDeleteAsync(document.Key, read, Cancel));
        Assert.NotEqual(read, await Add(document));
        Assert.Null(await Store.TryReplaceAsync(document.Key, read, Bytes("late"), null, Cancel));
        Assert.False(await Store.TryDeleteAsync(document.Key, read, Cancel));
        Assert.Equal("text", await TextOf(document.Key));
    }

    [Fact]
    public async Task A_document_is_deleted_once()
    {
        NewDocument document = NewDocument("a");
        await Add(document);
        Assert.True(await Store.TryDeleteAsync(document.Key, cancel: Cancel));
        Assert.False(await Store.TryDeleteAsync(document.Key, cancel: Cancel));
        Assert.Null(await Store.FindAsync(document.Key, Cancel));
    }

    [Fact]
    public async Task Documents_are_listed_by_time_in_pages_that_neither_skip_nor_repeat_while_others_come_and_go()
    {
        for (int index = 0; index < 7; index++) await Add(NewDocument($"d{index}", tenant: Facts.Tenant.Id, atSeconds: index / 2));
        await Add(NewDocument("other", tenant: Facts.NewTenant("other").Id, atSeconds: 1));
        await Add(NewDocument("batch", kind: "batch"));
        foreach (bool newestFirst in (bool[])[false, true])
        {
            List<string> seen = [];
            DocumentQuery query = new("file", Facts.Tenant.Id, NewestFirst: newestFirst, Limit: 2);
            while (await Store.ListAsync(query, Cancel) is { IsEmpty: false } page)
            {
                seen.AddRange(page.Select(document => document.Key.Id));
                query = query with { After = page[^1].Position };
                if (seen.Count == 2 && !newestFirst) Assert.True(await Store.TryDeleteAsync(page[^1].Key, cancel: Cancel));
            }
            Assert.Equal(newestFirst ? "d6 d5 d4 d3 d2 d0" : "d0 d1 d2 d3 d4 d5 d6", string.Join(' ', seen));
        }
        Assert.Equal("d0 d2 d3 other d4 d5 d6", await Ids(new DocumentQuery("file")));
        Assert.Equal("batch", await Ids(new DocumentQuery("batch")));
        Assert.Equal("", await Ids(new DocumentQuery("none")));
    }

    [Fact]
    public async Task Documents_of_all_tenants_that_began_together_are_paged_by_tenant()
    {
        Tenant[] tenants = [.. Enumerable.Range(0, 3).Select(_ => Facts.NewTenant("t"))];
        foreach (Tenant tenant in tenants) await Add(NewDocument("same", tenant: tenant.Id));
        List<TenantId?> seen = [];
        DocumentQuery query = new("file", Limit: 1);
        while (await Store.ListAsync(query, Cancel) is [var document])
        {
            seen.Add(document.Key.Tenant);
            query = query with { After = document.Position };
        }
        Assert.Equal(tenants.Select(tenant => (TenantId?)tenant.Id), seen);
    }

    [Fact]
    public async Task An_expired_document_is_gone_at_that_instant_and_its_key_is_free()
    {
        NewDocument document = NewDocument("a", expiresAt: TestBooks.At(60)), lasting = NewDocument("b");
        DocumentVersion version = await Add(document);
        await Add(lasting);
        Clock.Move(TimeSpan.FromSeconds(60) - TimeSpan.FromTicks(1));
        Assert.Equal("a b", await Ids(new DocumentQuery("file")));
        Clock.Move(TimeSpan.FromTicks(1));
        Assert.Null(await Store.FindAsync(document.Key, Cancel));
        Assert.Equal("b", await Ids(new DocumentQuery("file")));
        Assert.Null(await Store.TryReplaceAsync(document.Key, version, Bytes("late"), null, Cancel));
        Assert.False(await Store.TryDeleteAsync(document.Key, cancel: Cancel));
        Assert.NotEqual(version, await Add(NewDocument("a", "again", expiresAt: TestBooks.At(120))));
        Assert.Equal("again", await TextOf(document.Key));
    }

    [Fact]
    public async Task Replacing_a_document_sets_its_expiry_anew()
    {
        NewDocument document = NewDocument("a", expiresAt: TestBooks.At(60));
        DocumentVersion version = await Add(document);
        await Store.TryReplaceAsync(document.Key, version, Bytes("kept"), expiresAt: null, Cancel);
        Clock.Move(TimeSpan.FromDays(1));
        Assert.Equal("kept", await TextOf(document.Key));
    }

    [Fact]
    public async Task Deleting_what_expired_deletes_no_more_than_asked_and_nothing_else()
    {
        for (int index = 0; index < 5; index++) await Add(NewDocument($"d{index}", expiresAt: TestBooks.At(index + 1)));
        await Add(NewDocument("lasting"));
        Clock.Move(TimeSpan.FromSeconds(4));
        Assert.Equal(3, await Store.DeleteExpiredAsync(3, Cancel));
        Assert.Equal(1, await Store.DeleteExpiredAsync(3, Cancel));
        Assert.Equal(0, await Store.DeleteExpiredAsync(3, Cancel));
        Clock.Move(TimeSpan.FromSeconds(-4));
        Assert.Equal("d4 lasting", await Ids(new DocumentQuery("file")));
    }

    [Fact]
    public async Task A_document_up_to_the_limit_is_stored_and_one_byte_more_is_refused_with_advice()
    {
        int most = (int)StoreOptions.Default.DocumentBytesMax;
        NewDocument largest = NewDocument("a") with { Content = new byte[most] };
        await Add(largest);
        Assert.Equal(most, (await Store.FindAsync(largest.Key, Cancel))!.Content.Length);
        StoreException refused = await Assert.ThrowsAsync<StoreException>(() => Store.TryAddAsync(NewDocument("b") with { Content = new byte[most + 1] }, Cancel));
        Assert.Contains("parts", refused.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<StoreException>(() => Store.TryAddAsync(NewDocument(new string('x', 257)), Cancel));
        await Assert.ThrowsAsync<StoreException>(() => Store.TryAddAsync(NewDocument("x", kind: ""), Cancel));
        Assert.NotNull(await Store.TryAddAsync(NewDocument(new string('x', 256)), Cancel));
    }

    [Fact]
    public async Task A_fact_that_is_refused_beside_it_leaves_a_document_as_it_would_be_without()
    {
        NewDocument document = NewDocument("a", "1");
        DocumentVersion version = await Add(document);
        Task refused = Store.AppendAsync(new HoldReleased(new RequestId(Facts.NewId()), TestBooks.At(0), "unknown"), Cancel);
        Task<DocumentVersion?>[] replacing = [.. Enumerable.Range(0, 5).Select(_ => Store.TryReplaceAsync(document.Key, version, Bytes("2"), null, Cancel))];
        await Assert.ThrowsAsync<StoreException>(() => refused);
        DocumentVersion? winner = Assert.Single(await Task.WhenAll(replacing), replaced => replaced is not null);
        Assert.Equal(winner, (await Store.FindAsync(document.Key, Cancel))!.Version);
    }

    [Fact]
    public async Task What_a_tenant_keeps_is_summed_by_kind_whatever_becomes_of_it()
    {
        TenantId tenant = Facts.Tenant.Id;
        Assert.Equal(new DocumentSum(0, 0), await Store.SumAsync("file", tenant, Cancel));
        DocumentVersion version = await Add(NewDocument("a", "1234", tenant));
        await Add(NewDocument("b", "12", tenant, expiresAt: TestBooks.At(10)));
        await Add(NewDocument("c", "123456", tenant, kind: "batch"));
        await Add(NewDocument("d", "1234567", Facts.NewTenant("other").Id));
        await Add(NewDocument("e", "12345678"));
        Assert.Equal(new DocumentSum(2, 6), await Store.SumAsync("file", tenant, Cancel));
        await Store.TryReplaceAsync(NewDocument("a", tenant: tenant).Key, version, Bytes("123"), null, Cancel);
        Assert.Equal(new DocumentSum(2, 5), await Store.SumAsync("file", tenant, Cancel));
        Assert.Null(await Store.TryAddAsync(NewDocument("a", "taken", tenant), Cancel));
        await Store.TryDeleteAsync(NewDocument("a", tenant: tenant).Key, cancel: Cancel);
        Assert.Equal(new DocumentSum(1, 2), await Store.SumAsync("file", tenant, Cancel));
        Clock.Move(TimeSpan.FromSeconds(11));
        Assert.Equal(1, await Store.DeleteExpiredAsync(10, Cancel));
        Assert.Equal(new DocumentSum(0, 0), await Store.SumAsync("file", tenant, Cancel));
        Assert.Equal((new DocumentSum(1, 6), new DocumentSum(1, 8)), (await Store.SumAsync("batch", tenant, Cancel), await Store.SumAsync("file", null, Cancel)));
        Assert.Empty(await Store.VerifyAsync(Cancel));
    }

    [Fact]
    public async Task Of_many_documents_at_the_same_time_no_more_are_stored_than_their_bounds_allow()
    {
        TenantId tenant = Facts.Tenant.Id;
        NewDocument Bounded(int index, DocumentBounds bounds) => NewDocument($"d{index}", "1234", tenant) with { Within = bounds };
        async Task<int> StoredOf(DocumentBounds bounds, int first) => (await Task.WhenAll(Enumerable.Range(first, 20).Select(async index =>
        {
            try
            {
                return await Store.TryAddAsync(Bounded(index, bounds), Cancel) is not null;
            }
            catch (DocumentsFullException)
            {
                return false;
            }
        }))).Count(stored => stored);

        Assert.Equal(5, await StoredOf(new DocumentBounds(5, 100), 0));
        Assert.Equal(3, await StoredOf(new DocumentBounds(100, 35), 100));
        Assert.Equal(new DocumentSum(8, 32), await Store.SumAsync("file", tenant, Cancel));
        Assert.Empty(await Store.VerifyAsync(Cancel));
    }

    [Fact]
    public async Task Documents_of_the_demo_go_with_it()
    {
        DemoBooks demo = await WithDemo();
        await Add(NewDocument("theirs", tenant: demo.Key.Tenant));
        await Add(NewDocument("real", tenant: Facts.Tenant.Id));
        await Add(NewDocument("nobody's"));
        await Append(demo.Clearing);
        Assert.Equal("nobody's real", await Ids(new DocumentQuery("file")));
        Assert.Equal(new DocumentSum(0, 0), await Store.SumAsync("file", demo.Key.Tenant, Cancel));
        Assert.Empty(await Store.VerifyAsync(Cancel));
    }
}
