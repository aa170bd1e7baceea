using System.Buffers;
using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway;

/// <summary>Files of tenants, kept as documents: the content in parts, the record last, so that a file is either whole or not there.</summary>
internal sealed class FileStore(IDocumentStore documents, GatewayOptions options, TimeProvider clock)
{
    private const string Kind = "file";
    private const string PartKind = "file_part";
    private const string IdPrefix = "file-";

    private readonly IDocumentStore documents = documents;
    private readonly GatewayOptions options = options;
    private readonly TimeProvider clock = clock;

    /// <summary>Reads the content to its end and keeps it.</summary>
    /// <exception cref="ApiException">413: it is larger than files may be. 400: with it the tenant would keep more in files than it may.</exception>
    public async Task<FileRecord> AddAsync(Caller caller, string name, string purpose, Stream content, CancellationToken cancel)
    {
        TenantId tenant = caller.Tenant.Id;
        if (await documents.IsFullAsync(Kind, tenant, RecordsOf(options.Kept), cancel) || await documents.IsFullAsync(PartKind, tenant, PartsOf(options.Kept), cancel)) throw Full();
        await using FileWriter writer = new(this, tenant, New(caller.Project.Id, name, purpose), options.Kept);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(options.FilePartBytes);
        try
        {
            for (int read; (read = await content.ReadAsync(buffer.AsMemory(0, options.FilePartBytes), cancel)) > 0;)
                await writer.WriteAsync(buffer.AsMemory(0, read), cancel);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
        return await writer.FinishAsync(cancel);
    }

    /// <summary>A file of ours that is written piece by piece; without FinishAsync nothing of it stays. It is kept however much the tenant keeps: what it holds was paid for.</summary>
    public FileWriter Begin(TenantId tenant, ProjectId? project, string name, string purpose) => new(this, tenant, New(project, name, purpose), within: null);

    /// <summary>Null: there is none that this caller reaches.</summary>
    public async Task<FileRecord?> FindAsync(Caller caller, string id, CancellationToken cancel) =>
        await FindAsync(caller.Tenant.Id, id, cancel) is { } found && caller.Reaches(found.Project) ? found : null;

    public async Task<FileRecord?> FindAsync(TenantId tenant, string id, CancellationToken cancel) =>
        await documents.FindAsync(new DocumentKey(Kind, tenant, id), cancel) is { } found ? Read(found) : null;

    /// <summary>All files that a caller reaches, oldest first.</summary>
    public async Task<IReadOnlyList<FileRecord>> ListAsync(Caller caller, CancellationToken cancel)
    {
        List<FileRecord> all = [];
        DocumentPosition? after = null;
        while (true)
        {
            ImmutableArray<StoredDocument> page = await documents.ListAsync(new DocumentQuery(Kind, caller.Tenant.Id, after), cancel);
            if (page.IsEmpty) return all;
            all.AddRange(page.Select(Read).Where(file => caller.Reaches(file.Project)));
            after = page[^1].Position;
        }
    }

    /// <summary>The content, part by part.</summary>
    public async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(TenantId tenant, FileRecord file, [EnumeratorCancellation] CancellationToken cancel)
    {
        for (int part = 0; part < file.Parts; part++)
        {
            StoredDocument found = await documents.FindAsync(PartKey(tenant, file.Id, part), cancel)
                ?? throw new ApiException(404, Refusal.InvalidRequest, "file_not_found", "The file was deleted while it was read.");
            yield return found.Content;
        }
    }

    public async Task<bool> DeleteAsync(Caller caller, string id, CancellationToken cancel)
    {
        TenantId tenant = caller.Tenant.Id;
        if (await FindAsync(caller, id, cancel) is not { } file || !await documents.TryDeleteAsync(new DocumentKey(Kind, tenant, id), cancel: cancel)) return false;
        await DeletePartsAsync(tenant, id, file.Parts, cancel);
        return true;
    }

    private DateTimeOffset Now => clock.GetUtcNow();
    private static DocumentBounds RecordsOf(KeptOptions may) => new(may.FilesMax, KeptOptions.Any);
    private static DocumentBounds PartsOf(KeptOptions may) => new(KeptOptions.Any, may.FileBytesMax);

    private FileRecord New(ProjectId? project, string name, string purpose) =>
        new(IdPrefix + RequestId.New(clock).Value.ToString("N"), project, name, purpose, 0, 0, Now.ToUnixTimeSeconds(), (Now + options.FilesKept).ToUnixTimeSeconds());

    private ApiException Full() => KeptRefusal.Full(FormattableString.Invariant($"much in files ({options.Kept.FilesMax} files, {options.Kept.FileBytesMax >> 20} MB)"),
        FormattableString.Invariant($"Delete some (DELETE /v1/files/ID); each goes by itself {options.FilesKept.TotalDays:0.#} days after it was made."));

    private async Task DeletePartsAsync(TenantId tenant, string id, int parts, CancellationToken cancel)
    {
        for (int part = 0; part < parts; part++) await documents.TryDeleteAsync(PartKey(tenant, id, part), cancel: cancel);
    }

    private static FileRecord Read(StoredDocument found) => FileRecord.FromStored(JsonNode.Parse(found.Content.Span)!);
    private static DocumentKey PartKey(TenantId tenant, string id, int part) => new(PartKind, tenant, FormattableString.Invariant($"{id}/{part:D6}"));

    /// <summary>Fills one part at a time.</summary>
    /// <param name="within">What the tenant may keep with it; null: it is kept in any case.</param>
    internal sealed class FileWriter(FileStore store, TenantId tenant, FileRecord begun, KeptOptions? within) : IAsyncDisposable
    {
        private FileRecord file = begun;
        private readonly byte[] part = ArrayPool<byte>.Shared.Rent(store.options.FilePartBytes);
        private int filled;
        private bool finished;

        public async Task WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancel)
        {
            file = file with { Bytes = file.Bytes + bytes.Length };
            if (file.Bytes > store.options.FileBytesMax)
                throw new ApiException(413, Refusal.InvalidRequest, "file_too_large", FormattableString.Invariant($"A file may have at most {store.options.FileBytesMax} bytes. Split it."), "file");
            while (!bytes.IsEmpty)
            {
                int taken = Math.Min(bytes.Length, store.options.FilePartBytes - filled);
                bytes[..taken].CopyTo(part.AsMemory(filled));
                filled += taken;
                bytes = bytes[taken..];
                if (filled == store.options.FilePartBytes) await KeepPartAsync(cancel);
            }
        }

        public async Task<FileRecord> FinishAsync(CancellationToken cancel)
        {
            if (filled > 0) await KeepPartAsync(cancel);
            byte[] record = JsonSerializer.SerializeToUtf8Bytes(file.ToStored(), GatewayJson.Default.JsonObject);
            await AddAsync(new NewDocument(new DocumentKey(Kind, tenant, file.Id), Instant.Now(store.clock), record, Expiry, within is null ? null : RecordsOf(within)), cancel);
            finished = true;
            return file;
        }

        public async ValueTask DisposeAsync()
        {
            ArrayPool<byte>.Shared.Return(part);
            if (!finished) await store.DeletePartsAsync(tenant, file.Id, file.Parts, CancellationToken.None);
        }

        private Instant Expiry => Instant.From(DateTimeOffset.FromUnixTimeSeconds(file.ExpiresUnixSeconds));

        private async Task KeepPartAsync(CancellationToken cancel)
        {
            await AddAsync(new NewDocument(PartKey(tenant, file.Id, file.Parts), Instant.Now(store.clock), part.AsMemory(0, filled), Expiry, within is null ? null : PartsOf(within)), cancel);
            file = file with { Parts = file.Parts + 1 };
            filled = 0;
        }

        private async Task AddAsync(NewDocument document, CancellationToken cancel)
        {
            try
            {
                await store.documents.TryAddAsync(document, cancel);
            }
            catch (DocumentsFullException)
            {
                throw store.Full();
            }
        }
    }
}
