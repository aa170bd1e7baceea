using System.Diagnostics;
using System.Globalization;
using Qanat.Engine;

namespace Qanat.Bench;

/// <summary>What choosing a token from a full vocabulary costs under the filters, for rows from flat to steep.</summary>
internal static class Draws
{
    private const int Vocabulary = 151_936, Rounds = 200;

    public static void Print(TextWriter output)
    {
        (string Name, Func<Random, float> Logit)[] rows =
        [
            ("all equal", _ => 0),
            ("between -1 and 1", random => 2 * random.NextSingle() - 1),
            ("between -10 and 10", random => 20 * random.NextSingle() - 10),
            ("normal, deviation 3", random => (float)(3 * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()))),
        ];
        (string Name, SamplingOptions Options)[] filters =
        [
            ("none", new SamplingOptions { Temperature = 1 }),
            ("top-p 0.95", new SamplingOptions { Temperature = 1, TopP = 0.95f }),
            ("top-p 0.5", new SamplingOptions { Temperature = 1, TopP = 0.5f }),
            ("min-p 0.05", new SamplingOptions { Temperature = 1, MinP = 0.05f }),
        ];
        output.WriteLine($"| logits | {string.Join(" | ", filters.Select(filter => filter.Name + ", us"))} |");
        output.WriteLine($"| --- |{string.Concat(Enumerable.Repeat(" --- |", filters.Length))}");
        var distribution = new Distribution(Vocabulary);
        foreach ((string name, Func<Random, float> logit) in rows)
        {
            var random = new Random(1);
            float[] row = [.. Enumerable.Range(0, Vocabulary).Select(_ => logit(random))];
            output.WriteLine($"| {name} | {string.Join(" | ", filters.Select(filter => Median(distribution, row, filter.Options, random).ToString("0", CultureInfo.InvariantCulture)))} |");
        }
    }

    private static double Median(Distribution distribution, float[] row, SamplingOptions options, Random random)
    {
        float max = row.Max();
        var times = new double[Rounds];
        for (int i = 0; i < times.Length; i++)
        {
            long began = Stopwatch.GetTimestamp();
            distribution.Draw(row, max, options, (ulong)random.NextInt64());
            times[i] = Stopwatch.GetElapsedTime(began).TotalMicroseconds;
        }
        Array.Sort(times);
        return times[times.Length / 2];
    }
}
