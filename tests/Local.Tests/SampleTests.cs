using System.Text.RegularExpressions;
using Microsoft.Extensions.AI;
using Qanat.TinyModel;

namespace Qanat.Local.Tests;

/// <summary>The lines that the README shows, compiled and run: this file is one of its own test's inputs.</summary>
public sealed partial class SampleTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("qanat-local-sample").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task What_the_README_shows_chats_and_embeds()
    {
        string file = TinyModelRecipe.Tiny.WriteTo(folder);

#pragma warning disable xUnit1051 // As a program writes it.
        await using LocalModel model = LocalModel.Load(file);
        IChatClient chat = model.ChatClient();
        ChatResponse answer = await chat.GetResponseAsync("Where does a qanat begin?", new ChatOptions { MaxOutputTokens = 200 });

        IEmbeddingGenerator<string, Embedding<float>> vectors = model.EmbeddingGenerator();
        Embedding<float> vector = await vectors.GenerateAsync("a tunnel for water");
#pragma warning restore xUnit1051

        Assert.NotEmpty(answer.Text + string.Concat(answer.Messages.SelectMany(message => message.Contents).OfType<TextReasoningContent>()));
        Assert.Equal(model.EmbeddingGenerator().GetRequiredService<EmbeddingGeneratorMetadata>().DefaultModelDimensions, vector.Vector.Length);
    }

    [Fact]
    public void Every_line_that_the_README_shows_is_in_this_file()
    {
        string readme = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Local.README.md"));
        HashSet<string> compiled = [.. File.ReadLines(Path.Combine(AppContext.BaseDirectory, "SampleTests.cs.txt")).Select(line => line.Trim())];
        string[] shown = [.. Sample().Matches(readme).SelectMany(match => match.Groups[1].Value.Split('\n')).Select(line => line.Trim()).Where(line => line.Length > 0)];
        Assert.True(shown.Length > 4);
        // The README names a file that the test does not have.
        Assert.All(shown, line => Assert.Contains(line.Replace("\"qwen3-0.6b.gguf\"", "file", StringComparison.Ordinal), compiled));
    }

    [GeneratedRegex("```csharp\n(.*?)```", RegexOptions.Singleline | RegexOptions.CultureInvariant)]
    private static partial Regex Sample();
}
