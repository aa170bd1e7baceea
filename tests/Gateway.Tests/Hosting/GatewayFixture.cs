namespace Qanat.Gateway.Tests;

/// <summary>One gateway for the tests of a class: they run one after the other, and each begins with a fresh script.</summary>
public sealed class GatewayFixture : IAsyncLifetime
{
    private TestGateway? gateway;

    public async ValueTask InitializeAsync() => gateway = await TestGateway.StartAsync();

    internal TestGateway Fresh()
    {
        gateway!.Script.Reset();
        return gateway;
    }

    public async ValueTask DisposeAsync() => await gateway!.DisposeAsync();
}
