using System.Globalization;
using Qanat.MockUpstream;

// --urls URL --tokens N --per-token-ms N: answers until it is stopped; prints its address first. Nobody can ask it for its counts, and none are kept.
string Option(string name, string standard) => Array.IndexOf(args, name) is >= 0 and var at && at + 1 < args.Length ? args[at + 1] : standard;
int Number(string name, int standard) => int.Parse(Option(name, standard.ToString(CultureInfo.InvariantCulture)), CultureInfo.InvariantCulture);

MockPlan plan = new() { Tokens = Number("--tokens", 16), PerToken = TimeSpan.FromMilliseconds(Number("--per-token-ms", 0)) };
await using MockEngine mock = await MockEngine.StartAsync(_ => plan, Option("--urls", "http://127.0.0.1:0"), countsMax: 0);
Console.WriteLine(mock.Url);
await mock.WaitAsync();
