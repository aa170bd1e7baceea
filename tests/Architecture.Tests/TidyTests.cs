using System.Text.RegularExpressions;

namespace Qanat.Architecture.Tests;

public sealed partial class TidyTests
{
    [Fact]
    public void No_file_is_longer_than_600_lines()
    {
        Assert.Empty(Repository.CodeFiles("src", "tests", "tools", "bench").Where(file => Repository.Lines(file).Length > 600));
    }

    [Fact]
    public void The_engine_stays_within_its_budget_of_3200_lines_and_400_a_file()
    {
        Dictionary<string, int> lengths = Repository.CodeFiles("src/Engine").ToDictionary(file => file, file => Repository.Lines(file).Length, StringComparer.Ordinal);
        Assert.InRange(lengths.Values.Sum(), 1, 3200);
        Assert.Empty(lengths.Where(file => file.Value > 400));
    }

    [Fact]
    public void Books_holds_integers_only()
    {
        Assert.Empty(from file in Repository.CodeFiles("src/Books")
                     from line in Repository.Lines(file).Select((text, index) => (text, number: index + 1))
                     where FloatingType().IsMatch(Code(line.text))
                     select $"{file}:{line.number}: {line.text.Trim()}");
    }

    [Fact]
    public void Every_source_folder_says_at_its_door_what_it_owns()
    {
        Assert.Empty(Repository.SourceProjects()
            .Select(project => Path.GetDirectoryName(project)!)
            .Where(folder => !File.Exists(Path.Combine(folder, "README.md")))
            .Select(folder => Path.GetRelativePath(Repository.Root, folder)));
    }

    [Fact]
    public void Nothing_is_left_for_later_in_the_code()
    {
        Assert.Empty(from file in Repository.CodeFiles("src", "tools", "bench")
                     from line in Repository.Lines(file).Select((text, index) => (text, number: index + 1))
                     where Unfinished().IsMatch(line.text)
                     select $"{file}:{line.number}: {line.text.Trim()}");
    }

    [Fact]
    public void Types_are_named_for_what_they_are()
    {
        Assert.Empty(from file in Repository.CodeFiles("src", "tools")
                     from line in Repository.Lines(file)
                     let match = VagueType().Match(line)
                     where match.Success
                     select $"{file}: {match.Groups[1].Value}");
    }

    [Fact]
    public void Decision_records_are_numbered_without_gap_and_titled()
    {
        string[] files = [.. Directory.EnumerateFiles(Path.Combine(Repository.Root, "docs", "adr"), "*.md").Select(Path.GetFileName).OfType<string>().Order(StringComparer.Ordinal)];
        Assert.NotEmpty(files);
        Assert.All(files.Select((name, index) => (name, index)), each =>
        {
            Assert.StartsWith($"{each.index + 1:D4}-", each.name, StringComparison.Ordinal);
            Assert.StartsWith("# ", File.ReadLines(Path.Combine(Repository.Root, "docs", "adr", each.name)).First(), StringComparison.Ordinal);
        });
    }

    [Fact]
    public void Packages_are_named_in_a_decision_record()
    {
        string records = string.Join('\n', Directory.EnumerateFiles(Path.Combine(Repository.Root, "docs", "adr"), "*.md").Select(File.ReadAllText));
        string[] packages = [.. PackageVersion().Matches(File.ReadAllText(Path.Combine(Repository.Root, "Directory.Packages.props"))).Select(match => match.Groups[1].Value)];
        Assert.NotEmpty(packages);
        Assert.Empty(packages.Where(package => !records.Contains($"`{package}`", StringComparison.Ordinal)));
    }

    /// <summary>A line without its comment and without what its texts say.</summary>
    private static string Code(string line)
    {
        string code = TextLiteral().Replace(line, "\"\"");
        int comment = code.IndexOf("//", StringComparison.Ordinal);
        return comment < 0 ? code : code[..comment];
    }

    [GeneratedRegex("\"(?:[^\"\\\\]|\\\\.)*\"")]
    private static partial Regex TextLiteral();

    [GeneratedRegex(@"\b(double|float|decimal|Double|Single|Decimal|Half)\b")]
    private static partial Regex FloatingType();

    [GeneratedRegex(@"NotImplementedException|\b(TODO|FIXME|HACK)\b|//.*\b([Pp]laceholder|[Ii]n a real system)\b")]
    private static partial Regex Unfinished();

    [GeneratedRegex(@"\b(?:class|struct|record|interface)\s+(\w*(?:Manager|Helper|Processor|Impl|Util|Utils|Base))\b")]
    private static partial Regex VagueType();

    [GeneratedRegex("<PackageVersion Include=\"([^\"]+)\"")]
    private static partial Regex PackageVersion();
}
