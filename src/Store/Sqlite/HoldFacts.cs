using Qanat.Books;

namespace Qanat.Store;

/// <summary>Holds from placing to the usage record or the release. A request id is in one place only: open holds, usage, or releases.</summary>
internal sealed class HoldFacts(SqliteDatabase database, RowNumbers numbers, RowIdentities identities, UsageRollups rollups)
{
    public void Place(Hold hold)
    {
        if (Ended(hold.Id, out UsageRecord? record))
        {
            if (record is not null && (record.Party != hold.Party || record.PlacedAt != hold.PlacedAt || record.Model != hold.Model)) throw Taken(hold.Id);
            return;
        }
        PartyRow party = numbers.Of(hold.Party);
        int placed = database["""
            INSERT INTO holds (id, placed_at, tenant, project, key, user_tag, model, deployment, pool, operation, price, amount_milli, amount_pico, amount_currency)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
            """].Add(hold.Id.Value).Add(hold.PlacedAt).Add(party.Tenant).Add(party.Project).Add(party.Key).Add(hold.Party.UserTag)
            .Add(numbers.Of(hold.Model.Value)).Add(numbers.Of(hold.Deployment.Value)).Add(numbers.Of(hold.Pool)).Add((long)hold.Operation).Add(numbers.Of(hold.Price)).Add(hold.Amount).Run();
        if (placed == 1) return;
        // The amount may have been extended since.
        Hold known = Open(hold.Id)!.Hold;
        if (known with { Amount = hold.Amount } != hold) throw Taken(hold.Id);
    }

    /// <summary>The amount is the hold's new total. A total below the present one, or of a hold that has ended, is an older extension that comes again and changes nothing.</summary>
    public void Extend(HoldExtended extended)
    {
        Hold? hold = Open(extended.Id)?.Hold;
        if (hold is null)
        {
            if (Ended(extended.Id, out _)) return;
            throw new StoreException($"There is no hold {extended.Id} to extend.");
        }
        if (hold.Amount.Currency != extended.Amount.Currency)
            throw new StoreException($"The hold {extended.Id} is in {hold.Amount.Currency} and cannot be extended in {extended.Amount.Currency}.");
        if (extended.Amount <= hold.Amount) return;
        database["UPDATE holds SET amount_milli = ?, amount_pico = ?, amount_currency = ? WHERE id = ?"].Add(extended.Amount).Add(extended.Id.Value).Run();
    }

    /// <summary>Progress is cumulative and only grows. Progress of a request without an open hold is passed over: its settlement has counted all of it.</summary>
    public void Progress(UsageProgress progress) =>
        database["""
            UPDATE holds SET input = max(input, ?), cache_read = max(cache_read, ?), cache_write = max(cache_write, ?), output = max(output, ?),
              reasoning = max(reasoning, ?), prefill_ns = max(prefill_ns, ?), decode_ns = max(decode_ns, ?), 
              upstream = iif(? >= output, coalesce(?, upstream), upstream)
            WHERE id = ?
            """].Add(progress.Tokens).Add(progress.Device).Add(progress.Tokens.Output).Add(progress.Upstream?.ToString()).Add(progress.Id.Value).Run();

    /// <summary>Ends the hold, if there was one (usage reported from outside has none), and stores the record.</summary>
    public void Settle(UsageRecord record)
    {
        if (record.Basis is ChargeBasis basis && basis.List.Currency != record.Charge?.Currency)
            throw new StoreException($"The record {record.Id} has a basis for a charge that it does not have.");
        bool wasOpen = database["DELETE FROM holds WHERE id = ?"].Add(record.Id.Value).Run() == 1;
        if (!wasOpen && Released(record.Id)) throw new StoreException($"The hold {record.Id} was released as unused and cannot be settled.");
        PartyRow party = numbers.Of(record.Party);
        long model = numbers.Of(record.Model.Value);
        long pool = numbers.Of(record.Pool.Value);
        int inserted = database[InsertUsage]
            .Add(record.Id.Value).Add(record.PlacedAt).Add(record.FirstTokenAt).Add(record.CompletedAt)
            .Add(party.Tenant).Add(party.Project).Add(party.Key).Add(record.Party.UserTag)
            .Add(model).Add(numbers.Of(record.Deployment.Value)).Add(pool).Add((long)record.Operation).Add((long)record.Outcome)
            .Add(record.Tokens).Add(record.Device)
            .Add(numbers.Of(record.Price)).Add(record.Charge).Add(numbers.Of(record.PoolRate)).Add(record.Cost).Add(record.Basis?.ToString()).Add(record.Upstream?.ToString()).Add(IdTime.IsInOrder(record.Id, record.CompletedAt)).Run();
        if (inserted == 1) rollups.Add(record, party, model, pool);
        else if (Settled(record.Id) != record) throw new StoreException($"The request {record.Id} is settled already with other figures: correct it by a reversing fact.");
    }

    public void Release(HoldReleased released)
    {
        OpenHold? open = Open(released.Id);
        if (open is null)
        {
            if (Released(released.Id)) return;
            throw new StoreException($"There is no open hold {released.Id} to release.");
        }
        if (open.Progress.Tokens != default || open.Progress.Device != default)
            throw new StoreException($"Under the hold {released.Id} something was used: settle it instead of releasing it.");
        database["DELETE FROM holds WHERE id = ?"].Add(released.Id.Value).Run();
        database["INSERT INTO releases (id, tenant, at, reason) VALUES (?, ?, ?, ?)"]
            .Add(released.Id.Value).Add(numbers.Of(open.Hold.Party.Tenant)).Add(released.At).Add(released.Reason).Run();
    }

    private static StoreException Taken(RequestId id) => new($"The request id {id} is taken by another request: make a new id.");

    private bool Ended(RequestId id, out UsageRecord? record)
    {
        record = Settled(id);
        return record is not null || Released(id);
    }

    private bool Released(RequestId id) => database["SELECT 1 FROM releases WHERE id = ?"].Add(id.Value).Scalar() is not null;

    private UsageRecord? Settled(RequestId id)
    {
        Statement rows = database[UsageRows.SelectById].Add(id.Value);
        UsageRecord? record = rows.Step() ? UsageRows.Read(rows, identities) : null;
        rows.Reset();
        return record;
    }

    private OpenHold? Open(RequestId id)
    {
        Statement rows = database[HoldRows.SelectById].Add(id.Value);
        OpenHold? hold = rows.Step() ? HoldRows.Read(rows, identities) : null;
        rows.Reset();
        return hold;
    }

    private const string InsertUsage = """
        INSERT INTO usage (id, placed_at, first_token_at, completed_at, tenant, project, key, user_tag, model, deployment, pool, operation, outcome,
          input, cache_read, cache_write, output, reasoning, prefill_ns, decode_ns,
          price, charge_milli, charge_pico, charge_currency, pool_rate, cost_milli, cost_pico, cost_currency, basis, upstream, in_order)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (id) DO NOTHING
        """;
}

/// <summary>Rows of open holds as the domain's records.</summary>
internal static class HoldRows
{
    private const string Columns = """
        SELECT id, placed_at, tenant, project, key, user_tag, model, deployment, pool, operation, price, amount_milli, amount_pico, amount_currency,
          input, cache_read, cache_write, output, reasoning, prefill_ns, decode_ns, upstream
        FROM holds
        """;
    public const string SelectAll = Columns + " ORDER BY placed_at, id";
    public const string SelectById = Columns + " WHERE id = ?";

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
        SELECT no, id, placed_at, first_token_at, completed_at, tenant, project, key, user_tag, model, deployment, pool, operation, outcome,
          input, cache_read, cache_write, output, reasoning, prefill_ns, decode_ns,
          price, charge_milli, charge_pico, charge_currency, pool_rate, cost_milli, cost_pico, cost_currency, basis, upstream
        FROM usage
        """;
    public const string SelectById = Columns + " WHERE id = ?";

    public static UsageRecord Read(Statement row, RowIdentities identities)
    {
        row.Skip(1);
        UsageRecord record = new(new RequestId(row.Guid()), row.Instant(), row.Instant(), row.Instant(),
            new Party(identities.Tenant(row.Long()), identities.Project(row.Long()), identities.Key(row.Long()), row.TextOrNull()),
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
