namespace Qanat.Gateway;

/// <summary>How the documents of a stream follow each other on the wire.</summary>
internal sealed class StreamFraming
{
    public const string EventsType = "text/event-stream";
    public const string LinesType = "application/x-ndjson";

    /// <summary>Server-sent events; comment lines while there is nothing to say.</summary>
    public static readonly StreamFraming Events = new(EventsType + "; charset=utf-8", "data: "u8, "\n\n"u8, ": waiting\n\n"u8);

    /// <summary>Anthropic's events, with the ping that its clients know.</summary>
    public static readonly StreamFraming EventsWithPing = new(EventsType + "; charset=utf-8", "data: "u8, "\n\n"u8, "event: ping\ndata: {\"type\":\"ping\"}\n\n"u8);

    /// <summary>A JSON document a line. White space before a document is allowed anywhere, so one blank keeps the connection alive without being a line.</summary>
    public static readonly StreamFraming Lines = new(LinesType, [], "\n"u8, " "u8);

    private readonly byte[] opening;
    private readonly byte[] closing;
    private readonly byte[] heartbeat;

    private StreamFraming(string contentType, ReadOnlySpan<byte> opening, ReadOnlySpan<byte> closing, ReadOnlySpan<byte> heartbeat)
    {
        ContentType = contentType;
        this.opening = opening.ToArray();
        this.closing = closing.ToArray();
        this.heartbeat = heartbeat.ToArray();
    }

    public string ContentType { get; }
    public ReadOnlySpan<byte> Opening => opening;
    public ReadOnlySpan<byte> Closing => closing;
    public ReadOnlySpan<byte> Heartbeat => heartbeat;
}
