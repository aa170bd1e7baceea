using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Qanat.Store;

/// <summary>The few functions of SQLite that run for each row and each column, called without the layers that guard handles: those took longer than most functions themselves. Each that a collection waits for ends within a
/// fraction of a microsecond and waits for nobody, since a connection is one thread's at a time.</summary>
internal static unsafe partial class NativeSqlite
{
    private const string Library = "e_sqlite3";

    /// <summary>SQLite copies what it is given before the call ends.</summary>
    private const nint Transient = -1;

    /// <summary>May take its time, so that a collection does not wait for it.</summary>
    [LibraryImport(Library, EntryPoint = "sqlite3_step")]
    public static partial int Step(nint statement);

    [LibraryImport(Library, EntryPoint = "sqlite3_reset")]
    public static partial int Reset(nint statement);

    [LibraryImport(Library, EntryPoint = "sqlite3_bind_int64")]
    [SuppressGCTransition]
    public static partial int Bind(nint statement, int index, long value);

    [LibraryImport(Library, EntryPoint = "sqlite3_bind_null")]
    [SuppressGCTransition]
    public static partial int BindNull(nint statement, int index);

    [LibraryImport(Library, EntryPoint = "sqlite3_column_int64")]
    [SuppressGCTransition]
    public static partial long ColumnLong(nint statement, int column);

    [LibraryImport(Library, EntryPoint = "sqlite3_column_type")]
    [SuppressGCTransition]
    public static partial int ColumnType(nint statement, int column);

    public static int BindBlob(nint statement, int index, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes) return BindBlob(statement, index, start, bytes.Length, Transient);
    }

    public static int BindText(nint statement, int index, ReadOnlySpan<byte> utf8)
    {
        fixed (byte* start = utf8) return BindText(statement, index, start, utf8.Length, Transient);
    }

    /// <summary>Bytes or text, as long as the row is not left.</summary>
    public static ReadOnlySpan<byte> ColumnBytes(nint statement, int column)
    {
        // In this order: the first may turn the value into bytes, the second then tells how many.
        byte* start = ColumnBlob(statement, column);
        return new ReadOnlySpan<byte>(start, ColumnLength(statement, column));
    }

    [LibraryImport(Library, EntryPoint = "sqlite3_bind_blob")]
    [SuppressGCTransition]
    private static partial int BindBlob(nint statement, int index, byte* bytes, int length, nint destructor);

    [LibraryImport(Library, EntryPoint = "sqlite3_bind_text")]
    [SuppressGCTransition]
    private static partial int BindText(nint statement, int index, byte* utf8, int length, nint destructor);

    [LibraryImport(Library, EntryPoint = "sqlite3_column_blob")]
    [SuppressGCTransition]
    private static partial byte* ColumnBlob(nint statement, int column);

    [LibraryImport(Library, EntryPoint = "sqlite3_column_bytes")]
    [SuppressGCTransition]
    private static partial int ColumnLength(nint statement, int column);
}
