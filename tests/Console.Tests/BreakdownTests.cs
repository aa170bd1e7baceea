using Qanat.Books;

namespace Qanat.Console.Tests;

/// <summary>Any dimensions together break the profit and loss down, and each row leads to its own entries and requests.</summary>
public sealed class BreakdownTests
{
    private static readonly PeriodChoice All = PeriodChoice.Parse("all", TimeProvider.System);

    [Theory]
    [InlineData(null, "tenant", "Tenant")]
    [InlineData("nothing known", "tenant", "Tenant")]
    [InlineData("model", "model", "Model")]
    [InlineData("hour,model,tenant", "tenant,model,hour", "Tenant, model and hour")]
    [InlineData("pool,tenant", "tenant,pool", "Tenant and pool")]
    public void An_address_names_dimensions_in_any_order(string? address, string text, string label)
    {
        Breakdown by = Breakdown.Parse(address);
        Assert.Equal(text, by.Text);
        Assert.Equal(label, by.Label);
    }

    [Fact]
    public void A_dimension_is_taken_in_and_left_out_and_the_last_one_stays()
    {
        BreakdownDimension tenant = Breakdown.Dimensions[0], model = Breakdown.Dimensions.Single(each => each.Text == "model");
        Breakdown both = Breakdown.Parse("tenant").Toggle(model);
        Assert.Equal("tenant,model", both.Text);
        Assert.Equal("model", both.Toggle(tenant).Text);
        Assert.Equal("model", both.Toggle(tenant).Toggle(model).Text);
    }

    [Fact]
    public void An_hour_takes_the_place_of_a_day()
    {
        BreakdownDimension day = Breakdown.Dimensions.Single(each => each.Text == "day"), hour = Breakdown.Dimensions.Single(each => each.Text == "hour");
        Assert.Equal("model,hour", Breakdown.Parse("model,day").Toggle(hour).Text);
        Assert.Equal("model,day", Breakdown.Parse("model,hour").Toggle(day).Text);
    }

    [Fact]
    public void The_requests_behind_a_row_are_those_of_its_hour_and_its_pool()
    {
        Instant at = Instant.From(new DateTimeOffset(2026, 11, 22, 13, 0, 0, TimeSpan.Zero));
        GroupKey key = new(null, null, new ModelName("m/1"), new PoolName("upstream/gpu 1"), at);
        Breakdown by = Breakdown.Parse("model,pool,hour");
        PeriodChoice inside = by.PeriodOf(key, All);
        Assert.Equal("/requests?period=2026-11-22T13&model=m%2F1&pool=upstream%2Fgpu%201", Breakdown.RequestsHref(key, inside));
        Assert.Equal(inside, PeriodChoice.Parse(inside.Text, TimeProvider.System));
        Assert.Equal(Instant.NanosecondsPerHour, inside.Period.To.UnixNanoseconds - inside.Period.From.UnixNanoseconds);
        Assert.Equal("2026-11-22..2026-11-22", Breakdown.Parse("day").PeriodOf(key, All).Text);
        Assert.Equal(All, Breakdown.Parse("model").PeriodOf(key with { Start = null }, All));
    }
}
