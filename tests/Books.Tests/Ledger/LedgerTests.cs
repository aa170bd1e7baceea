namespace Qanat.Books.Tests;

/// <summary>Runs every case in Cases/*.ledger. After each posting, and at the end, all identities of the books must hold.</summary>
public class LedgerTests
{
    public static TheoryData<string> Cases => [.. Directory.EnumerateFiles(Folder, "*.ledger").Select(f => Path.GetFileName(f)).Order(StringComparer.Ordinal)];

    private static string Folder => Path.Combine(AppContext.BaseDirectory, "Cases");

    [Fact]
    public void There_are_cases() => Assert.NotEmpty(Cases);

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task The_ledger_case_holds(string file)
    {
        string text = await File.ReadAllTextAsync(Path.Combine(Folder, file), TestContext.Current.CancellationToken);
        await RunAsync(file, text, new MemoryBookStore());
    }

    /// <summary>Runs a case on a store.</summary>
    internal static async Task RunAsync(string file, string text, MemoryBookStore store)
    {
        var book = new LedgerBook(store);
        foreach (LedgerLine line in LedgerLine.ReadAll(file, text))
        {
            await RunAsync(line, book);
            line.EnsureAllUsed();
            if (line.Verb is "post" or "clear-demo" or "period-end" or "close") await EnsureSoundAsync(line, book);
        }
        await EnsureSoundAsync(null, book);
    }

    [Theory]
    [InlineData("price a from 2026-01-01 input 1 output 2 inputs 3")]
    [InlineData("price a from yesterday input 1 output 2")]
    [InlineData("expect charge nobody = 1")]
    [InlineData("requests r placed 2026-01-01 tenant t")]
    [InlineData("request r placed 2026-01-01")]
    [InlineData("request r placed 2026-01-01 tenant t device 2sec")]
    public async Task A_line_that_is_not_understood_fails_the_case(string text) =>
        await Assert.ThrowsAsync<FormatException>(async () =>
        {
            var book = new LedgerBook(new MemoryBookStore());
            foreach (LedgerLine line in LedgerLine.ReadAll("case", text))
            {
                await RunAsync(line, book);
                line.EnsureAllUsed();
            }
        });

    private static Task RunAsync(LedgerLine line, LedgerBook book)
    {
        switch (line.Verb)
        {
            case "currency": book.Currency = new Currency(line.Word(1)); return Task.CompletedTask;
            case "price": return book.AddPriceAsync(line);
            case "pool": return book.AddPoolAsync(line);
            case "run": return book.RunAsync(line);
            case "request" or "settle": return book.SettleAsync(line);
            case "open": return book.OpenAsync(line);
            case "recover": return book.RecoverAsync(line);
            case "post": return book.PostAsync();
            case "clear-demo": return book.ClearDemoAsync(line);
            case "expect": return LedgerExpectation.CheckAsync(line, book);
            case "send": return book.SendAsync(line);
            case "close": return book.CloseAsync(line);
            case "period-end": return book.EndPeriodAsync(line);
            default: return book.DeclareAsync(line);
        }
    }

    private static async Task EnsureSoundAsync(LedgerLine? line, LedgerBook book)
    {
        BooksReport report = await BooksCheck.RunAsync(book.Store);
        foreach (Identity identity in report.Identities.Where(i => !i.IsOk))
            Assert.Fail($"{line?.Place ?? "end of the case"}\n  {identity.Name} {identity.Subject}: {identity.LeftMeaning} {identity.LeftText}, {identity.RightMeaning} {identity.RightText}\n  {string.Join("\n  ", identity.Findings)}");
    }
}
