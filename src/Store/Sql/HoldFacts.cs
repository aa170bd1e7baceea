using Qanat.Books;

namespace Qanat.Store;

/// <summary>Holds from placing to the usage record or the release. A request id is in one place only: open holds, usage, or releases.
/// The writer is the only one who writes, so it remembers the open holds, and the highest id there is: ids are made in the order of time, so that a new request is known to be new without a look into the database.</summary>
internal sealed class HoldFacts(SqlDatabase database, RowNumbers numbers, RowIdentities identities, UsageRollups rollups)
{
    private readonly Dictionary<Guid, Request> _requests = [];
    private readonly List<Request> _changed = [];
    private readonly List<Request> _flushed = [];
    private readonly HashSet<Guid> _asked = [];

    /// <summary>Requests that were written in this transaction, as they then were.</summary>
    private readonly Dictionary<Guid, Request> _written = [];

    /// <summary>Every open hold of the last commit; null: not read yet.</summary>
    private Dictionary<Guid, OpenHold>? _open;

    /// <summary>No committed request whose id tells its time has a higher one.</summary>
    private Guid _highest;

    /// <summary>The facts since <see cref="Load"/> are undone.</summary>
    public void Forget()
    {
        _requests.Clear();
        _changed.Clear();
        _flushed.Clear();
    }

    /// <summary>Nothing of the facts since <see cref="Load"/> failed: what they have written is what the next ones find.</summary>
    public void Accept()
    {
        foreach (Request request in _flushed) _written[request.Id] = request.Copy();
        _flushed.Clear();
    }

    /// <summary>The transaction is undone.</summary>
    public void RolledBack()
    {
        Forget();
        _written.Clear();
    }

    /// <summary>Nobody knows whether the transaction was committed: everything is read again.</summary>
    public void Lost()
    {
        RolledBack();
        _open = null;
    }

    public void Committed()
    {
        foreach ((Guid id, Request request) in _written)
        {
            if (request.Hold is Hold hold) _open![id] = new OpenHold(hold, request.Progress!);
            else _open!.Remove(id);
            if (request.TellsItsTime && id > _highest) _highest = id;
        }
        _written.Clear();
    }

    /// <summary>Finds out what is known of requests.</summary>
    /// <param name="touched">Requests whose open hold matters.</param> <param name="decided">Requests of which it matters, too, whether and how they have ended, with the time of the fact about them.</param>
    public void Load(HashSet<Guid> touched, Dictionary<Guid, Instant> decided)
    {
        _requests.Clear();
        ReadOpen();
        foreach (Guid id in touched) _requests[id] = Known(id);
        _asked.Clear();
        foreach ((Guid id, Instant at) in decided)
        {
            Request request = _requests[id] = Known(id);
            request.TellsItsTime |= !IdTime.IsAhead(id, at);
            bool isNew = request.TellsItsTime && id > _highest;
            if (request.Hold is null && !request.HasEnded && !isNew) _asked.Add(id);
        }
        if (_asked.Count > 0) LoadEnded();
    }

    /// <summary>Whether and how those have ended that are not open.</summary>
    private void LoadEnded()
    {
        foreach (Statement row in database.WithIds(UsageRows.Select, _asked))
        {
            UsageRecord record = UsageRows.Read(row, identities);
            _requests[record.Id.Value].Settled = record;
        }
        _asked.RemoveWhere(id => _requests[id].Settled is not null);
        foreach (Statement row in database.WithIds("SELECT id FROM releases", _asked)) _requests[row.Guid()].IsReleased = true;
    }

    /// <summary>As the facts before this one left it.</summary>
    private Request Known(Guid id) => _written.TryGetValue(id, out Request? request) ? request.Copy()
        : _open!.TryGetValue(id, out OpenHold? open) ? new Request { Hold = open.Hold, Progress = open.Progress, HoldIsStored = true } : new Request();

    private void ReadOpen()
    {
        if (_open is not null) return;
        Dictionary<Guid, OpenHold> open = [];
        Statement rows = database[HoldRows.Select];
        while (rows.Step())
        {
            OpenHold hold = HoldRows.Read(rows, identities);
            open[hold.Hold.Id.Value] = hold;
        }
        rows.Reset();
        // Usage from outside may have ids far ahead of its time; all others were made here.
        Guid ahead = IdTime.FirstAhead(new Instant(database["SELECT max(completed_at) FROM usage"].Scalar() ?? 0));
        _highest = default;
        foreach (Statement highest in (ReadOnlySpan<Statement>)[
            database["SELECT id FROM usage WHERE id < ? ORDER BY id DESC LIMIT 1"].Add(ahead),
            database["SELECT id FROM holds ORDER BY id DESC LIMIT 1"],
            database["SELECT id FROM releases ORDER BY id DESC LIMIT 1"]])
        {
            if (highest.Step() && highest.Guid() is var id && id > _highest) _highest = id;
            highest.Reset();
        }
        _open = open;
    }

    public void Place(Hold hold)
    {
        Request request = _requests[hold.Id.Value];
        // The amount may have been extended since, and the hold moved.
        bool same = request.Hold is Hold known ? known with { Amount = hold.Amount, Deployment = hold.Deployment, Pool = hold.Pool } == hold
            : request.Settled is not UsageRecord record || record.Party == hold.Party && record.PlacedAt == hold.PlacedAt && record.Model == hold.Model;
        if (!same) throw new StoreException($"The request id {hold.Id} is taken by another request: make a new id.");
        if (request.Hold is not null || request.HasEnded) return;
        _ = numbers.Of(hold.Party);
        request.Hold = hold;
        request.Progress = new UsageProgress(hold.Id, default, default);
        ChangeHold(request);
    }

    /// <summary>The amount is the hold's new total. A total below the present one, or of a hold that has ended, is an older extension that comes again and changes nothing.</summary>
    public void Extend(HoldExtended extended)
    {
        Request request = _requests[extended.Id.Value];
        if (request.Hold is not Hold hold)
        {
            if (request.HasEnded) return;
            throw new StoreException($"There is no hold {extended.Id} to extend.");
        }
        if (hold.Amount.Currency != extended.Amount.Currency)
            throw new StoreException($"The hold {extended.Id} is in {hold.Amount.Currency} and cannot be extended in {extended.Amount.Currency}.");
        if (extended.Amount <= hold.Amount) return;
        request.Hold = hold with { Amount = extended.Amount };
        ChangeHold(request);
    }

    /// <summary>A hold under which device time was used stays where that was; one that has ended is not moved.</summary>
    public void Move(HoldMoved moved)
    {
        Request request = _requests[moved.Id.Value];
        if (request.Hold is not Hold hold)
        {
            if (request.HasEnded) return;
            throw new StoreException($"There is no hold {moved.Id} to move.");
        }
        if (hold.Deployment == moved.Deployment && hold.Pool == moved.Pool) return;
        if (request.Progress!.Device != default)
            throw new StoreException($"Under the hold {moved.Id} device time of {hold.Deployment} was used: it cannot be moved to {moved.Deployment}.");
        request.Hold = hold with { Deployment = moved.Deployment, Pool = moved.Pool };
        ChangeHold(request);
    }

    /// <summary>Progress is cumulative and only grows. Progress of a request without an open hold is passed over: its settlement has counted all of it.</summary>
    public void Progress(UsageProgress progress)
    {
        Request request = _requests[progress.Id.Value];
        if (request.Hold is null) return;
        (TokenCounts tokens, DeviceTime device) = (request.Progress!.Tokens, request.Progress.Device);
        request.Progress = new UsageProgress(progress.Id,
            new TokenCounts(Math.Max(tokens.Input, progress.Tokens.Input), Math.Max(tokens.CacheRead, progress.Tokens.CacheRead), Math.Max(tokens.CacheWrite, progress.Tokens.CacheWrite),
                Math.Max(tokens.Output, progress.Tokens.Output), Math.Max(tokens.Reasoning, progress.Tokens.Reasoning)),
            new DeviceTime(Math.Max(device.PrefillNanoseconds, progress.Device.PrefillNanoseconds), Math.Max(device.DecodeNanoseconds, progress.Device.DecodeNanoseconds)),
            progress.Tokens.Output >= tokens.Output ? progress.Upstream ?? request.Progress.Upstream : request.Progress.Upstream);
        Change(request);
    }

    /// <summary>Ends the hold, if there was one (usage reported from outside has none), and stores the record.</summary>
    public void Settle(UsageRecord record)
    {
        if (record.Basis is ChargeBasis basis && basis.List.Currency != record.Charge?.Currency)
            throw new StoreException($"The record {record.Id} has a basis for a charge that it does not have.");
        Request request = _requests[record.Id.Value];
        if (request.IsReleased) throw new StoreException($"The hold {record.Id} was released as unused and cannot be settled.");
        if (request.Settled is UsageRecord known)
        {
            if (known != record) throw new StoreException($"The request {record.Id} is settled already with other figures: correct it by a reversing fact.");
            return;
        }
        (request.Hold, request.Settled, request.IsNew) = (null, record, true);
        rollups.Add(record, numbers.Of(record.Party), numbers.Of(record.Model.Value), numbers.Of(record.Pool.Value));
        Change(request);
    }

    public void Release(HoldReleased released)
    {
        Request request = _requests[released.Id.Value];
        if (request.Hold is null)
        {
            if (request.IsReleased) return;
            throw new StoreException($"There is no open hold {released.Id} to release.");
        }
        if (request.Progress!.Tokens != default || request.Progress.Device != default)
            throw new StoreException($"Under the hold {released.Id} something was used: settle it instead of releasing it.");
        database["INSERT INTO releases (id, tenant, at, reason) VALUES (?, ?, ?, ?)"]
            .Add(released.Id.Value).Add(numbers.Of(request.Hold.Party.Tenant)).Add(released.At).Add(released.Reason).Run();
        (request.Hold, request.IsReleased) = (null, true);
        Change(request);
    }

    /// <summary>Writes what the facts since <see cref="Load"/> have changed.</summary>
    public void Flush()
    {
        if (_changed.Count == 0) return;
        WriteHolds();
        WriteUsage();
        foreach (Request request in _changed)
        {
            request.IsChanged = request.IsHoldChanged = request.IsNew = false;
            _flushed.Add(request);
        }
        _changed.Clear();
    }

    private void WriteHolds()
    {
        IRowWriter holds = database.Rows("holds", HoldRows.Columns, HoldRows.Update);
        List<Guid> ended = [];
        foreach (Request request in _changed)
        {
            if (request is { Hold: not null, HoldIsStored: true, IsHoldChanged: false } && database.IsInProcess)
            {
                database[HoldRows.UpdateProgress].Add(request.Progress!.Tokens).Add(request.Progress.Device).Add(request.Progress.Upstream?.ToString()).Add(request.Id).Run();
            }
            else if (request.Hold is Hold hold)
            {
                PartyRow party = numbers.Of(hold.Party);
                holds.Row.Add(hold.Id.Value).Add(hold.PlacedAt).Add(party.Tenant).Add(party.Project).Add(party.Key).Add(hold.Party.UserTag)
                    .Add(numbers.Of(hold.Model.Value)).Add(numbers.Of(hold.Deployment.Value)).Add(numbers.Of(hold.Pool)).Add((long)hold.Operation).Add(numbers.Of(hold.Price)).Add(hold.Amount)
                    .Add(request.Progress!.Tokens).Add(request.Progress.Device).Add(request.Progress.Upstream?.ToString());
                holds.EndRow();
                request.HoldIsStored = true;
            }
            else if (request.HoldIsStored)
            {
                ended.Add(request.Progress!.Id.Value);
                request.HoldIsStored = false;
            }
        }
        holds.Flush();
        if (ended.Count > 0) database.DeleteWithIds("holds", ended);
    }

    private void WriteUsage()
    {
        IRowWriter usage = database.Rows("usage", UsageRows.Columns);
        foreach (Request request in _changed)
        {
            if (!request.IsNew) continue;
            UsageRecord record = request.Settled!;
            PartyRow party = numbers.Of(record.Party);
            usage.Row.Add(record.Id.Value).Add(record.PlacedAt).Add(record.FirstTokenAt).Add(record.CompletedAt)
                .Add(party.Tenant).Add(party.Project).Add(party.Key).Add(record.Party.UserTag)
                .Add(numbers.Of(record.Model.Value)).Add(numbers.Of(record.Deployment.Value)).Add(numbers.Of(record.Pool.Value)).Add((long)record.Operation).Add((long)record.Outcome)
                .Add(record.Tokens).Add(record.Device)
                .Add(numbers.Of(record.Price)).Add(record.Charge).Add(numbers.Of(record.PoolRate)).Add(record.Cost).Add(record.Basis?.ToString())
                .Add(record.Upstream?.ToString()).Add(IdTime.IsInOrder(record.Id, record.CompletedAt));
            usage.EndRow();
        }
        usage.Flush();
    }

    /// <summary>More than the progress under it is to be written.</summary>
    private void ChangeHold(Request request)
    {
        request.IsHoldChanged = true;
        Change(request);
    }

    private void Change(Request request)
    {
        if (request.IsChanged) return;
        request.IsChanged = true;
        _changed.Add(request);
    }

    /// <summary>A request while a batch is being written.</summary>
    private sealed class Request
    {
        /// <summary>Known as soon as there is a hold or a record.</summary>
        public Guid Id => Hold?.Id.Value ?? Progress?.Id.Value ?? Settled!.Id.Value;

        /// <summary>Its id is not ahead of its time, as those that are made here; one from outside may be.</summary>
        public bool TellsItsTime { get; set; }

        public Hold? Hold { get; set; }
        public UsageProgress? Progress { get; set; }
        public UsageRecord? Settled { get; set; }
        public bool IsReleased { get; set; }
        public bool HoldIsStored { get; set; }
        public bool IsNew { get; set; }
        public bool IsChanged { get; set; }
        public bool IsHoldChanged { get; set; }
        public bool HasEnded => Settled is not null || IsReleased;

        public Request Copy() => (Request)MemberwiseClone();
    }
}

/// <summary>Rows of open holds as the domain's records.</summary>
internal static class HoldRows
{
    public const string Columns = """
        id, placed_at, tenant, project, key, user_tag, model, deployment, pool, operation, price, amount_milli, amount_pico, amount_currency,
        input, cache_read, cache_write, output, reasoning, prefill_ns, decode_ns, upstream
        """;
    public const string Select = $"SELECT {Columns} FROM holds";
    public const string SelectAll = Select + " ORDER BY placed_at, id";

    /// <summary>What changes while a hold is open.</summary>
    public const string Update = """
        ON CONFLICT (id) DO UPDATE SET deployment = excluded.deployment, pool = excluded.pool, amount_milli = excluded.amount_milli, amount_pico = excluded.amount_pico,
          input = excluded.input, cache_read = excluded.cache_read, cache_write = excluded.cache_write, output = excluded.output, reasoning = excluded.reasoning,
          prefill_ns = excluded.prefill_ns, decode_ns = excluded.decode_ns, upstream = excluded.upstream
        """;

    /// <summary>What each step changes, by itself: what the row points to need not be looked up again.</summary>
    public const string UpdateProgress = """
        UPDATE holds SET input = ?, cache_read = ?, cache_write = ?, output = ?, reasoning = ?, prefill_ns = ?, decode_ns = ?, upstream = ? WHERE id = ?
        """;

    public static OpenHold Read(Statement row, RowIdentities identities)
    {
        RequestId id = new(row.Guid());
        Hold hold = new(id, row.Instant(), new Party(identities.Tenant(row.Long()), identities.Project(row.Long()), identities.Key(row.Long()), row.TextOrNull()),
            identities.Model(row.Long()), identities.Deployment(row.Long()), Pool: identities.Pool(row.LongOrNull()),
            Operation: (Operation)row.Int(), Price: identities.Price(row.LongOrNull()), Amount: row.Money());
        return new OpenHold(hold, new UsageProgress(id, row.Tokens(), row.Device(), Upstreams.Read(row)));
    }
}

/// <summary>Rows of usage as the domain's records.</summary>
internal static class UsageRows
{
    public const string Columns = """
        id, placed_at, first_token_at, completed_at, tenant, project, key, user_tag, model, deployment, pool, operation, outcome,
        input, cache_read, cache_write, output, reasoning, prefill_ns, decode_ns,
        price, charge_milli, charge_pico, charge_currency, pool_rate, cost_milli, cost_pico, cost_currency, basis, upstream, in_order
        """;
    public const string Select = $"SELECT {Columns} FROM usage";
    public const string SelectOne = $"{Select} WHERE no = ?";

    public static UsageRecord Read(Statement row, RowIdentities identities)
    {
        UsageRecord record = new(new RequestId(row.Guid()), row.Instant(), row.Instant(), row.Instant(),
            identities.Party(row.Long(), row.Long(), row.Long(), row.TextOrNull()),
            identities.Model(row.Long()), identities.Deployment(row.Long()), identities.Pool(row.Long()), (Operation)row.Int(), (Outcome)row.Int(),
            row.Tokens(), row.Device(), identities.Price(row.LongOrNull()), row.MoneyOrNull(), identities.PoolRate(row.LongOrNull()), row.MoneyOrNull());
        ChargeBasis? basis = row.TextOrNull() is string text ? ChargeBasis.Parse(text, record.Charge!.Value.Currency) : null;
        UpstreamUse? upstream = Upstreams.Read(row);
        return basis is null && upstream is null ? record : record with { Basis = basis, Upstream = upstream };
    }
}

/// <summary>What was bought from upstreams, kept as its text.</summary>
internal static class Upstreams
{
    public static UpstreamUse? Read(Statement row) => row.TextOrNull() is string text ? UpstreamUse.Parse(text) : null;
}
