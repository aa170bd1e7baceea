namespace Qanat.Cli.Tests;

public sealed class DataDirectoryTests
{
    private const UnixFileMode Owners = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const UnixFileMode Open = Owners | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    [Fact]
    public void Nobody_else_on_the_machine_looks_into_a_new_one_nor_into_the_keys_of_cookies_in_an_old_one()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no modes of files.");
        if (OperatingSystem.IsWindows()) return;
        DirectoryInfo folder = Directory.CreateTempSubdirectory("qanat-data");
        DataDirectory data = new(Path.Combine(folder.FullName, "new"));
        data.Create();
        Assert.Equal((Owners, Owners, Owners), (File.GetUnixFileMode(data.Root), File.GetUnixFileMode(data.Models), File.GetUnixFileMode(data.CookieKeys)));
        File.SetUnixFileMode(data.Root, Open);
        File.SetUnixFileMode(data.CookieKeys, Open);
        data.Create();
        // Who opened the directory itself did so on purpose.
        Assert.Equal((Open, Owners), (File.GetUnixFileMode(data.Root), File.GetUnixFileMode(data.CookieKeys)));
        folder.Delete(recursive: true);
    }

    [Theory]
    [InlineData("""{ "drain_second": 5 }""", "there is no setting 'drain_second'")]
    [InlineData("""{ "line": { "queue": 5 } }""", "there is no setting 'line.queue'")]
    [InlineData("""{ "drain_seconds": "soon" }""", "'drain_seconds' cannot have this value")]
    [InlineData("[]", "'the file' cannot have this value")]
    public void What_is_wrong_with_a_configuration_is_said_in_its_own_words(string text, string complaint)
    {
        string file = Path.GetTempFileName();
        File.WriteAllText(file, text);
        string message = Assert.Throws<CommandException>(() => QanatConfiguration.Read(file)).Message;
        Assert.Contains(complaint, message, StringComparison.Ordinal);
        Assert.DoesNotContain("Qanat.Cli", message, StringComparison.Ordinal);
        Assert.DoesNotContain("System.", message, StringComparison.Ordinal);
        File.Delete(file);
    }
}
