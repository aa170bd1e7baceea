using Qanat.Books;

namespace Qanat.Store;

/// <summary>Turns facts into rows. A batch is one transaction; a fact that is refused fails alone.</summary>
internal sealed class FactWriter
{
    private readonly SqlDatabase _database;
    private readonly RowNumbers _numbers;
    private readonly RowIdentities _identities;
    private readonly UsageRollups _usageRollups;
    private readonly EntryRollups _entryRollups;
    private readonly DirectoryFacts _directory;
    private readonly PriceFacts _prices;
    private readonly HoldFacts _holds;
    private readonly CapacityFacts _capacity;
    private readonly JournalFacts _journal;
    private readonly DemoRemoval _demo;
    private readonly DocumentFacts _documents;
    // Of the facts that are being written.
    private readonly HashSet<Guid> _touched = [], _transactions = [];
    private readonly Dictionary<Guid, Instant> _decided = [];
    private StoreException? _broken;

    public FactWriter(SqlDatabase database, StoreOptions options)
    {
        _database = database;
        _numbers = new RowNumbers(database);
        _identities = new RowIdentities(database);
        _usageRollups = new UsageRollups(database, options.UnsummedRecordsMax);
        _entryRollups = new EntryRollups(database);
        _directory = new DirectoryFacts(database, _numbers);
        _prices = new PriceFacts(database, _numbers, _identities);
        _holds = new HoldFacts(database, _numbers, _identities, _usageRollups);
        _capacity = new CapacityFacts(database, _numbers);
        _journal = new JournalFacts(database, _numbers, _identities, _entryRollups);
        _demo = new DemoRemoval(database, _numbers, _entryRollups);
        _documents = new DocumentFacts(database);
    }

    /// <summary>Commits all facts that can be; see <see cref="CommitBatch"/>.</summary>
    /// <exception cref="StoreException">Nothing of the batch could be written: the disk is full or failed.</exception>
    /// <param name="committing">Told when all is written and the commit begins: from then on a failure may come after it.</param>
    public void Commit(IReadOnlyList<Fact> facts, Exception?[] outcomes, Action? committing = null)
    {
        if (_broken is not null) throw _broken;
        bool removes = facts.Any(Removes);
        if (removes) _database.CheckReferences(ReferenceChecks.EachRow);
        try
        {
            if (!TryCommitTogether(facts, committing, out StoreException? refused))
            {
                if (facts.Count == 1) outcomes[0] = refused;
                else CommitOneByOne(facts, outcomes, committing);
            }
        }
        catch (Exception failure)
        {
            Rollback();
            _usageRollups.Lost();
            _holds.Lost();
            if (_database.Explain(failure) is not var (kind, message)) throw;
            StoreException failed = new(message, failure);
            if (kind == FailureKind.Broken) _broken = failed;
            throw failed;
        }
        finally
        {
            if (removes) _database.CheckReferences(ReferenceChecks.None);
        }
    }

    /// <summary>Whether rows may go that others refer to. All other facts only add rows, and what those refer to was looked up to know its number.</summary>
    private static bool Removes(Fact fact) => fact is DemoCleared || fact is Together together && together.Facts.Any(Removes);

    /// <summary>The fast way: no savepoints. One refused fact undoes the whole batch.</summary>
    private bool TryCommitTogether(IReadOnlyList<Fact> facts, Action? committing, out StoreException? refused)
    {
        _database.Begin();
        refused = Refusal(facts);
        if (refused is null) Commit(committing);
        else Rollback();
        return refused is null;
    }

    /// <summary>The slow way, after a refusal: each fact in its own savepoint, all in one transaction.</summary>
    private void CommitOneByOne(IReadOnlyList<Fact> facts, Exception?[] outcomes, Action? committing)
    {
        _database.Begin();
        for (int index = 0; index < facts.Count; index++)
        {
            _database["SAVEPOINT fact"].Run();
            outcomes[index] = Refusal([facts[index]]);
            if (outcomes[index] is not null)
            {
                Forget();
                _database["ROLLBACK TO SAVEPOINT fact"].Run();
            }
            _database["RELEASE SAVEPOINT fact"].Run();
        }
        Commit(committing);
    }

    private void Commit(Action? committing)
    {
        _usageRollups.Complete();
        committing?.Invoke();
        _database.Commit();
        _holds.Committed();
        _usageRollups.Committed();
    }

    /// <summary>Writes facts with their sums; why they are refused, or null when they are written.</summary>
    private StoreException? Refusal(IReadOnlyList<Fact> facts)
    {
        try
        {
            Load(facts);
            foreach (Fact fact in facts) Write(fact);
            Flush();
            return null;
        }
        catch (StoreException refused)
        {
            return refused;
        }
        catch (OverflowException overflow)
        {
            return new StoreException("The fact, or a sum that it adds to, holds a figure too large to store.", overflow);
        }
        catch (Exception failure) when (_database.Explain(failure) is (FailureKind.Refused, var message))
        {
            return new StoreException($"The fact breaks a rule of the books and is not stored: {message}", failure);
        }
    }

    /// <summary>Reads what the books know of the requests and transactions that facts are about.</summary>
    private void Load(IReadOnlyList<Fact> facts)
    {
        _touched.Clear();
        _transactions.Clear();
        _decided.Clear();
        foreach (Fact fact in facts) Collect(fact);
        _usageRollups.Load();
        _holds.Load(_touched, _decided);
        _journal.Load(_transactions);
    }

    private void Collect(Fact fact)
    {
        switch (fact)
        {
            case StepsMetered steps: foreach (UsageProgress progress in steps.Progress) _touched.Add(progress.Id.Value); break;
            case HoldPlaced placed: _decided[placed.Hold.Id.Value] = placed.Hold.PlacedAt; break;
            case HoldSettled settled: _decided[settled.Record.Id.Value] = settled.Record.CompletedAt; break;
            case HoldExtended extended: _decided.TryAdd(extended.Id.Value, default); break;
            case HoldMoved moved: _decided.TryAdd(moved.Id.Value, default); break;
            case HoldReleased released: _decided[released.Id.Value] = released.At; break;
            case TransactionPosted posted: _transactions.Add(posted.Transaction.Id.Value); break;
            case DemoCleared { Replacement: Transaction replacement }: _transactions.Add(replacement.Id.Value); break;
            case Together together: foreach (Fact part in together.Facts) Collect(part); break;
        }
    }

    private void Write(Fact fact)
    {
        switch (fact)
        {
            case StepsMetered steps: Write(steps); break;
            case HoldPlaced placed: _holds.Place(placed.Hold); break;
            case HoldSettled settled: _holds.Settle(settled.Record); break;
            case HoldExtended extended: _holds.Extend(extended); break;
            case HoldMoved moved: _holds.Move(moved); break;
            case HoldReleased released: _holds.Release(released); break;
            case TransactionPosted posted: _journal.Post(posted); break;
            case DocumentChange change: _documents.Write(change); break;
            case Audited audited: _journal.Audit(audited.Entry); break;
            case TenantSaved saved: _directory.Save(saved.Tenant); break;
            case ProjectSaved saved: _directory.Save(saved.Project); break;
            case KeySaved saved: _directory.Save(saved.Key); break;
            case PriceAdded added: _prices.Add(added.Version); break;
            case PoolRateAdded added: _prices.Add(added.Rate); break;
            case Declared declared: _journal.Declare(declared.Declaration); break;
            case DemoCleared cleared: Write(cleared); break;
            case Together together: foreach (Fact part in together.Facts) Write(part); break;
            default: throw new StoreException($"This store does not know the fact {fact.GetType().Name}: it was made by a newer Qanat.");
        }
    }

    private void Write(StepsMetered steps)
    {
        foreach (UsageProgress progress in steps.Progress) _holds.Progress(progress);
        foreach (CapacityRecord record in steps.Capacity) _capacity.Add(record);
    }

    private void Write(DemoCleared cleared)
    {
        WriteRows();
        if (_demo.Remove(cleared) is not AuditEntry audit) return;
        _numbers.Forget();
        _usageRollups.Removed();
        if (cleared.Replacement is Transaction replacement) _journal.Post(new TransactionPosted(replacement, []));
        _journal.Audit(audit);
    }

    /// <summary>Everything of some facts is written. What the writer remembers of it changes last: until then, any of it may be refused and undone.</summary>
    private void Flush()
    {
        WriteRows();
        _usageRollups.Flush();
        _holds.Accept();
    }

    /// <summary>Usage goes before what posts it.</summary>
    private void WriteRows()
    {
        _holds.Flush();
        _capacity.Flush();
        _journal.Flush();
        _entryRollups.Flush();
    }

    /// <summary>What the writer remembers may never have been committed.</summary>
    private void Forget()
    {
        _numbers.Forget();
        _identities.Forget();
        _usageRollups.Forget();
        _entryRollups.Forget();
        _capacity.Forget();
        _holds.Forget();
        _journal.Forget();
    }

    private void Rollback()
    {
        Forget();
        _holds.RolledBack();
        _usageRollups.RolledBack();
        if (_database.InTransaction) _database.Rollback();
    }
}
