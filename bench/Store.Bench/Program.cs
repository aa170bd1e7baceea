using System.Globalization;
using Qanat.Books;
using Qanat.Store;
using Qanat.Store.Bench;

// store-bench limit|records|requests|calls|steady|fill|post|sums|month|served|close [--directory DIR] [--store CONNECTION] [--count N] [--callers N] [--rate N]
// Prints one JSON object per line. See docs/benchmarks.md for what each mode measures.
Arguments arguments = Arguments.Parse(args);
Directory.CreateDirectory(arguments.Directory);
if (arguments.Mode == "limit")
{
    Console.WriteLine(FileLimit.Run(arguments.Directory));
    return;
}
await using SqlStore store = await new StoreLocation(arguments.Directory, arguments.Store).OpenAsync(TimeProvider.System);
Workload workload = await Workload.PrepareAsync(store);
string line = arguments.Mode switch
{
    "records" => await Appending.RecordsAsync(store, workload, arguments.Count, arguments.Callers),
    "requests" => await Appending.RequestsAsync(store, workload, arguments.Count, arguments.Callers),
    "calls" => await Calls.RunAsync(store, workload, arguments.Count, arguments.Callers, arguments.RatePerSecond),
    "steady" => await Appending.SteadyAsync(store, workload, arguments.Count, arguments.RatePerSecond),
    "fill" => await Appending.FillAsync(store, workload, arguments.Count),
    "post" => await Appending.PostAsync(store),
    "sums" => await Summing.RunAsync(store),
    "month" => await MonthEnd.FillAsync(store, workload, arguments.Count, posting: false),
    "served" => await MonthEnd.FillAsync(store, workload, arguments.Count, posting: true),
    "close" => await MonthEnd.CloseAsync(store),
    _ => throw new ArgumentException($"'{arguments.Mode}' is not a mode: limit, records, requests, calls, steady, fill, post, sums, month, served or close."),
};
Console.WriteLine(line);

namespace Qanat.Store.Bench
{
    /// <param name="Directory">Where the data lies; kept afterwards, so that a filled store can be measured again.</param>
    internal sealed record Arguments(string Mode, string Directory, string? Store, int Count, int Callers, int RatePerSecond)
    {
        public static Arguments Parse(string[] args)
        {
            string Value(string name, string otherwise)
            {
                int at = Array.IndexOf(args, name);
                return at >= 0 && at + 1 < args.Length ? args[at + 1] : otherwise;
            }

            int Number(string name, string otherwise) => int.Parse(Value(name, otherwise), CultureInfo.InvariantCulture);
            string directory = Value("--directory", Path.Combine(Path.GetTempPath(), "qanat-store-bench"));
            return new Arguments(args.Length > 0 ? args[0] : "records", directory, Value("--store", "") is { Length: > 0 } connection ? connection : null, Number("--count", "200000"), Number("--callers", "256"), Number("--rate", "1000"));
        }
    }
}
