using Qanat.Books;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Gateway.Tests;

public sealed class UpstreamCallTests
{
    [Fact]
    public void Text_that_came_together_is_told_together_and_counted_piece_by_piece()
    {
        Caller caller = Callers.With();
        Call asked = new(caller, Operation.Chat, new ModelName("m"), [], 2, 64, new SamplingOptions(), [], 0, false, null) { Conversation = Conversation.Of(new ChatMessage(ChatRole.User, "hi")) };
        Hold hold = new(RequestId.New(TimeProvider.System), new Instant(0), new Party(caller.Tenant.Id, caller.Project.Id, caller.Key.Id, null), asked.Model, UpstreamSpec.DeploymentOf("a"), Operation.Chat, null, Money.Zero(Currency.Usd));
        UpstreamCall call = new(hold, asked, new Reservation([], hold.Amount), 64, 64, new OwnCount(asked, null));
        List<CallEvent> told = [];
        bool done = call.Take([Text(0, "a"), Text(0, "b"), Text(1, "c"), Text(0, "d"), new UpstreamPieces(0, [new ReasoningPiece("e")], 0), Text(0, "f"), Text(0, "g") with { Logprobs = ["{}"] }, Text(0, "h"), new UpstreamFinish(0, AnswerEnd.Stop)], told);
        Assert.False(done);
        Assert.Equal(["0 ab", "1 c", "0 d", "0 (e)", "0 f", "0 g{}", "0 h", "end 0"], told.Select(Words));
        Assert.Equal(7, call.MostGenerated);

        static UpstreamPieces Text(int choice, string text) => new(choice, [new TextPiece(text)], 0);

        static string Words(CallEvent happened) => happened switch
        {
            Delta delta => $"{delta.Choice} {string.Concat(delta.Pieces.Select(piece => piece is ReasoningPiece thought ? $"({thought.Text})" : ((TextPiece)piece).Text))}{string.Concat(delta.ToldLogprobs)}",
            ChoiceFinished finished => $"end {finished.Choice}",
            _ => "?",
        };
    }
}
