using System.Collections.Immutable;
using Microsoft.Data.Sqlite;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>Turns facts into rows. A batch is one transaction; a fact that is refused fails alone.</summary>
internal sealed class FactWriter
{
    private readonly SqliteDatabase _database;
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
    private StoreException? _broken;

    public FactWriter(SqliteDatabase database)
    {
        _database = database;
        _numbers = new RowNumbers(database);
        _identities = new RowIdentities(database);
        _usageRollups = new UsageRollups(database);
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
    public void Commit(IReadOnlyList<Fact> facts, Exception?[] outcomes)
    {
        if (_broken is not null) throw _broken;
        try
        {
            if (!TryCommitTogether(facts, out StoreException? refused))
            {
                if (facts.Count == 1) outcomes[0] = refused;
                else CommitOneByOne(facts, outcomes);
            }
        }
        catch (SqliteException failure)
        {
            Rollback();
            throw Failed(failure);
        }
        catch
        {
            Rollback();
            throw;
        }
    }

    /// <summary>The fast way: no savepoints. One refused fact undoes the whole batch.</summary>
    private bool TryCommitTogether(IReadOnlyList<Fact> facts, out StoreException? refused)
    {
        _database["BEGIN IMMEDIATE"].Run();
        refused = Refusal(() =>
        {
            foreach (Fact fact in facts) Write(fact);
        });
        if (refused is null) _database["COMMIT"].Run();
        else Rollback();
        return refused is null;
    }

    /// <summary>The slow way, after a refusal: each fact in its own savepoint, all in one transaction.</summary>
    private void CommitOneByOne(IReadOnlyList<Fact> facts, Exception?[] outcomes)
    {
        _database["BEGIN IMMEDIATE"].Run();
        for (int index = 0; index < facts.Count; index++)
        {
            Fact fact = facts[index];
            _database["SAVEPOINT fact"].Run();
            outcomes[index] = Refusal(() => Write(fact));
            if (outcomes[index] is not null)
            {
                Forget();
                _database["ROLLBACK TO fact"].Run();
            }
            _database["RELEASE fact"].Run();
        }
        _database["COMMIT"].Run();
    }

    /// <summary>Writes facts with their sums; why they are refused, or null when they are written.</summary>
    private StoreException? Refusal(Action write)
    {
        try
        {
            write();
            FlushRollups();
            return null;
        }
        catch (StoreException refused)
        {
            return refused;
        }
        catch (SqliteException constraint) when (constraint.SqliteErrorCode is SQLitePCL.raw.SQLITE_CONSTRAINT or SQLitePCL.raw.SQLITE_TOOBIG or SQLitePCL.raw.SQLITE_MISMATCH)
        {
            return new StoreException($"The fact breaks a rule of the books and is not stored: {constraint.Message}", constraint);
        }
        catch (OverflowException overflow)
        {
            return new StoreException("The fact, or a sum that it adds to, holds a figure too large to store.", overflow);
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
        FlushRollups();
        if (_demo.Remove(cleared) is not AuditEntry audit) return;
        _numbers.Forget();
        if (cleared.Replacement is Transaction replacement) _journal.Post(new TransactionPosted(replacement, []));
        _journal.Audit(audit);
    }

    /// <summary>What the writer remembers may never have been committed.</summary>
    private void Forget()
    {
        _numbers.Forget();
        _identities.Forget();
        _usageRollups.Forget();
        _entryRollups.Forget();
        _capacity.Forget();
    }

    private void FlushRollups()
    {
        _usageRollups.Flush();
        _entryRollups.Flush();
    }

    private void Rollback()
    {
        Forget();
        if (_database.InTransaction) _database["ROLLBACK"].Run();
    }

    /// <summary>A full disk may have room again later. After any other failure of the disk nobody knows what reached it: the store stops until it is opened again.</summary>
    private StoreException Failed(SqliteException failure)
    {
        if (failure.SqliteErrorCode == SQLitePCL.raw.SQLITE_FULL)
            return new StoreException("The disk is full and nothing was written: make room, then try again.", failure);
        StoreException broken = new($"The books could not be written ({failure.Message}): look at the disk, then start again.", failure);
        if (failure.SqliteErrorCode is SQLitePCL.raw.SQLITE_IOERR or SQLitePCL.raw.SQLITE_CORRUPT or SQLitePCL.raw.SQLITE_NOTADB) _broken = broken;
        return broken;
    }
}
