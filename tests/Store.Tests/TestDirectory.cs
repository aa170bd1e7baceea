namespace Qanat.Store.Tests;

/// <summary>A directory of its own, removed at the end. In memory where there is such a file system with room (/dev/shm), since most tests do not ask what an fsync is worth.</summary>
public sealed class TestDirectory(bool onDisk = false) : IDisposable
{
    private const string Memory = "/dev/shm";
    private const long RoomBytesMin = 1L << 30;

    public string Path { get; } = Make(onDisk);
    public string File(string name) => System.IO.Path.Combine(Path, name);
    public void Dispose() => Directory.Delete(Path, recursive: true);

    private static string Make(bool onDisk)
    {
        bool inMemory = !onDisk && Directory.Exists(Memory) && new DriveInfo(Memory).AvailableFreeSpace >= RoomBytesMin;
        return inMemory ? Directory.CreateDirectory(System.IO.Path.Combine(Memory, System.IO.Path.GetRandomFileName())).FullName : Directory.CreateTempSubdirectory("qanat-store-").FullName;
    }
}
