namespace Qanat.Gateway;

/// <summary>Serves a call: <see cref="CallPipeline.RunAsync"/>, or a script in tests.</summary>
public delegate IAsyncEnumerable<CallEvent> RunCall(Call call, CancellationToken cancel);
