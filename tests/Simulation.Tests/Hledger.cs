using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;

namespace Qanat.Simulation.Tests;

/// <summary>The program hledger, which knows nothing of Qanat, on an exported journal.</summary>
internal static class Hledger
{
    /// <summary>Every account's balance as hledger computes it equals the trial balance, to the last pico. Skips by name when hledger is not installed.</summary>
    public static void CompareBalances(string journal, JsonNode trial)
    {
        Dictionary<string, decimal> theirs = Balances(journal);
        Dictionary<string, decimal> ours = [];
        foreach (JsonNode? account in trial["accounts"]!.AsArray())
        {
            decimal amount = decimal.Parse(account!["amount"]!.ToString(), CultureInfo.InvariantCulture);
            if (amount != 0) ours[account["account"]!.ToString()] = amount;
        }
        Assert.Contains("revenue:usage", ours.Keys);
        Assert.Contains("cost of revenue:unused capacity", ours.Keys);
        Assert.All(ours, account => Assert.Equal(account.Value, theirs.GetValueOrDefault(account.Key)));
        Assert.Equal(0, theirs.Values.Sum());
    }

    private static Dictionary<string, decimal> Balances(string journal)
    {
        Dictionary<string, decimal> balances = [];
        foreach (string line in Run("-f", journal, "balance", "--flat", "--no-total", "--output-format", "csv").Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(1))
        {
            string[] cells = [.. line.Split("\",\"").Select(cell => cell.Trim('"', '\r'))];
            string number = new([.. cells[1].Where(letter => char.IsAsciiDigit(letter) || letter is '.' or '-')]);
            balances[cells[0]] = decimal.Parse(number, CultureInfo.InvariantCulture);
        }
        return balances;
    }

    private static string Run(params string[] arguments)
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo("hledger", arguments) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false })!;
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            Assert.True(process.ExitCode == 0, errors.Result);
            return output;
        }
        catch (Win32Exception)
        {
            Assert.False(Environment.GetEnvironmentVariable("QANAT_CI") == "1", "hledger is not installed");
            Assert.Skip("hledger is not installed: balances are not compared with an independent program.");
            throw;
        }
    }
}
