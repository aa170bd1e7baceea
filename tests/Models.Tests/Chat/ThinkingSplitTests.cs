using CsCheck;

namespace Qanat.Models.Tests;

public sealed class ThinkingSplitTests
{
    [Theory]
    [InlineData(false, "plain answer", "", "plain answer")]
    [InlineData(false, "\n plain", "", "\n plain")]
    [InlineData(false, "<think>\na\n\nb\n</think>\n\nc\n", "a\n\nb", "c\n")]
    [InlineData(false, "\n<think>a</think>b", "a", "b")]
    [InlineData(false, "<think>\n\n</think>\n\nb", "", "b")]
    [InlineData(false, "<think>never closed </thin", "never closed </thin", "")]
    [InlineData(false, "<thin", "", "<thin")]
    [InlineData(false, "a <think>b</think>", "", "a <think>b</think>")]
    [InlineData(true, "a\n</think>\n\nb</think>", "a", "b</think>")]
    [InlineData(true, "all thought", "all thought", "")]
    [InlineData(false, "", "", "")]
    public void Thoughts_and_answer_are_told_apart_however_the_text_is_cut(bool opened, string text, string reasoning, string content)
    {
        Gen.Int[0, Math.Max(0, text.Length)].Array[0, 6].Sample(cuts =>
        {
            ThinkingSplit split = new(opened, callEndsThinking: false);
            List<SplitText> pieces = [];
            int from = 0;
            foreach (int cut in cuts.Order().Append(text.Length))
            {
                pieces.Add(split.Add(text[from..cut]));
                from = cut;
            }
            pieces.Add(split.Finish());
            Assert.Equal(reasoning, string.Concat(pieces.Select(piece => piece.Reasoning)));
            Assert.Equal(content, string.Concat(pieces.Select(piece => piece.Content)));
        }, iter: 300);
    }
}
