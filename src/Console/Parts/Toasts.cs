namespace Qanat.Console;

/// <summary>Short notes about what was just done, on one live page.</summary>
public sealed class Toasts(TimeProvider clock)
{
    /// <summary>More than this many at once push the oldest out.</summary>
    public const int ShownMax = 3;
    private static readonly TimeSpan ShownFor = TimeSpan.FromSeconds(5);
    private readonly List<Toast> shown = [];

    public event EventHandler? Changed;

    public IReadOnlyList<Toast> Shown => shown;

    public void Tell(string text) => Add(new Toast(text, ToastKind.Done));
    public void Warn(string text) => Add(new Toast(text, ToastKind.Problem));

    public void Dismiss(Toast toast)
    {
        shown.Remove(toast);
        Changed?.Invoke(this, EventArgs.Empty);
    }

    private void Add(Toast toast)
    {
        shown.Add(toast);
        if (shown.Count > ShownMax) shown.RemoveAt(0);
        Changed?.Invoke(this, EventArgs.Empty);
    }

    /// <summary>Completes when a note has been read long enough; problems stay until they are dismissed.</summary>
    public async Task FadeAsync(Toast toast, CancellationToken cancel)
    {
        if (toast.Kind == ToastKind.Problem) return;
        await Task.Delay(ShownFor, clock, cancel);
        Dismiss(toast);
    }
}

public enum ToastKind { Done, Problem }

public sealed class Toast(string text, ToastKind kind)
{
    public string Text { get; } = text;
    public ToastKind Kind { get; } = kind;
}
