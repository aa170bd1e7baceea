using Qanat.Engine;

namespace Qanat.Gateway;

/// <summary>Decides how much of an engine batches may have at a moment: all the places an option names while nobody waits for an answer, one while somebody does, none while somebody waits for a place.</summary>
internal static class IdleCapacity
{
    /// <param name="status">Of the engine, its batch rows included.</param>
    /// <param name="rowsInFlight">Rows of batches that it is working on.</param>
    public static bool HasRoom(EngineStatus status, int rowsInFlight, int rowsMax)
    {
        int others = Math.Max(0, status.Running + status.Waiting - rowsInFlight);
        if (others == 0) return rowsInFlight < rowsMax;
        return status.Waiting == 0 && rowsInFlight == 0;
    }
}
