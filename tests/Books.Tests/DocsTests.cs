namespace Qanat.Books.Tests;

/// <summary>The figures in docs/books.md are made again: every block marked "ledger" is a case.</summary>
public class DocsTests
{
    [Fact]
    public async Task The_worked_month_of_the_guide_comes_out_as_written()
    {
        string text = await File.ReadAllTextAsync(Path.Combine(AppContext.BaseDirectory, "Docs", "books.md"), TestContext.Current.CancellationToken);
        string[] blocks = [.. text.Split("```ledger\n").Skip(1).Select(b => b.Split("\n```")[0])];
        Assert.NotEmpty(blocks);
        // The blocks follow each other: together they are one month.
        await LedgerTests.RunAsync("docs/books.md", string.Join('\n', blocks), new MemoryBookStore());
    }
}
