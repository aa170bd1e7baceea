namespace Qanat.Architecture.Tests;

public sealed class ArrowTests
{
    /// <summary>The arrows of ARCHITECTURE.md: what each project may reference.</summary>
    private static readonly Dictionary<string, string[]> Allowed = new(StringComparer.Ordinal)
    {
        ["Kernels"] = [],
        ["Models"] = ["Kernels"],
        ["Engine"] = ["Models"],
        ["Local"] = ["Engine", "Models"],
        ["Training"] = ["Models", "Kernels"],
        ["Books"] = [],
        ["Outlook"] = ["Books"],
        ["Store"] = ["Books"],
        ["Gateway"] = ["Engine", "Books", "Store"],
        ["Cluster"] = ["Engine", "Gateway", "Books", "Store"],
        ["Console"] = ["Books", "Outlook", "Gateway"],
        ["Cli"] = ["Kernels", "Models", "Engine", "Local", "Training", "Books", "Outlook", "Store", "Gateway", "Cluster", "Console", "TinyModel"],
    };

    [Fact]
    public void Projects_reference_only_what_the_architecture_allows()
    {
        List<string> wrong = [];
        foreach (string project in Repository.SourceProjects())
        {
            string name = Path.GetFileNameWithoutExtension(project);
            Assert.True(Allowed.ContainsKey(name), $"{name} is not in the list of arrows: add it to ARCHITECTURE.md and here.");
            wrong.AddRange(Repository.ProjectReferences(project).Except(Allowed[name], StringComparer.Ordinal).Select(target => $"{name} -> {target}"));
        }
        Assert.Empty(wrong);
    }

    [Fact]
    public void Engine_and_Books_never_know_of_each_other_even_indirectly()
    {
        Assert.DoesNotContain("Books", Reachable("Engine"));
        Assert.DoesNotContain("Engine", Reachable("Books"));
    }

    [Fact]
    public void Every_project_of_the_tree_is_in_the_solution()
    {
        string solution = File.ReadAllText(Path.Combine(Repository.Root, "Qanat.slnx"));
        string[] missing = [.. new[] { "src", "tests", "tools", "bench" }
            .Select(folder => Path.Combine(Repository.Root, folder))
            .Where(Directory.Exists)
            .SelectMany(folder => Directory.EnumerateFiles(folder, "*.csproj", SearchOption.AllDirectories))
            .Select(project => Path.GetRelativePath(Repository.Root, project).Replace('\\', '/'))
            .Where(project => !solution.Contains($"\"{project}\"", StringComparison.Ordinal))];
        Assert.Empty(missing);
    }

    private static HashSet<string> Reachable(string project)
    {
        HashSet<string> seen = new(StringComparer.Ordinal);
        Queue<string> queue = new([project]);
        while (queue.TryDequeue(out string? next))
        {
            string file = Path.Combine(Repository.Root, "src", next, next + ".csproj");
            foreach (string target in Repository.ProjectReferences(file).Where(seen.Add)) queue.Enqueue(target);
        }
        return seen;
    }
}
