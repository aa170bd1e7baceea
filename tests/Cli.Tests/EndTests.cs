namespace Qanat.Cli.Tests;

/// <summary>What a command's end says to whoever started it.</summary>
public sealed class EndTests
{
    [Fact]
    public async Task Failures_with_a_sentence_of_their_own_end_with_1_and_others_are_not_hidden()
    {
        InvalidOperationException refused = new("QANAT_CPU_TIER is \"fast\"; it must be one of Scalar, Avx2");
        foreach (Exception failure in (Exception[])[new CommandException("There is no such tenant."), new IOException("The disk is full."), new TypeInitializationException("Kernels", new TypeInitializationException("Tiers", refused))])
            Assert.Equal((failure, 1), (failure, await Shared.RunAsync(() => Task.FromException(failure))));
        Assert.Equal(130, await Shared.RunAsync(() => Task.FromException(new OperationCanceledException())));
        Assert.Equal(0, await Shared.RunAsync(() => Task.CompletedTask));
        await Assert.ThrowsAsync<InvalidOperationException>(() => Shared.RunAsync(() => Task.FromException(refused)));
        await Assert.ThrowsAsync<TypeInitializationException>(() => Shared.RunAsync(() => Task.FromException(new TypeInitializationException("Kernels", new ArgumentException("something else")))));
    }
}
