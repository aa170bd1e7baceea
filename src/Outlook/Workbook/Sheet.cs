using System.Globalization;

namespace Qanat.Outlook;

/// <summary>How a cell looks: inputs are blue, what is computed from them is black.</summary>
internal enum CellStyle { Text, Header, Note, InputNumber, InputPercent, Number, Percent, Title, Check }

internal enum CellKind { Text, Number, Formula }

/// <summary>Text, a number, or a formula with the value it has now.</summary>
internal readonly record struct Cell(CellKind Kind, string Text, double Value, CellStyle Style)
{
    public static Cell Words(string text, CellStyle style = CellStyle.Text) => new(CellKind.Text, text, 0, style);
    public static Cell Figure(double value, CellStyle style) => double.IsFinite(value) ? new(CellKind.Number, "", value, style) : Words(double.IsNaN(value) ? "" : "unlimited", CellStyle.Note);
    public static Cell Formula(string formula, double value, CellStyle style) => new(CellKind.Formula, formula, value, style);
}

/// <summary>One sheet: cells by row and column, both from 1.</summary>
internal sealed class Sheet(string name, params double[] columnWidths)
{
    private readonly SortedDictionary<int, SortedDictionary<int, Cell>> _rows = [];

    public string Name { get; } = name;
    public IReadOnlyList<double> ColumnWidths { get; } = columnWidths;
    public IReadOnlyDictionary<int, SortedDictionary<int, Cell>> Rows => _rows;
    public int NextRow { get; private set; } = 1;

    /// <summary>Adds a row below the last one and returns its number.</summary>
    public int Add(params Cell[] cells)
    {
        int row = NextRow++;
        _rows[row] = [];
        for (int i = 0; i < cells.Length; i++) _rows[row][i + 1] = cells[i];
        return row;
    }

    public void Skip() => NextRow++;

    /// <summary>$B$7 on this sheet, 'Sheet'!$B$7 from others.</summary>
    public string Reference(int row, int column) => $"'{Name}'!{Address(row, column)}";

    public static string Address(int row, int column) => $"${ColumnName(column)}${row.ToString(CultureInfo.InvariantCulture)}";

    public static string ColumnName(int column)
    {
        string name = "";
        for (; column > 0; column = (column - 1) / 26) name = (char)('A' + (column - 1) % 26) + name;
        return name;
    }
}
