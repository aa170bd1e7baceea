using Microsoft.Extensions.Logging.Abstractions;
using Qanat.Books;
using Qanat.MockUpstream;

namespace Qanat.Gateway.Tests;

public sealed class ServingBesideBooksTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Calls_are_served_and_settled_while_the_books_are_read_and_the_reader_does_not_see_them()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        await fixture.AddAsync("gpu-1", _ => new MockPlan { Tokens = 5 });
        await fixture.RunAsync(fixture.Chat());
        using BooksPoster poster = new(fixture.Store, new LiveMeter(TimeProvider.System), TimeProvider.System, NullLogger<BooksPoster>.Instance);
        BooksReport report = await poster.PostThenAsync(async books =>
        {
            // A whole call, and a posting of it, while this check is under way.
            await fixture.RunAsync(fixture.Chat());
            await poster.PostNowAsync(Cancel);
            Assert.Single(await books.ReadUsageAsync(new UsageQuery(Period.All), Cancel));
            return await BooksCheck.RunAsync(books, Cancel);
        }, Cancel);
        Assert.True(report.IsOk, string.Join('\n', report.Identities.Where(identity => !identity.IsOk)));
        Assert.Equal(1, report.Identities.Single(identity => identity.Name == "no request is settled twice").Left);
        Assert.Equal(2, (await fixture.Store.ReadUsageAsync(new UsageQuery(Period.All), Cancel)).Length);
        await fixture.AssertSoundAsync();
    }
}
