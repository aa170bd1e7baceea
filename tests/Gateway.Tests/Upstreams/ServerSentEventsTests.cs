using System.Buffers;
using System.Text;

namespace Qanat.Gateway.Tests;

public sealed class ServerSentEventsTests
{
    private const string Stream = "data:x\n\ndata:\n\ndata: \n\ndata:  y\n\n: a comment\n\ndata: a\r\n\r\ndata: b\r\n\ndata: c\n\r\ndata: d\ndata: e\n\nevent: f\ndata: g\nid: 1\n\ndatab\n\ndata: \r\n\n\n\ndata: {\"h\":\"data: i\"}\n\ndata: rest";
    private static readonly string[] s_told = ["x", "", "", " y", "a", "b", "c", "d\ne", "g", "", "{\"h\":\"data: i\"}", "rest"];

    [Fact]
    public void Events_are_told_the_same_wherever_the_bytes_arrive_in_parts_and_wherever_these_lie_in_memory()
    {
        byte[] bytes = Encoding.UTF8.GetBytes(Stream);
        for (int cut = 0; cut <= bytes.Length; cut++)
        {
            Assert.Equal(s_told, Read(new ReadOnlySequence<byte>(bytes, 0, cut), new ReadOnlySequence<byte>(bytes)));
            Assert.Equal(s_told, Read(InTwo(bytes, cut)));
        }
    }

    /// <param name="arrived">All that has come so far, each time; the last time all of it.</param>
    private static List<string> Read(params ReadOnlySequence<byte>[] arrived)
    {
        ServerSentEvents lines = new();
        List<string> told = [];
        long taken = 0;
        for (int part = 0; part < arrived.Length; part++)
        {
            ReadOnlySequence<byte> buffer = arrived[part].Slice(taken);
            while (lines.TryRead(ref buffer, part == arrived.Length - 1, out ReadOnlySpan<byte> data)) told.Add(Encoding.UTF8.GetString(data));
            taken = arrived[part].Length - buffer.Length;
        }
        return told;
    }

    private static ReadOnlySequence<byte> InTwo(byte[] bytes, int cut)
    {
        Segment first = new(bytes.AsMemory(0, cut)), last = first.Append(bytes.AsMemory(cut));
        return new ReadOnlySequence<byte>(first, 0, last, last.Memory.Length);
    }

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        public Segment(ReadOnlyMemory<byte> memory, long before = 0) => (Memory, RunningIndex) = (memory, before);

        public Segment Append(ReadOnlyMemory<byte> memory)
        {
            Segment next = new(memory, RunningIndex + Memory.Length);
            Next = next;
            return next;
        }
    }
}
