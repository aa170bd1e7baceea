// Where buttons are is not told by anything else; a change of these types is seen when this no longer compiles.
#pragma warning disable BL0006
using System.Globalization;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Authorization;
using Microsoft.AspNetCore.Components.Rendering;
using Microsoft.AspNetCore.Components.RenderTree;
using Microsoft.AspNetCore.Components.Web;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.JSInterop;

namespace Qanat.Cli.Tests;

/// <summary>Draws a page of the running server as its live connection would, and raises the events of what is on it, without a browser.</summary>
internal sealed class PageDriver : Renderer
{
    private const int PressesMax = 400;
    private readonly List<Exception> faults = [];
    private TaskCompletionSource drawn = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="services">Of a scope of the server.</param>
    public PageDriver(IServiceProvider services) : base(new Surroundings(services), NullLoggerFactory.Instance)
    {
    }

    public override Dispatcher Dispatcher { get; } = Dispatcher.CreateDefault();

    protected override RendererInfo RendererInfo { get; } = new("Server", isInteractive: true);

    /// <summary>What handlers threw: on a live page it would have ended the connection.</summary>
    public IReadOnlyList<Exception> Faults => faults;

    protected override void HandleException(Exception exception) => faults.Add(exception);

    protected override Task UpdateDisplayAsync(in RenderBatch renderBatch)
    {
        TaskCompletionSource before = drawn;
        drawn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        before.SetResult();
        return Task.CompletedTask;
    }

    /// <param name="shownAs">Whose buttons are shown; who acts is what the scope says.</param>
    public Task<int> ShowAsync(Type page, IReadOnlyDictionary<string, object?> parameters, AuthenticationState shownAs) => Dispatcher.InvokeAsync(async () =>
    {
        int root = AssignRootComponentId(new Stage(page, parameters, Task.FromResult(shownAs)));
        await RenderRootComponentAsync(root);
        return root;
    });

    /// <summary>Fills in every field and presses every button once, those too that appear by it. Returns how many there were.</summary>
    /// <param name="fieldsMax">Fields that are filled in; the others are left alone.</param>
    public async Task<int> PressEverythingAsync(int root, int fieldsMax = int.MaxValue)
    {
        HashSet<string> done = [];
        int fields = 0;
        while (done.Count < PressesMax)
        {
            // Found and pressed in one turn: drawing again in between gives every handler another number, and the press would reach nobody.
            bool isOver = await Dispatcher.InvokeAsync(async () =>
            {
                Handler[] open = [.. HandlersOf(root, "").Where(each => !done.Contains(each.Place) && (each.Event != "onchange" || fields < fieldsMax))];
                if (open.Length == 0)
                {
                    if (!IsReading(root)) return true;
                    await drawn.Task;
                    return false;
                }
                // Fields first, so that there is something to send, and forms before the buttons that close them.
                Handler next = open.MinBy(each => each.Event switch { "onchange" => 0, "onsubmit" => 1, _ => 2 })!;
                done.Add(next.Place);
                if (next.Event == "onchange") fields++;
                await DispatchEventAsync(next.Id, null, next.Event == "onchange" ? new ChangeEventArgs { Value = next.Value } : next.Event == "onclick" ? new MouseEventArgs() : EventArgs.Empty);
                return false;
            }).WaitAsync(TimeSpan.FromSeconds(60));
            if (isOver) break;
        }
        return done.Count;
    }

    /// <summary>Whether any part of the page still shows that it reads: it may bring more to press.</summary>
    private bool IsReading(int component)
    {
        ArrayRange<RenderTreeFrame> frames = GetCurrentRenderTreeFrames(component);
        for (int index = 0; index < frames.Count; index++)
        {
            RenderTreeFrame frame = frames.Array[index];
            if (frame is { FrameType: RenderTreeFrameType.Attribute, AttributeName: "aria-busy" }) return true;
            if (frame is { FrameType: RenderTreeFrameType.Component, ComponentId: not 0 } && IsReading(frame.ComponentId)) return true;
        }
        return false;
    }

    private IEnumerable<Handler> HandlersOf(int component, string place)
    {
        ArrayRange<RenderTreeFrame> frames = GetCurrentRenderTreeFrames(component);
        Dictionary<int, int> times = [];
        int element = 0;
        for (int index = 0; index < frames.Count; index++)
        {
            RenderTreeFrame frame = frames.Array[index];
            int time = times[frame.Sequence] = times.GetValueOrDefault(frame.Sequence) + 1;
            if (frame.FrameType == RenderTreeFrameType.Element) element = index;
            if (frame.FrameType == RenderTreeFrameType.Component)
            {
                // The stage itself, by which one is named that could not be drawn: the fault is told.
                if (frame.ComponentId == 0) continue;
                foreach (Handler inner in HandlersOf(frame.ComponentId, string.Create(CultureInfo.InvariantCulture, $"{place}/{frame.ComponentType.Name}{frame.Sequence}.{time}"))) yield return inner;
            }
            else if (frame is { FrameType: RenderTreeFrameType.Attribute, AttributeEventHandlerId: > 0 } && frame.AttributeName is "onclick" or "onsubmit" or "onchange")
                yield return new Handler(frame.AttributeEventHandlerId, frame.AttributeName, ValueFor(frames, element), string.Create(CultureInfo.InvariantCulture, $"{place}:{frame.AttributeName}{frame.Sequence}.{time}"));
        }
    }

    /// <summary>What somebody may put into a field: the last choice of a list, else a number, which is a name and an amount too.</summary>
    private static string ValueFor(ArrayRange<RenderTreeFrame> frames, int element)
    {
        RenderTreeFrame owner = frames.Array[element];
        if (owner is not { FrameType: RenderTreeFrameType.Element, ElementName: "select" }) return "5";
        return frames.Array.AsSpan(element + 1, owner.ElementSubtreeLength - 1).ToArray().LastOrDefault(each => each is { FrameType: RenderTreeFrameType.Attribute, AttributeName: "value", AttributeValue: string }).AttributeValue as string ?? "";
    }

    private sealed record Handler(ulong Id, string Event, string Value, string Place);

    /// <summary>Shows a page to somebody.</summary>
    private sealed class Stage(Type page, IReadOnlyDictionary<string, object?> parameters, Task<AuthenticationState> shownAs) : ComponentBase
    {
        protected override void BuildRenderTree(RenderTreeBuilder builder)
        {
            builder.OpenComponent<CascadingValue<Task<AuthenticationState>>>(0);
            builder.AddComponentParameter(1, "Value", shownAs);
            builder.AddComponentParameter(2, "ChildContent", (RenderFragment)(inner =>
            {
                inner.OpenComponent(0, page);
                foreach ((string name, object? value) in parameters) inner.AddComponentParameter(1, name, value);
                inner.CloseComponent();
            }));
            builder.CloseComponent();
        }
    }

    /// <summary>The server's services, but for the browser.</summary>
    private sealed class Surroundings(IServiceProvider server) : IServiceProvider
    {
        private readonly Address address = new();

        public object? GetService(Type serviceType) => serviceType == typeof(IJSRuntime) ? NoBrowser.Instance : serviceType == typeof(NavigationManager) ? address : server.GetService(serviceType);
    }

    private sealed class NoBrowser : IJSRuntime
    {
        public static readonly NoBrowser Instance = new();

        public ValueTask<TValue> InvokeAsync<TValue>(string identifier, object?[]? args) => ValueTask.FromResult<TValue>(default!);
        public ValueTask<TValue> InvokeAsync<TValue>(string identifier, CancellationToken cancellationToken, object?[]? args) => ValueTask.FromResult<TValue>(default!);
    }

    private sealed class Address : NavigationManager
    {
        public Address() => Initialize("http://localhost/", "http://localhost/");

        protected override void NavigateToCore(string uri, NavigationOptions options)
        {
            // It stays where it is.
        }
    }
}
