using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway;

/// <summary>One moment of the upstreams: which there are, and what serves which model.</summary>
public sealed class UpstreamMap
{
    public static readonly UpstreamMap Empty = new([], [], new UpstreamOptions());
    private readonly ImmutableDictionary<ModelName, UpstreamRoute> routeOf;

    internal UpstreamMap(ImmutableArray<Upstream> all, ImmutableArray<UpstreamRoute> routes, UpstreamOptions options)
    {
        All = [.. all.OrderBy(each => each.Spec.Name, StringComparer.Ordinal)];
        Routes = routes;
        routeOf = routes.ToImmutableDictionary(route => route.Model);
        Sets = Gather(All.Where(each => !each.Spec.IsOff), options);
        TurnedOff = Gather(All.Where(each => each.Spec.IsOff), options).RemoveRange(Sets.Keys);
    }

    public ImmutableArray<Upstream> All { get; }
    public ImmutableArray<UpstreamRoute> Routes { get; }
    public ImmutableDictionary<ModelName, UpstreamSet> Sets { get; }

    /// <summary>Models of which every upstream is turned off: calls of them are refused for the time being, or served by those that stand in.</summary>
    public ImmutableDictionary<ModelName, UpstreamSet> TurnedOff { get; }

    public UpstreamSet? Find(ModelName model) => Sets.GetValueOrDefault(model);

    /// <summary>How calls of a model are spread, whoever serves it; null: nobody said.</summary>
    public UpstreamRoute? RouteOf(ModelName model) => routeOf.GetValueOrDefault(model);

    /// <summary>No upstream serves it now, and it is known: its upstreams are turned off, or its route names others that stand in for it.</summary>
    public bool IsAway(ModelName model) => TurnedOff.ContainsKey(model) || !Sets.ContainsKey(model) && RouteOf(model) is { Fallbacks.IsEmpty: false };

    /// <summary>Routes that name who stands in for a model which no upstream has, on or off: the built-in engine may have it, or nobody.</summary>
    public IEnumerable<UpstreamRoute> RoutesAlone => Routes.Where(route => !route.Fallbacks.IsEmpty && !Sets.ContainsKey(route.Model) && !TurnedOff.ContainsKey(route.Model));

    /// <summary>Of every model that upstreams serve, and of those that others stand in for, by name.</summary>
    public IEnumerable<UpstreamRoute> RoutesInForce => Sets.Values.Select(set => set.Route).Concat(Routes.Where(route => !Sets.ContainsKey(route.Model) && !route.Fallbacks.IsEmpty)).OrderBy(route => route.Model.Value, StringComparer.Ordinal);

    private ImmutableDictionary<ModelName, UpstreamSet> Gather(IEnumerable<Upstream> upstreams, UpstreamOptions options) =>
        upstreams.SelectMany(each => each.Spec.Models.Select(model => new UpstreamTarget(each.State, model, each.Link)))
            .GroupBy(target => target.Model.Name)
            .ToImmutableDictionary(group => group.Key, group => new UpstreamSet(routeOf.GetValueOrDefault(group.Key) ?? UpstreamRoute.Standard(group.Key), [.. group], options));

    /// <summary>A model's own upstreams, then those of the models that stand in for it, in order.</summary>
    public IEnumerable<UpstreamSet> WithFallbacks(UpstreamSet set)
    {
        ArgumentNullException.ThrowIfNull(set);
        if (set.Route.Fallbacks.IsEmpty) return [set];
        return set.Route.Fallbacks.Select(Find).OfType<UpstreamSet>().Where(other => other.Name != set.Name).Prepend(set);
    }
}

/// <summary>An upstream with what is known of it and the way to it.</summary>
public sealed record Upstream(UpstreamSpec Spec, UpstreamState State, UpstreamLink Link, bool HasSecret)
{
    /// <summary>Asks whether it answers. Null: it does; else why not, for the operator.</summary>
    public async Task<string?> CheckAsync(CancellationToken cancel)
    {
        string? failure = await Link.CheckAsync(cancel);
        State.Checked(failure);
        return failure;
    }
}

/// <summary>The upstreams as their operator set them, durable as documents with their secrets sealed. A change is durable, with its audit entry, before it takes effect; calls under way end as they began.</summary>
public sealed class UpstreamDirectory : IDisposable
{
    private const string UpstreamKind = "upstream";
    private const string RouteKind = "upstream-route";
    private const int DocumentsMax = 1_000;
    private readonly IDocumentStore documents;
    private readonly IBookStore books;
    private readonly SecretBox secrets;
    private readonly TimeProvider clock;
    private readonly SemaphoreSlim changing = new(1);
    private volatile UpstreamMap current = UpstreamMap.Empty;

    private UpstreamDirectory(IDocumentStore documents, IBookStore books, SecretBox secrets, UpstreamOptions options, TimeProvider clock) =>
        (this.documents, this.books, this.secrets, Options, this.clock) = (documents, books, secrets, options, clock);

    public UpstreamOptions Options { get; }
    public UpstreamMap Current => current;

    /// <summary>Commits of usage are failing: nothing new is admitted until one succeeds.</summary>
    public bool IsStalled { get; set; }

    /// <summary>The process ends: what cannot be stored now is recovered by the next one.</summary>
    public bool IsStopping { get; set; }

    /// <exception cref="CryptographicException">A secret does not open with the key file.</exception>
    public static async Task<UpstreamDirectory> LoadAsync(IDocumentStore documents, IBookStore books, SecretBox secrets, UpstreamOptions options, TimeProvider clock, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(documents);
        UpstreamDirectory directory = new(documents, books, secrets, options, clock);
        ImmutableArray<Upstream>.Builder all = ImmutableArray.CreateBuilder<Upstream>();
        foreach (StoredDocument document in await documents.ListAsync(new DocumentQuery(UpstreamKind, Limit: DocumentsMax), cancel))
            all.Add(directory.Read(document));
        ImmutableArray<UpstreamRoute> routes = [.. (await documents.ListAsync(new DocumentQuery(RouteKind, Limit: DocumentsMax), cancel)).Select(document => UpstreamJson.ReadRoute(document.Content.Span))];
        directory.current = new UpstreamMap(all.ToImmutable(), routes, options);
        return directory;
    }

    public Upstream? Find(string name) => current.All.FirstOrDefault(each => each.Spec.Name == name);

    /// <summary>Adds an upstream, or replaces one of the same name.</summary>
    /// <param name="secret">Null: the one it has at this address, if any.</param>
    /// <exception cref="ApiException">400: it is at a private address, and that is not allowed for it; or its secret was given for another address.</exception>
    public Task SaveAsync(UpstreamSpec spec, string? secret, string who, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(spec);
        return ChangeAsync(async () =>
        {
            Upstream? before = Find(spec.Name);
            CheckAddress(spec, before?.Spec);
            byte[]? sealedSecret = secret is not null ? secrets.Seal(spec.Name, secret) : await KeptSecretAsync(spec, cancel);
            JsonObject json = UpstreamJson.Of(spec);
            if (sealedSecret is not null) json["secret"] = Convert.ToBase64String(sealedSecret);
            await PutAsync(new DocumentKey(UpstreamKind, null, spec.Name), json, cancel);
            await AuditAsync(who, before is null ? "upstream.add" : "upstream.change", spec.Name, before is null ? null : UpstreamJson.Of(before.Spec).ToJsonString(), UpstreamJson.Of(spec).ToJsonString(), cancel);
            string? opened = sealedSecret is null ? null : secrets.Unseal(spec.Name, sealedSecret);
            Upstream after = before is null ? Open(spec, opened) : Change(before, spec, opened);
            current = new UpstreamMap([.. current.All.Where(each => each.Spec.Name != spec.Name), after], current.Routes, Options);
            if (before is not null && before.Link != after.Link) before.Link.Dispose();
        }, cancel);
    }

    /// <exception cref="ApiException">404: there is none of that name.</exception>
    public Task RemoveAsync(string name, string who, CancellationToken cancel) => ChangeAsync(async () =>
    {
        Upstream upstream = Find(name) ?? throw Unknown(name);
        await documents.TryDeleteAsync(new DocumentKey(UpstreamKind, null, name), cancel: cancel);
        await AuditAsync(who, "upstream.remove", name, UpstreamJson.Of(upstream.Spec).ToJsonString(), null, cancel);
        current = new UpstreamMap(current.All.Remove(upstream), current.Routes, Options);
        upstream.Link.Dispose();
    }, cancel);

    public Task SetRouteAsync(UpstreamRoute route, string who, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(route);
        return ChangeAsync(async () =>
        {
            UpstreamRoute? before = current.Routes.FirstOrDefault(each => each.Model == route.Model);
            await PutAsync(new DocumentKey(RouteKind, null, route.Model.Value), UpstreamJson.Of(route), cancel);
            await AuditAsync(who, "upstream.route", route.Model.Value, before is null ? null : UpstreamJson.Of(before).ToJsonString(), UpstreamJson.Of(route).ToJsonString(), cancel);
            current = new UpstreamMap(current.All, [.. current.Routes.Where(each => each.Model != route.Model), route], Options);
        }, cancel);
    }

    public static ApiException Unknown(string name) => new(404, "invalid_request_error", "not_found", $"There is no upstream '{name}'.", "name");

    public void Dispose()
    {
        foreach (Upstream upstream in current.All) upstream.Link.Dispose();
        changing.Dispose();
    }

    /// <summary>By the rule of its connections, as far as the address is known before it is resolved. One that is there already can always be turned off.</summary>
    private static void CheckAddress(UpstreamSpec spec, UpstreamSpec? before)
    {
        bool isTurnedOff = spec.IsOff && before is not null && UpstreamSpec.IsSameAddress(spec, before);
        if (!isTurnedOff && OutsideAddresses.IsInsideAsWritten(spec.Url, spec.AllowsAddress))
            throw Refusal.Value("url", $"{OutsideAddresses.Sentence(spec.Url.Host)}; if it is meant to be there, say so (allow_private, --allow-private).");
    }

    private Upstream Read(StoredDocument document)
    {
        JsonObject json = JsonNode.Parse(document.Content.Span)!.AsObject();
        UpstreamSpec spec = UpstreamJson.Read(json);
        string? sealedSecret = json["secret"]?.GetValue<string>();
        return Open(spec, sealedSecret is null ? null : secrets.Unseal(spec.Name, Convert.FromBase64String(sealedSecret)));
    }

    private Upstream Open(UpstreamSpec spec, string? secret) => new(spec, new UpstreamState(spec, Options, clock), new UpstreamLink(spec, secret, Options, clock), secret is not null);

    /// <summary>At the same address it is the same engine: what is known of it stands (its counts, whether it rests, how many calls run), and its connections where they can.</summary>
    private Upstream Change(Upstream before, UpstreamSpec spec, string? secret)
    {
        if (!UpstreamSpec.IsSameAddress(before.Spec, spec)) return Open(spec, secret);
        before.Link.Apply(spec, secret);
        before.State.Apply(spec);
        return new Upstream(spec, before.State, before.Link, secret is not null);
    }

    /// <summary>The sealed secret that it has. It goes to the address it was given for and to no other: whoever changes addresses could read it there.</summary>
    private async Task<byte[]?> KeptSecretAsync(UpstreamSpec spec, CancellationToken cancel)
    {
        if (await documents.FindAsync(new DocumentKey(UpstreamKind, null, spec.Name), cancel) is not { } document) return null;
        JsonObject json = JsonNode.Parse(document.Content.Span)!.AsObject();
        if (json["secret"]?.GetValue<string>() is not { } kept) return null;
        Uri given = UpstreamJson.Read(json).Url;
        if (given == spec.Url) return Convert.FromBase64String(kept);
        throw new ApiException(400, Refusal.InvalidRequest, "missing_required_parameter",
            $"The secret of '{spec.Name}' was given for {given.AbsoluteUri} and is sent nowhere else: give the one for {spec.Url.AbsoluteUri} (secret, --secret-env), or remove the upstream and add it again if it needs none there.", "secret");
    }

    private async Task PutAsync(DocumentKey key, JsonObject content, CancellationToken cancel)
    {
        byte[] bytes = System.Text.Encoding.UTF8.GetBytes(content.ToJsonString());
        DocumentVersion? written = await documents.FindAsync(key, cancel) is { } known
            ? await documents.TryReplaceAsync(key, known.Version, bytes, cancel: cancel)
            : await documents.TryAddAsync(new NewDocument(key, Instant.Now(clock), bytes), cancel);
        if (written is null) throw new ApiException(409, "invalid_request_error", "changed_meanwhile", $"'{key.Id}' was changed by somebody else at the same moment: look at it, then try again.");
    }

    private Task AuditAsync(string who, string action, string subject, string? before, string? after, CancellationToken cancel) =>
        books.AppendAsync(new Audited(new AuditEntry(Instant.Now(clock), who, action, subject, before, after)), cancel);

    private async Task ChangeAsync(Func<Task> change, CancellationToken cancel)
    {
        await changing.WaitAsync(cancel);
        try
        {
            await change();
        }
        finally
        {
            changing.Release();
        }
    }
}
