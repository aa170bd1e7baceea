using System.Buffers;

namespace Qanat.Gateway;

/// <summary>Cuts a stream of server-sent events, however its bytes arrive. Comments, names and ids are passed over; several data lines of one event are joined by a line break.</summary>
internal sealed class ServerSentEvents
{
    private readonly ArrayBufferWriter<byte> data = new();
    private bool hasData;

    /// <summary>Takes complete lines from the front of the buffer; true: they end an event, whose data is given. It is good until the next call.</summary>
    public bool TryRead(ref ReadOnlySequence<byte> buffer, bool isLast, out ReadOnlySpan<byte> eventData)
    {
        if (hasData is false) data.ResetWrittenCount();
        while (TryReadLine(ref buffer, isLast, out ReadOnlySequence<byte> line))
        {
            if (line.IsEmpty)
            {
                if (!hasData) continue;
                hasData = false;
                eventData = data.WrittenSpan;
                return true;
            }
            Take(line);
        }
        // A last event may lack its empty line.
        eventData = data.WrittenSpan;
        bool rest = isLast && hasData && buffer.IsEmpty;
        if (rest) hasData = false;
        return rest;
    }

    private static bool TryReadLine(ref ReadOnlySequence<byte> buffer, bool isLast, out ReadOnlySequence<byte> line)
    {
        SequenceReader<byte> reader = new(buffer);
        if (reader.TryReadTo(out line, (byte)'\n'))
        {
            buffer = buffer.Slice(reader.Position);
            if (!line.IsEmpty && line.Slice(line.Length - 1).FirstSpan[0] == (byte)'\r') line = line.Slice(0, line.Length - 1);
            return true;
        }
        if (!isLast || buffer.IsEmpty) return false;
        line = buffer;
        buffer = buffer.Slice(buffer.End);
        return true;
    }

    private void Take(in ReadOnlySequence<byte> line)
    {
        SequenceReader<byte> reader = new(line);
        if (!reader.IsNext("data:"u8, advancePast: true)) return;
        reader.IsNext((byte)' ', advancePast: true);
        if (hasData) data.Write("\n"u8);
        hasData = true;
        foreach (ReadOnlyMemory<byte> part in reader.UnreadSequence) data.Write(part.Span);
    }
}
