using System.Collections.Immutable;
using System.Text;
using Microsoft.Extensions.Logging;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway.Tests;

/// <summary>What lies sealed, what does not open, and what lay in the clear before (ADR 71).</summary>
public sealed class SealingStoreTests
{
    private const string Said = "{\"said\":\"plover\"}";
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly TenantId Acme = new(new Guid(1, 0, 0x7000, 0x80, 0, 0, 0, 0, 0, 0, 1)), Zenith = new(new Guid(1, 0, 0x7000, 0x80, 0, 0, 0, 0, 0, 0, 2));

    [Fact]
    public async Task What_is_written_lies_sealed_and_is_read_as_it_was()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        (IDocumentStore plain, SealingStore store) = StoresOf(gateway);
        DocumentVersion version = (await store.TryAddAsync(Document("a", Said), None))!.Value;
        Assert.Equal(Said, TextOf(await store.FindAsync(KeyOf("a"), None)));
        Assert.DoesNotContain("plover", TextOf(await plain.FindAsync(KeyOf("a"), None)), StringComparison.Ordinal);
        Assert.NotNull(await store.TryReplaceAsync(KeyOf("a"), version, Encoding.UTF8.GetBytes("{\"said\":\"plover again\"}"), cancel: None));
        Assert.Equal("{\"said\":\"plover again\"}", TextOf(Assert.Single(await store.ListAsync(new DocumentQuery("probe", Acme), None))));
        Assert.DoesNotContain("plover", TextOf(await plain.FindAsync(KeyOf("a"), None)), StringComparison.Ordinal);
        // Nothing is something too.
        await store.TryAddAsync(Document("b", ""), None);
        Assert.Equal("", TextOf(await store.FindAsync(KeyOf("b"), None)));
    }

    [Fact]
    public async Task What_lies_in_the_clear_is_read_and_sealed_when_it_is_written_again()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        (IDocumentStore plain, SealingStore store) = StoresOf(gateway);
        await plain.TryAddAsync(Document("a", Said), None);
        StoredDocument found = (await store.FindAsync(KeyOf("a"), None))!;
        Assert.Equal(Said, TextOf(found));
        await store.TryReplaceAsync(KeyOf("a"), found.Version, found.Content, cancel: None);
        Assert.DoesNotContain("plover", TextOf(await plain.FindAsync(KeyOf("a"), None)), StringComparison.Ordinal);
        Assert.Equal(Said, TextOf(await store.FindAsync(KeyOf("a"), None)));
    }

    [Fact]
    public async Task What_does_not_open_is_not_there_and_a_warning_says_why_and_a_list_goes_on_behind_it()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        (IDocumentStore plain, SealingStore store) = StoresOf(gateway);
        foreach (string id in (string[])["a", "b", "c", "d"]) await store.TryAddAsync(Document(id, Said), None);
        // Moved to another tenant, and of the first tenant's the first three are changed by one bit, tag and mark left alone.
        StoredDocument moved = (await plain.FindAsync(KeyOf("d"), None))!;
        await plain.TryAddAsync(new NewDocument(KeyOf("d") with { Tenant = Zenith }, moved.CreatedAt, moved.Content), None);
        foreach (string id in (string[])["a", "b", "c"])
        {
            StoredDocument found = (await plain.FindAsync(KeyOf(id), None))!;
            byte[] changed = found.Content.ToArray();
            changed[^1] ^= 1;
            await plain.TryReplaceAsync(found.Key, found.Version, changed, cancel: None);
        }
        Assert.Null(await store.FindAsync(KeyOf("a"), None));
        Assert.Null(await store.FindAsync(KeyOf("d") with { Tenant = Zenith }, None));
        ImmutableArray<StoredDocument> page = await store.ListAsync(new DocumentQuery("probe", Acme, Limit: 2), None);
        Assert.Equal("d", Assert.Single(page).Key.Id);
        Assert.Empty(await store.ListAsync(new DocumentQuery("probe", Acme, page[^1].Position, Limit: 2), None));
        Assert.Contains(gateway.Log.Lines, line => line.StartsWith("Warning", StringComparison.Ordinal) && line.Contains("The probe a was sealed under another key", StringComparison.Ordinal));
    }

    private static (IDocumentStore Plain, SealingStore Store) StoresOf(TestGateway gateway)
    {
        IDocumentStore plain = gateway.Get<IDocumentStore>();
        return (plain, new SealingStore(plain, gateway.Get<SecretBox>(), gateway.Get<ILogger<SealingStore>>()));
    }

    private static DocumentKey KeyOf(string id) => new("probe", Acme, id);
    private static NewDocument Document(string id, string text) => new(KeyOf(id), new Instant(1_763_812_800_000_000_000 + id[0]), Encoding.UTF8.GetBytes(text));
    private static string TextOf(StoredDocument? document) => Encoding.UTF8.GetString(document!.Content.Span);
}
