using System.CommandLine;
using Qanat.Cli;

Terminal.FitToOutput();
// Answers that run get their time before the process ends (ServerOptions.DrainMax); the default would cut them off after two seconds.
return await CommandTree.Build().Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromSeconds(60) });
