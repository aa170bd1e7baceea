namespace Qanat.Cli.Tests;

/// <summary>qanat pull against a site on this machine: what comes, what is refused, and what a second try does.</summary>
public sealed class PullTests : IDisposable
{
    private readonly DataDirectory data = new(Path.Combine(Path.GetTempPath(), "qanat-pull-" + Path.GetRandomFileName()));
    private readonly HttpClient http = ModelPull.Client();
    private readonly Counted progress = new();
    private readonly SwiftClock clock = new();
    private string? token;

    private static byte[] Bytes(int count, int seed)
    {
        byte[] bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private static readonly byte[] Weights = Bytes(3_000_000, 1);
    private static readonly byte[] Config = "{\"model_type\":\"qwen3\"}"u8.ToArray();

    public void Dispose()
    {
        http.Dispose();
        if (Directory.Exists(data.Root)) Directory.Delete(data.Root, recursive: true);
    }

    private Task<PulledModel> PullAsync(ModelSite site, string name = "Qwen/Qwen3-Tiny", RepositoryLayout layout = RepositoryLayout.HuggingFace, string? file = null, string? reason = null) =>
        new ModelPull(http, data, clock, name => name == "HF_TOKEN" ? token : null).RunAsync(new PullOptions(name, layout, site.Address, file, null, reason), progress, TestContext.Current.CancellationToken);

    private string Place(string file, string name = "Qwen/Qwen3-Tiny") => Path.Combine(ModelPull.FolderOf(data, name), file);

    [Theory]
    [InlineData(RepositoryLayout.HuggingFace)]
    [InlineData(RepositoryLayout.ModelScope)]
    public async Task A_model_comes_with_the_texts_beside_it_and_its_licence_is_kept(RepositoryLayout layout)
    {
        await using ModelSite site = await ModelSite.StartAsync(("model.safetensors", Weights), ("config.json", Config), ("tokenizer.json", Config), ("LICENSE", Bytes(100, 2)), ("figures/picture.png", Bytes(100, 3)), ("README.md", Bytes(9, 4)));
        PulledModel pulled = await PullAsync(site, layout: layout);
        Assert.Equal(ModelPull.FolderOf(data, "Qwen/Qwen3-Tiny"), pulled.Path);
        Assert.Equal(["LICENSE", "config.json", "model.safetensors", "tokenizer.json"], pulled.Record.Files.Select(file => file.Path));
        Assert.Equal(Weights, await File.ReadAllBytesAsync(Place("model.safetensors"), TestContext.Current.CancellationToken));
        Assert.Equal(("apache-2.0", CommercialHosting.Free), (pulled.Record.Licence.Id, pulled.Record.Licence.Hosting));
        Assert.True(ModelRecord.Beside(Place("model.safetensors"))!.MayBeHosted);
        Assert.Equal(pulled.Record.Files.Sum(file => file.Bytes), progress.Bytes);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_cut_connection_goes_on_where_it_ended(bool noRanges)
    {
        await using ModelSite site = await ModelSite.StartAsync(("tiny.gguf", Weights));
        (site.CutAfter, site.Cuts, site.HasNoRanges) = (1_100_000, 2, noRanges);
        await PullAsync(site);
        Assert.Equal(Weights, await File.ReadAllBytesAsync(Place("tiny.gguf"), TestContext.Current.CancellationToken));
        Assert.Equal(2, site.Ranges.Count);
        Assert.Equal(Weights.Length, progress.Bytes);
        if (!noRanges) Assert.InRange(site.Sent, Weights.Length, Weights.Length + 2 * 1_100_000);
    }

    [Fact]
    public async Task A_connection_over_which_nothing_comes_any_more_is_taken_for_cut()
    {
        await using ModelSite site = await ModelSite.StartAsync(("tiny.gguf", Weights));
        (site.CutAfter, site.Stalls) = (1_100_000, 1);
        Task<PulledModel> pulling = PullAsync(site);
        await Task.WhenAny(site.HasStalled, pulling);
        clock.EndPatience();
        await pulling;
        Assert.Equal(Weights, await File.ReadAllBytesAsync(Place("tiny.gguf"), TestContext.Current.CancellationToken));
        Assert.Equal(Weights.Length, progress.Bytes);
        Assert.Equal(0, site.Stalls);
    }

    [Fact]
    public async Task A_site_that_does_not_answer_is_said()
    {
        await using ModelSite site = await ModelSite.StartAsync(("tiny.gguf", Weights));
        site.IndexStalls = true;
        Task<PulledModel> pulling = PullAsync(site);
        await Task.WhenAny(site.HasStalled, pulling);
        clock.EndPatience();
        Assert.Contains("does not answer", (await Assert.ThrowsAsync<CommandException>(() => pulling)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_came_before_a_stop_is_not_fetched_again()
    {
        await using ModelSite site = await ModelSite.StartAsync(("tiny.gguf", Weights));
        Directory.CreateDirectory(ModelPull.FolderOf(data, "Qwen/Qwen3-Tiny"));
        await File.WriteAllBytesAsync(Place("tiny.gguf.part"), Weights[..2_000_000], TestContext.Current.CancellationToken);
        await PullAsync(site);
        Assert.Equal("bytes=2000000-", Assert.Single(site.Ranges));
        Assert.Equal(1_000_000, site.Sent);
        await PullAsync(site);
        Assert.Equal(1_000_000, site.Sent);
        Assert.False(File.Exists(Place("tiny.gguf.part")));
    }

    [Theory]
    [InlineData("tiny.gguf")]
    [InlineData("LICENSE")]
    public async Task A_file_that_is_not_what_the_index_promises_is_thrown_away(string file)
    {
        await using ModelSite site = await ModelSite.StartAsync(file == "LICENSE" ? [("tiny.gguf", []), (file, Config)] : [(file, Weights)]);
        site.Lies = true;
        CommandException refused = await Assert.ThrowsAsync<CommandException>(() => PullAsync(site));
        Assert.Contains("not what the repository promises", refused.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(Place(file)));
        Assert.False(File.Exists(Place(file + ".part")));
    }

    [Fact]
    public async Task A_file_whose_hash_nobody_told_is_taken_and_said()
    {
        await using ModelSite site = await ModelSite.StartAsync(("tiny.gguf", Weights));
        Assert.Equal("every hash as promised", ModelCommands.Checked((await PullAsync(site)).Record.Files));
        site.HidesHashes = true;
        PulledModel pulled = await PullAsync(site, "Qwen/Qwen3-Other");
        Assert.Contains("the site tells none of tiny.gguf", ModelCommands.Checked(pulled.Record.Files), StringComparison.Ordinal);
        Assert.False(Assert.Single(ModelRecord.Beside(pulled.Path)!.Files).IsPromised);
    }

    [Theory]
    [InlineData("../outside.gguf")]
    [InlineData("/etc/model.gguf")]
    [InlineData("a//b.gguf")]
    [InlineData("C:model.gguf")]
    [InlineData("a\\..\\b.gguf")]
    public async Task A_name_that_leads_out_of_the_folder_is_refused_before_anything_is_fetched(string path)
    {
        await using ModelSite site = await ModelSite.StartAsync((path, Weights));
        Assert.Contains("leads out of its folder", (await Assert.ThrowsAsync<CommandException>(() => PullAsync(site))).Message, StringComparison.Ordinal);
        Assert.Equal(0, site.Sent);
    }

    [Fact]
    public async Task One_of_several_models_must_be_chosen_and_all_its_parts_come()
    {
        await using ModelSite site = await ModelSite.StartAsync(("m-Q8_0.gguf", Config), ("m-Q4_K_M-00001-of-00002.gguf", Config), ("m-Q4_K_M-00002-of-00002.gguf", Config));
        Assert.Contains("choose one with --file", (await Assert.ThrowsAsync<CommandException>(() => PullAsync(site))).Message, StringComparison.Ordinal);
        PulledModel pulled = await PullAsync(site, file: "*Q4_K_M*");
        Assert.Equal(2, pulled.Record.Files.Count);
        Assert.EndsWith("m-Q4_K_M-00001-of-00002.gguf", pulled.Path, StringComparison.Ordinal);
        Assert.Equal(pulled.Path, ModelPull.Find(data, "Qwen/Qwen3-Tiny"));
        PulledModel other = await PullAsync(site, file: "*Q8_0*");
        string refused = Assert.Throws<CommandException>(() => ModelPull.Find(data, "Qwen/Qwen3-Tiny")).Message;
        Assert.Contains(pulled.Path, refused, StringComparison.Ordinal);
        Assert.Contains(other.Path, refused, StringComparison.Ordinal);
        Assert.Equal(other.Path, ModelPull.Find(data, other.Path));
        Assert.Contains("m-Q8_0.gguf", (await Assert.ThrowsAsync<CommandException>(() => PullAsync(site, file: "*Q5*"))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Qwen/Qwen2.5-3B-Instruct-GGUF", "other", CommercialHosting.Forbidden)]
    [InlineData("Qwen/Qwen2.5-72B-Instruct", "other", CommercialHosting.Conditional)]
    [InlineData("Qwen/Qwen3.8-Flash-Next", "other", CommercialHosting.Forbidden)]
    [InlineData("Qwen/Qwen3-0.6B", "apache-2.0", CommercialHosting.Free)]
    [InlineData("someone/else", "gpl-3.0", CommercialHosting.Unknown)]
    [InlineData("someone/else", null, CommercialHosting.Unknown)]
    public async Task A_licence_that_does_not_let_a_model_be_hosted_holds_it_back_until_somebody_says_why_it_may(string name, string? id, CommercialHosting hosting)
    {
        await using ModelSite site = await ModelSite.StartAsync(("tiny.gguf", Config));
        site.Licence = id;
        PulledModel pulled = await PullAsync(site, name);
        Assert.Equal(hosting, pulled.Record.Licence.Hosting);
        if (hosting == CommercialHosting.Free)
        {
            pulled.Record.EnsureMayBeHosted();
            return;
        }
        Assert.Contains("qanat models accept", Assert.Throws<CommandException>(() => ModelRecord.Beside(pulled.Path)!.EnsureMayBeHosted()).Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<CommandException>(() => PullAsync(site, name, reason: "  "));
        PulledModel accepted = await PullAsync(site, name, reason: "internal use");
        accepted.Record.EnsureMayBeHosted();
        Assert.Equal("internal use", ModelRecord.Beside(pulled.Path)!.Acceptance!.Reason);
        // Pulling again keeps what was accepted.
        Assert.NotNull((await PullAsync(site, name)).Record.Acceptance);
    }

    [Theory]
    [InlineData("Qwen3-0.6B")]
    [InlineData("Qwen/../..")]
    [InlineData("Qwen/..")]
    [InlineData("Qwen/a b")]
    [InlineData("a/b/c")]
    public async Task A_name_of_another_shape_is_refused(string name)
    {
        await using ModelSite site = await ModelSite.StartAsync(("tiny.gguf", Config));
        Assert.Contains("OWNER/NAME", (await Assert.ThrowsAsync<CommandException>(() => PullAsync(site, name))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_repository_that_is_not_there_is_said_and_a_token_is_shown_to_its_own_site_only()
    {
        await using ModelSite site = await ModelSite.StartAsync(("tiny.gguf", Config));
        token = "hf_secret";
        Assert.Contains("is not at", (await Assert.ThrowsAsync<CommandException>(() => PullAsync(site, "nobody/nothing"))).Message, StringComparison.Ordinal);
        Assert.Equal("Bearer hf_secret", Assert.Single(site.Tokens));
        var repository = new ModelRepository(http, site.Address, token, TimeProvider.System);
        Assert.Null(repository.Request(new Uri("https://elsewhere.example/file")).Headers.Authorization);
    }

    /// <summary>The pauses between tries are over at once; patience with a silent site ends when the test says so.</summary>
    private sealed class SwiftClock : TimeProvider
    {
        private readonly Lock gate = new();
        private Action? latest;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            if (dueTime < FileDownload.SilenceMax) return base.CreateTimer(callback, state, TimeSpan.Zero, period);
            lock (gate) latest = () => callback(state);
            return new Patience();
        }

        /// <summary>Of whoever became patient last.</summary>
        public void EndPatience()
        {
            Action? ending;
            lock (gate) ending = latest;
            ending?.Invoke();
        }

        private sealed class Patience : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period) => true;
            public void Dispose() { }
            public ValueTask DisposeAsync() => ValueTask.CompletedTask;
        }
    }

    private sealed class Counted : IPullProgress
    {
        public long Bytes { get; private set; }
        public void Begin(RepositoryFile file) { }
        public void Came(RepositoryFile file, long bytes) => Bytes += bytes;
    }
}
