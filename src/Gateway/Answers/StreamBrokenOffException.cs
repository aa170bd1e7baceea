using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Qanat.Gateway;

/// <summary>Ends a started response without completing it. The cause was told to the client already.
/// Not context.Abort(): that resets the connection and may throw the error event away unsent. An exception after the start ends the connection once everything written is out, and the chunked body has no end (ADR 54).</summary>
/// <param name="cause">Null: it is in the log already.</param>
internal sealed class StreamBrokenOffException(Exception? cause) : Exception("A stream broke off; its client was told.", cause);

/// <summary>Keeps out of the log what the server beneath says of streams that were broken off: to it each is an unhandled exception with a stack. The gateway says why in a line of its own, or, where something failed, with the cause.</summary>
internal sealed class BrokenStreamsUnlogged(ILoggerFactory inner) : ILoggerFactory
{
    private const string Beneath = "Microsoft.AspNetCore.";

    /// <summary>Puts it before the loggers that the host has.</summary>
    public static void Add(IServiceCollection services)
    {
        Func<IServiceProvider, ILoggerFactory> inner = services.LastOrDefault(each => each.ServiceType == typeof(ILoggerFactory)) switch
        {
            { ImplementationInstance: ILoggerFactory given } => _ => given,
            { ImplementationFactory: { } make } => provider => (ILoggerFactory)make(provider),
            _ => provider => new LoggerFactory(provider.GetServices<ILoggerProvider>(), provider.GetRequiredService<IOptionsMonitor<LoggerFilterOptions>>(), provider.GetRequiredService<IOptions<LoggerFactoryOptions>>(), provider.GetService<IExternalScopeProvider>()),
        };
        services.Replace(ServiceDescriptor.Singleton<ILoggerFactory>(provider => new BrokenStreamsUnlogged(inner(provider))));
    }

    public ILogger CreateLogger(string categoryName)
    {
        ILogger logger = inner.CreateLogger(categoryName);
        return categoryName.StartsWith(Beneath, StringComparison.Ordinal) ? new Quieter(logger) : logger;
    }

    public void AddProvider(ILoggerProvider provider) => inner.AddProvider(provider);
    public void Dispose() => inner.Dispose();

    private sealed class Quieter(ILogger inner) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => inner.BeginScope(state);
        public bool IsEnabled(LogLevel logLevel) => inner.IsEnabled(logLevel);

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (exception is not StreamBrokenOffException) inner.Log(logLevel, eventId, state, exception, formatter);
        }
    }
}
