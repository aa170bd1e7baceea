using Qanat.Gateway.Bench;

// overhead [N]: what the front door, the books and HTTP add to a call, beside the same call made on the engine directly, in the same process and in turn.
// smoke: the same with few calls, to see that it runs.
switch (args)
{
    case ["overhead"]:
        await Overhead.RunAsync(calls: 1000);
        return 0;
    case ["overhead", { } calls] when int.TryParse(calls, out int count) && count > 0:
        await Overhead.RunAsync(count);
        return 0;
    case ["smoke"]:
        await Overhead.RunAsync(calls: 20);
        return 0;
    default:
        Console.Error.WriteLine("usage: overhead [calls] | smoke");
        return 2;
}
