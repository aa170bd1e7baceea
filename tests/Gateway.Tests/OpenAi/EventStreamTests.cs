using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway.Tests;

public sealed class EventStreamTests
{
    [Fact]
    public async Task Many_pieces_of_an_open_stream_share_one_timer_and_a_stream_that_has_ended_leaves_none()
    {
        CountedTimers clock = new();
        using (EventStream stream = new(new DefaultHttpContext().Response, StreamFraming.Events, TimeSpan.FromSeconds(10), clock))
        {
            await WaitAsync();
            Assert.Equal(0, clock.Made);
            stream.Open();
            for (int piece = 0; piece < 3; piece++) await WaitAsync();
            Assert.Equal((1, 1), (clock.Made, clock.Kept));

            async Task WaitAsync()
            {
                TaskCompletionSource<bool> next = new();
                Task<bool> waiting = stream.WaitAsync(new ValueTask<bool>(next.Task), TestContext.Current.CancellationToken).AsTask();
                next.SetResult(true);
                Assert.True(await waiting);
            }
        }
        Assert.Equal((1, 0), (clock.Made, clock.Kept));
    }

    [Fact]
    public void A_stream_that_never_waited_has_no_timer()
    {
        CountedTimers clock = new();
        using (EventStream stream = new(new DefaultHttpContext().Response, StreamFraming.Events, TimeSpan.FromSeconds(10), clock)) stream.WriteDone();
        Assert.Equal(0, clock.Made);
    }

    /// <summary>Timers that never run out.</summary>
    private sealed class CountedTimers : TimeProvider
    {
        public int Made { get; private set; }
        public int Kept { get; private set; }

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            (Made, Kept) = (Made + 1, Kept + 1);
            return new Counted(this);
        }

        private sealed class Counted(CountedTimers of) : ITimer
        {
            private bool ended;

            public bool Change(TimeSpan dueTime, TimeSpan period) => !ended;

            public void Dispose()
            {
                if (!ended) of.Kept--;
                ended = true;
            }

            public ValueTask DisposeAsync()
            {
                Dispose();
                return ValueTask.CompletedTask;
            }
        }
    }
}
