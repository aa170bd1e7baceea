using System.Buffers;
using CsCheck;

namespace Qanat.Gateway.Tests;

public sealed class AnswerBytesTests
{
    /// <summary>Whatever pieces they come in, and however many are kept of what is not taken yet.</summary>
    [Fact]
    public async Task All_bytes_come_in_their_order_and_what_is_kept_stays()
    {
        await Gen.Select(Gen.Byte.Array[0, 30_000], Gen.Int[1, 9_000], Gen.Int[0, 6_000], Gen.Bool).SampleAsync(async (all, piece, kept, isStream) =>
        {
            using AnswerBytes bytes = new(new Pieces(all, piece), isStream);
            List<byte> taken = [];
            bool more = true;
            while (more)
            {
                more = await bytes.ReadAsync(CancellationToken.None);
                byte[] unread = bytes.Unread.ToArray();
                int keep = more ? Math.Min(kept, unread.Length) : 0;
                taken.AddRange(unread[..^keep]);
                bytes.KeepLast(keep);
            }
            Assert.Equal(all, taken);
        }, iter: 200);
    }

    [Fact]
    public async Task A_stream_is_read_into_a_buffer_only_once_something_has_come()
    {
        Pieces stream = new([1, 2, 3], 2);
        using AnswerBytes bytes = new(stream, waitsEmpty: true);
        Assert.True(await bytes.ReadAsync(CancellationToken.None));
        Assert.Equal(1, stream.EmptyReads);
        bytes.KeepLast(1);
        // What is kept needs its buffer.
        Assert.True(await bytes.ReadAsync(CancellationToken.None));
        Assert.Equal(1, stream.EmptyReads);
        Assert.Equal([2, 3], bytes.Unread.ToArray());
        bytes.KeepLast(0);
        Assert.False(await bytes.ReadAsync(CancellationToken.None));
        Assert.Equal(2, stream.EmptyReads);
    }

    private sealed class Pieces(byte[] all, int most) : MemoryStream(all)
    {
        public int EmptyReads { get; private set; }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (buffer.IsEmpty) EmptyReads++;
            return base.ReadAsync(buffer[..Math.Min(most, buffer.Length)], cancellationToken);
        }
    }
}
