namespace Qanat.Gateway;

/// <summary>Who asks the tools, for the time of one request: the protocol's library does not hand them the request.</summary>
internal sealed class ToolsCaller
{
    public Caller Caller { get => field ?? throw new InvalidOperationException("Nobody is let through to the tools without a caller."); set; }
}
