using Qanat.Cli;

Terminal.FitToOutput();
return await CommandTree.Build().Parse(args).InvokeAsync();
