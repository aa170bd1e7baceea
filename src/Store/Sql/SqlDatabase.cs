using Qanat.Books;

namespace Qanat.Store;

/// <summary>What a failure of the database means for the facts that were being written.</summary>
internal enum FailureKind
{
    /// <summary>A rule of the schema is broken: the fact is refused, the others can go on.</summary>
    Refused,

    /// <summary>Nothing was written; it may work later.</summary>
    NotNow,

    /// <summary>Nobody knows what reached the disk: nothing more is written until the store is opened again.</summary>
    Broken,
}

/// <summary>Whether the database itself looks up what a row that is written refers to, and what refers to a row that is removed.</summary>
internal enum ReferenceChecks { None, EachRow }

/// <summary>One connection with its prepared statements. Used by one thread at a time. All SQL that runs on both engines is written once, with ? for parameters, in the words that both understand.</summary>
internal abstract class SqlDatabase : IDisposable
{
    /// <summary>The statement for this text, prepared once per connection and ready to be bound.</summary>
    public abstract Statement this[string sql] { get; }

    /// <summary>The same for a query whose rows may not fit in memory.</summary>
    public abstract Statement Streamed(string sql);

    /// <summary>Rows for a table: the fastest way to write many. Flush before asking for them.</summary>
    /// <param name="columns">Names, separated by commas.</param> <param name="conflict">ON CONFLICT ..., or nothing.</param>
    public abstract IRowWriter Rows(string table, string columns, string conflict = "");

    /// <summary>The rows of a query whose id is one of these, in any order.</summary>
    /// <param name="select">Up to and without WHERE.</param>
    public abstract IEnumerable<Statement> WithIds(string select, IReadOnlyCollection<Guid> ids);

    /// <summary>The rows of a query in which a column is one of these.</summary>
    /// <param name="order">ORDER BY ..., or nothing: of the rows with one number.</param>
    public abstract IEnumerable<Statement> WithNumbers(string select, string column, IReadOnlyCollection<long> numbers, string order = "");

    public abstract void DeleteWithIds(string table, IReadOnlyCollection<Guid> ids);

    /// <summary>Whether usage_of_tenants is a table, written in bulk with the sums, and not what an index knows.</summary>
    public virtual bool KeepsUsageOfTenants => false;

    /// <summary>There is no way to a server, so that a statement for each row costs no more than one for many.</summary>
    public virtual bool IsInProcess => false;

    /// <summary>True inside a transaction; a database leaves it by itself after some failures, such as a full disk.</summary>
    public abstract bool InTransaction { get; }

    /// <summary>What the engine finds wrong with its own files and references, a sentence each.</summary>
    public abstract IEnumerable<string> CheckFile();

    /// <summary>For the transactions from now on, where the engine can.</summary>
    public virtual void CheckReferences(ReferenceChecks checks)
    {
    }

    public abstract void Begin();
    public abstract void Commit();
    public abstract void Rollback();

    /// <summary>From now on all statements see the books as of one commit, until <see cref="Rollback"/>.</summary>
    public abstract void BeginSnapshot();

    public abstract void Execute(string sql);

    /// <summary>What an exception of this engine means, and the sentence that says so; null: it is not the engine's.</summary>
    public abstract (FailureKind Kind, string Message)? Explain(Exception failure);

    /// <summary>Lets <paramref name="cancel"/> interrupt a statement in the middle.</summary>
    protected abstract void Interrupt();

    public abstract void Dispose();

    /// <exception cref="StoreException">The database could not be read, or a sum is beyond 64 bits.</exception>
    public T Reading<T>(Func<T> query, CancellationToken cancel)
    {
        using CancellationTokenRegistration interrupt = cancel.Register(Interrupt);
        try
        {
            return query();
        }
        catch (Exception failure) when (Explain(failure) is not null)
        {
            cancel.ThrowIfCancellationRequested();
            throw new StoreException($"The books could not be read: {failure.Message}", failure);
        }
    }
}
