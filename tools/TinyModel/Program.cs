using System.Diagnostics;
using Qanat.Models;
using Qanat.TinyModel;

const string Usage =
    """
    Makes a GGUF file with random weights of the Qwen3 architecture.
    usage: TinyModel OUTPUT.gguf [--shape tiny|qwen3-0.6b|qwen3-1.7b] [--type f32|f16|bf16|q8_0] [--seed N]
    """;

string? output = null;
TinyModelRecipe recipe = TinyModelRecipe.Tiny;
GgmlType type = recipe.Type;
ulong seed = recipe.Seed;
for (int i = 0; i < args.Length; i++)
{
    string value = i + 1 < args.Length ? args[i + 1] : "";
    switch (args[i])
    {
        case "--shape" when value is "tiny" or "qwen3-0.6b" or "qwen3-1.7b":
            recipe = value switch { "tiny" => TinyModelRecipe.Tiny, "qwen3-0.6b" => TinyModelRecipe.Qwen3Of600M, _ => TinyModelRecipe.Qwen3Of1700M };
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
