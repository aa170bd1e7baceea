using System.Diagnostics;
using Qanat.Models;
using Qanat.TinyModel;

const string Usage =
    """
    Makes a GGUF file with random weights of one of the Qwen architectures.
    usage: TinyModel OUTPUT.gguf [--shape tiny|qwen3-0.6b|qwen3-1.7b|qwen3.5-0.8b|qwen2|qwen3moe|qwen35|qwen35moe|qwen3next] [--type f32|f16|bf16|q8_0] [--seed N]
    """;

Dictionary<string, TinyModelRecipe> shapes = TinyModelRecipe.TinyOfEach.ToDictionary(shape => shape.Architecture, StringComparer.Ordinal);
shapes["tiny"] = TinyModelRecipe.Tiny;
shapes["qwen3-0.6b"] = TinyModelRecipe.Qwen3Of600M;
shapes["qwen3-1.7b"] = TinyModelRecipe.Qwen3Of1700M;
shapes["qwen3.5-0.8b"] = TinyModelRecipe.Qwen35Of800M;

string? output = null;
TinyModelRecipe recipe = TinyModelRecipe.Tiny;
GgmlType type = recipe.Type;
ulong seed = recipe.Seed;
for (int i = 0; i < args.Length; i++)
{
    string value = i + 1 < args.Length ? args[i + 1] : "";
    switch (args[i])
    {
        case "--shape" when shapes.TryGetValue(value, out TinyModelRecipe? shape):
            recipe = shape;
            i++;
            break;
        case "--type" when value is "f32" or "f16" or "bf16" or "q8_0":
            type = Enum.Parse<GgmlType>(value, ignoreCase: true);
            i++;
            break;
        case "--seed" when ulong.TryParse(value, System.Globalization.CultureInfo.InvariantCulture, out seed):
            i++;
            break;
        case [not '-', ..] when output is null:
            output = args[i];
            break;
        default:
            Console.Error.WriteLine(Usage);
            return 2;
    }
}
if (output is null)
{
    Console.Error.WriteLine(Usage);
    return 2;
}

long started = Stopwatch.GetTimestamp();
using (FileStream stream = new(output, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 1 << 20))
    (recipe with { Type = type, Seed = seed }).Write(stream);
Console.WriteLine(FormattableString.Invariant($"{output}: {new FileInfo(output).Length} bytes in {Stopwatch.GetElapsedTime(started).TotalSeconds:F2} s"));
return 0;
