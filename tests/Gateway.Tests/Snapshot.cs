using System.Runtime.CompilerServices;
using System.Text;

namespace Qanat.Gateway.Tests;

/// <summary>Compares a wire format with the file in which it was agreed. QANAT_SNAPSHOTS=write writes the files anew: look at the difference before committing it.</summary>
internal static class Snapshot
{
    public static void Match(string name, string actual, [CallerFilePath] string caller = "")
    {
        // The version is the build's, not the format's.
        actual = actual.Replace("qanat-" + QanatVersion.Text, "qanat-VERSION", StringComparison.Ordinal);
        string file = Path.Combine(FolderOf(caller), name);
        if (Environment.GetEnvironmentVariable("QANAT_SNAPSHOTS") == "write")
        {
            File.WriteAllText(file, actual, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));
            return;
        }
        Assert.True(File.Exists(file), $"There is no snapshot {name} yet: run with QANAT_SNAPSHOTS=write and look at it.");
        Assert.Equal(File.ReadAllText(file), actual);
    }

    /// <summary>tests/Gateway.Tests/Snapshots, from wherever the calling test is.</summary>
    private static string FolderOf(string caller)
    {
        DirectoryInfo? folder = new FileInfo(caller).Directory;
        while (folder is not null && folder.GetFiles("*.csproj").Length == 0) folder = folder.Parent;
        return Path.Combine(folder!.FullName, "Snapshots");
    }
}
