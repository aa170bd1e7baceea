using System.Globalization;
using Qanat.Gateway.Bench;
using Qanat.Gateway.Bench.Tracing;

// overhead [N]: what the front door, the books and HTTP add to a call, beside the same call made on the engine directly, in the same process and in turn.
// upstream whole | stream [RATE] [SECONDS] [PEERS]: what is added to calls of an upstream, beside a bare YARP and npm's Portkey gateway, open-loop and closed-loop.
// tail whole | stream [RATE] [SECONDS] [RUNS] [PEER] [trace]: the slowest hundredth in run after run of one warm gateway; with "trace", what went on while it waited.
// busy whole | stream [SECONDS] [PEER]: keeps a gateway busy, for a profiler.
// idle [N]: what so many streams that say nothing keep in memory.
// served MODEL.gguf [CLIENTS] [ROUNDS]: tokens per second and time to first text of clients that stream, books on, beside llama-server (LLAMA_BIN names its folder).
// single MODEL.gguf [ROUNDS]: time to first text of a prompt of 2,000 tokens, unknown and known, beside llama-server; what a schema costs an answer's speed.
// smoke: the same with few calls, to see that it runs.

// Load and mock do not look for work while there is none: with two cores they would take from whoever is measured what he spends, and the slower he is the more. Peers have the settings that they are shipped with.
if (args is not ["yarp", ..]) AppContext.SetData("System.Threading.ThreadPool.UnfairSemaphoreSpinLimit", "0");
switch (args)
{
    case ["overhead"]:
        await Overhead.RunAsync(calls: 1000);
        return 0;
    case ["overhead", { } calls] when int.TryParse(calls, out int count) && count > 0:
        await Overhead.RunAsync(count);
        return 0;
    case ["upstream", "whole" or "stream", .. { } more]:
        await UpstreamOverhead.RunAsync(more.Length > 0 ? int.Parse(more[0], CultureInfo.InvariantCulture) : 1_000, more.Length > 1 ? int.Parse(more[1], CultureInfo.InvariantCulture) : 10, args[1] == "stream", more.Length > 2 ? more[2].Split(',') : []);
        return 0;
    case ["tail", "whole" or "stream", .. { } more]:
        using (TraceFolder? trace = more is [.., "trace"] ? new TraceFolder() : null)
            await TailRuns.RunAsync(more.Length > 3 && more[3] == "yarp" ? "yarp" : "qanat", args[1] == "stream", Number(more, 0, 1_000), Number(more, 1, 10), Number(more, 2, 5), trace);
        return 0;
    case ["busy", "whole" or "stream", .. { } more]:
        await UpstreamOverhead.BusyAsync(args[1] == "stream", more.Length > 0 ? int.Parse(more[0], CultureInfo.InvariantCulture) : 60, more.Length > 1 ? more[1] : "qanat");
        return 0;
    case ["idle", .. { } more]:
        Console.WriteLine(await UpstreamOverhead.IdleAsync(more.Length > 0 ? int.Parse(more[0], CultureInfo.InvariantCulture) : 2_000));
        return 0;
    case ["yarp", { } upstream]:
        await YarpProxy.RunAsync(upstream);
        return 0;
    case ["served", { } model, .. { } more]:
        await Served.RunAsync(model, more.Length > 0 ? int.Parse(more[0], CultureInfo.InvariantCulture) : 8, more.Length > 1 ? int.Parse(more[1], CultureInfo.InvariantCulture) : 2);
        return 0;
    case ["single", { } model, .. { } more]:
        await Served.SingleAsync(model, more.Length > 0 ? int.Parse(more[0], CultureInfo.InvariantCulture) : 3);
        return 0;
    case ["smoke"]:
        await Overhead.RunAsync(calls: 20);
        return 0;
    default:
        Console.Error.WriteLine("usage: overhead [calls] | upstream whole|stream [rate] [seconds] [yarp,qanat,portkey] | tail whole|stream [rate] [seconds] [runs] [yarp|qanat] [trace] | busy whole|stream [seconds] [yarp|qanat] | idle [streams] | served model [clients] [rounds] | single model [rounds] | smoke");
        return 2;
}

static int Number(string[] words, int index, int otherwise) => index < words.Length && int.TryParse(words[index], CultureInfo.InvariantCulture, out int number) ? number : otherwise;
