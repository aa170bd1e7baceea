namespace Qanat.Console;

/// <summary>How the console is set up by the process that hosts it.</summary>
public sealed record ConsoleOptions
{
    /// <summary>Folder for the keys that protect the sign-in cookie. Null: kept in memory, so that a restart signs everyone out.</summary>
    public string? CookieKeysFolder { get; init; }

    /// <summary>A folder with companies and investments of one's own (*.model, *.facts.csv, *.invest), beside those that come with Qanat. It need not exist.</summary>
    public string? OutlookFolder { get; init; }

    /// <summary>A session without a request for this long must sign in again.</summary>
    public TimeSpan SessionIdleMax { get; init; } = TimeSpan.FromHours(12);

    /// <summary>Wrong keys one address may try within a minute before it has to wait.</summary>
    public int SignInFailuresPerMinuteMax { get; init; } = 8;

    /// <summary>The largest message a browser may send on its live connection: bounds what can be typed into the playground.</summary>
    public int BrowserMessageBytesMax { get; init; } = 1 << 20;
}
