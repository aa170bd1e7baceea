using System.Collections.Immutable;
using System.Net;
using System.Security.Cryptography;
using Qanat.Books;

namespace Qanat.Gateway.Tests;

/// <summary>Where the next call goes, and when an upstream is left alone.</summary>
public sealed class RoutingTests
{
    private static readonly ModelName Model = new("m");
    private readonly ManualClock clock = new();
    private readonly UpstreamOptions options = new();

    private UpstreamTarget Target(string name, int weight = 1, int rank = 0, int concurrent = 100_000)
    {
        UpstreamSpec spec = new(name, UpstreamProtocol.OpenAi, new Uri("http://127.0.0.1:1/v1"), [new UpstreamModel(Model, "m", null)]) { Weight = weight, Rank = rank, ConcurrentMax = concurrent };
        return new UpstreamTarget(new UpstreamState(spec, options, clock), spec.Models[0], new UpstreamLink(spec, null, options, clock));
    }

    private UpstreamSet Set(RoutePolicy policy, params UpstreamTarget[] targets) => new(new UpstreamRoute(Model, policy, []), [.. targets], options);

    [Fact]
    public void By_weight_each_gets_its_part_in_turn()
    {
        UpstreamSet set = Set(RoutePolicy.Weighted, Target("a", 5), Target("b", 1), Target("c", 1));
        string order = string.Concat(Enumerable.Range(0, 14).Select(_ => set.Enter(1, [])!.Spec.Name));
        Assert.Equal("aabacaaaabacaa", order);
    }

    [Fact]
    public void By_load_the_one_with_the_fewest_calls_for_its_weight_is_next()
    {
        UpstreamTarget a = Target("a", 2), b = Target("b", 1);
        UpstreamSet set = Set(RoutePolicy.LeastLoaded, a, b);
        for (int call = 0; call < 9; call++) set.Enter(1, []);
        Assert.Equal((6, 3), (a.State.Running, b.State.Running));
    }

    [Fact]
    public void Sessions_stay_where_they_are_and_only_those_of_one_that_goes_move()
    {
        UpstreamTarget[] targets = [Target("a"), Target("b"), Target("c"), Target("d")];
        string Of(UpstreamSet set, ulong session)
        {
            UpstreamTarget target = set.Enter(session, [])!;
            target.State.Left();
            return target.Spec.Name;
        }
        UpstreamSet all = Set(RoutePolicy.Prefix, targets), fewer = Set(RoutePolicy.Prefix, targets[..3]);
        Dictionary<ulong, string> before = Enumerable.Range(1, 1_000).ToDictionary(session => (ulong)session, session => Of(all, (ulong)session));
        Assert.All(before, pair => Assert.Equal(pair.Value, Of(all, pair.Key)));
        Assert.All(before.Where(pair => pair.Value != "d"), pair => Assert.Equal(pair.Value, Of(fewer, pair.Key)));
        Assert.All(before.GroupBy(pair => pair.Value), group => Assert.InRange(group.Count(), 200, 300));
    }

    [Fact]
    public void A_session_too_many_goes_elsewhere_when_its_upstream_has_far_more_than_its_part()
    {
        UpstreamTarget a = Target("a"), b = Target("b");
        UpstreamSet set = Set(RoutePolicy.Prefix, a, b);
        for (int call = 0; call < 100; call++) set.Enter(42, []);
        Assert.InRange(Math.Max(a.State.Running, b.State.Running), 51, 80);
    }

    [Fact]
    public void A_higher_rank_serves_only_while_no_lower_one_can()
    {
        UpstreamTarget first = Target("first", concurrent: 1), spare = Target("spare", rank: 1);
        UpstreamSet set = Set(RoutePolicy.Weighted, spare, first);
        Assert.Same(first, set.Enter(1, []));
        Assert.Same(spare, set.Enter(1, []));
        first.State.Left();
        Assert.Same(first, set.Enter(1, []));
    }

    [Fact]
    public void After_failures_in_a_row_it_rests_then_one_call_tries_it()
    {
        UpstreamTarget target = Target("a");
        for (int failure = 0; failure < options.FailuresMax; failure++)
        {
            Assert.True(target.State.TryEnter());
            target.State.Failed("down");
        }
        Assert.False(target.State.TryEnter());
        clock.Advance(options.Rest);
        Assert.True(target.State.TryEnter());
        Assert.False(target.State.TryEnter());
        target.State.Failed("still down");
        clock.Advance(options.Rest);
        Assert.False(target.State.TryEnter());
        clock.Advance(options.Rest);
        Assert.True(target.State.TryEnter());
        target.State.Succeeded();
        Assert.True(target.State.Health.IsUp);
        Assert.True(target.State.TryEnter());
    }

    [Fact]
    public void A_check_that_fails_closes_it_and_one_that_succeeds_opens_it()
    {
        UpstreamTarget target = Target("a");
        target.State.Checked("refused");
        Assert.False(target.State.TryEnter());
        target.State.Checked(null);
        Assert.True(target.State.TryEnter());
    }

    [Theory]
    [InlineData("8.8.8.8", true)]
    [InlineData("2606:4700::1111", true)]
    [InlineData("127.0.0.1", false)]
    [InlineData("10.1.2.3", false)]
    [InlineData("172.20.0.1", false)]
    [InlineData("192.168.1.1", false)]
    [InlineData("169.254.169.254", false)]
    [InlineData("100.64.0.1", false)]
    [InlineData("0.0.0.0", false)]
    [InlineData("255.255.255.255", false)]
    [InlineData("::1", false)]
    [InlineData("::", false)]
    [InlineData("fe80::1", false)]
    [InlineData("fd00::1", false)]
    [InlineData("::ffff:10.0.0.1", false)]
    [InlineData("64:ff9b::a00:1", false)]
    [InlineData("64:ff9b::808:808", true)]
    [InlineData("2002:a00:1::", false)]
    public void Private_addresses_are_known_however_they_are_written(string address, bool isPublic) => Assert.Equal(isPublic, OutsideAddresses.IsPublic(IPAddress.Parse(address)));

    [Theory]
    [InlineData("localhost")]
    [InlineData("127.0.0.1")]
    public async Task A_private_address_is_connected_to_only_where_the_operator_allows_it(string host)
    {
        HttpRequestException error = await Assert.ThrowsAsync<HttpRequestException>(async () => await OutsideAddresses.ConnectAsync(new DnsEndPoint(host, 1), OutsideAddresses.IsPublic, TestContext.Current.CancellationToken));
        Assert.Contains("private", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_secret_opens_with_its_key_for_its_owner_only()
    {
        string folder = Directory.CreateTempSubdirectory("qanat-secret").FullName;
        string file = Path.Combine(folder, "secrets.key");
        byte[] first = SecretBox.Open(file).Seal("gpu-1", "sk-secret"), second = SecretBox.Open(file).Seal("gpu-1", "sk-secret");
        Assert.NotEqual(first, second);
        Assert.Equal("sk-secret", SecretBox.Open(file).Unseal("gpu-1", first));
        Assert.ThrowsAny<CryptographicException>(() => SecretBox.Open(file).Unseal("gpu-2", first));
        first[^1] ^= 1;
        Assert.ThrowsAny<CryptographicException>(() => SecretBox.Open(file).Unseal("gpu-1", first));
        if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        File.WriteAllBytes(file, [1, 2, 3]);
        Assert.Throws<InvalidDataException>(() => SecretBox.Open(file));
        Directory.Delete(folder, recursive: true);
    }
}
