using Qanat.Books;
using Qanat.Gateway;

namespace Qanat.Console;

/// <summary>What a page says when something fails: the message of errors that were written for people, a plain sentence for all others.</summary>
public static class Sentences
{
    public static string For(Exception error) => error switch
    {
        ApiException or StoreException or FormatException => error.Message,
        OperationCanceledException => "It was stopped before it finished.",
        _ => $"Something unexpected happened ({error.GetType().Name}). The server's log has the details.",
    };
}
