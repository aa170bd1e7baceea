using System.Collections.Immutable;
using Qanat.Books;
using Qanat.Engine;
using Qanat.Gateway;
using Qanat.Models;

namespace Qanat.Console;

/// <summary>Sends a conversation through the pipeline that also serves the API: held, metered, priced and costed like every other request.</summary>
public sealed class PlaygroundCalls(DirectoryState directory, ServedModels models, RunCall run, SeedSource seeds)
{
    /// <summary>Marks these requests in the books.</summary>
    public const string UserTag = "playground";

    public IReadOnlyList<ServedModel> Models => models.All;

    /// <exception cref="ApiException">The key is no longer there, or the conversation does not fit the model.</exception>
    public IAsyncEnumerable<CallEvent> Run(PlayRequest request, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(request);
        ServedModel model = models.Find(request.Model.Value);
        var conversation = new Models.Conversation(Messages(request));
        ImmutableArray<int> prompt = [.. model.RenderChat(conversation)];
        var sampling = new SamplingOptions { Temperature = request.Temperature, TopP = request.TopP, TopK = request.TopK, Seed = request.Seed ?? seeds.Next() };
        return run(new Call(CallerOf(request.Key), Operation.Chat, model.Name, prompt, 1, request.TokensMax, sampling, [], -1, IgnoreStopTokens: false, UserTag) { Conversation = conversation }, cancel);
    }

    private Caller CallerOf(KeyId id)
    {
        DirectoryModel now = directory.Current;
        if (now.FindKey(id) is { } key && directory.Works(key)) return new Caller(now.Tenant(key.Tenant), now.Project(key.Project), key);
        throw new ApiException(400, "invalid_request_error", "key_revoked", "The chosen key is revoked: choose another one.");
    }

    private static ImmutableArray<ChatMessage> Messages(PlayRequest request)
    {
        List<ChatMessage> messages = [.. request.Turns.Select(turn => new ChatMessage(turn.FromUser ? ChatRole.User : ChatRole.Assistant, turn.Text))];
        if (!string.IsNullOrWhiteSpace(request.System)) messages.Insert(0, new ChatMessage(ChatRole.System, request.System.Trim()));
        return [.. messages];
    }
}

public sealed record PlayTurn(bool FromUser, string Text);

/// <param name="Key">Whose request it is and who pays.</param> <param name="Seed">Null: drawn.</param>
public sealed record PlayRequest(KeyId Key, ModelName Model, string System, ImmutableArray<PlayTurn> Turns, int TokensMax, float Temperature, float TopP, int TopK, ulong? Seed);
