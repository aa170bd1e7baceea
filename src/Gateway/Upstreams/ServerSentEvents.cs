using System.Buffers;

namespace Qanat.Gateway;

/// <summary>Cuts a stream of server-sent events, however its bytes arrive. Comments, names and ids are passed over; several data lines of one event are joined by a line break.</summary>
internal sealed class ServerSentEvents
{
    private readonly ArrayBufferWriter<byte> data = new();
    private bool hasData;

    private static ReadOnlySpan<byte> Data => "data:"u8;

    /// <summary>Takes complete lines from the front of the buffer; true: they end an event, whose data is given. It is good until the next call, and as long as the buffer.</summary>
    public bool TryRead(ref ReadOnlySequence<byte> buffer, bool isLast, out ReadOnlySpan<byte> eventData)
    {
        if (hasData is false)
        {
            if (TryReadPlain(ref buffer, out eventData)) return true;
            data.ResetWrittenCount();
        }
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

    /// <summary>What nearly all events are: one line of data and an empty one, both there. The data stays where it is.</summary>
    private static bool TryReadPlain(ref ReadOnlySequence<byte> buffer, out ReadOnlySpan<byte> eventData)
    {
        ReadOnlySpan<byte> bytes = buffer.FirstSpan;
        int end = bytes.StartsWith(Data) ? bytes.IndexOf((byte)'\n') : -1;
        if (end < 0 || end + 1 == bytes.Length || bytes[end + 1] != (byte)'\n' || bytes[end - 1] == (byte)'\r')
        {
            eventData = default;
            return false;
        }
        eventData = bytes[(bytes[Data.Length] == (byte)' ' ? Data.Length + 1 : Data.Length)..end];
        buffer = buffer.Slice(end + 2);
        return true;
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
        if (!reader.IsNext(Data, advancePast: true)) return;
        reader.IsNext((byte)' ', advancePast: true);
        if (hasData) data.Write("\n"u8);
        hasData = true;
        foreach (ReadOnlyMemory<byte> part in reader.UnreadSequence) data.Write(part.Span);
    }
}
