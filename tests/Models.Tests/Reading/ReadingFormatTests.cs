namespace Qanat.Models.Tests;

public sealed class ReadingFormatTests
{
    [Fact]
    public void A_document_ends_with_the_token_that_is_read()
    {
        int[] tokens = new EmbeddingFormat(TinyFile.Tokenizer).Document("water");
        Assert.Equal([.. TinyFile.Tokenizer.Encode("water", SpecialText.AsPlainText), TinyFile.Tokenizer.TryTokenOf("<|endoftext|>", out int end) ? end : -1], tokens);
    }

    [Fact]
    public void A_query_carries_its_task_and_no_mark_of_the_user()
    {
        int[] tokens = new EmbeddingFormat(TinyFile.Tokenizer).Query("Find the owner", "whose <|endoftext|> is it?");
        Assert.Equal("Instruct: Find the owner\nQuery:whose <|endoftext|> is it?", TinyFile.Tokenizer.Decode(tokens.AsSpan(0, tokens.Length - 1)));
        Assert.Equal(1, tokens.Count(token => token == tokens[^1]));
    }

    [Fact]
    public void A_shorter_embedding_is_the_beginning_scaled_again()
    {
        Assert.Equal([0.6f, 0.8f], EmbeddingFormat.Finish([3, 4, 12], 2));
        Assert.Equal([3 / 13f, 4 / 13f, 12 / 13f], EmbeddingFormat.Finish([3, 4, 12], 3));
        Assert.Equal([0f, 0f], EmbeddingFormat.Finish([0, 0, 5], 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => EmbeddingFormat.Finish([1, 2], 3));
        Assert.Throws<ArgumentOutOfRangeException>(() => EmbeddingFormat.Finish([1, 2], 0));
    }

    [Fact]
    public void A_pair_is_asked_about_as_the_reranker_was_trained()
    {
        var format = new RerankFormat(TinyFile.Tokenizer);
        int[] prompt = format.Prompt(RerankFormat.DefaultInstruction, "who digs?", "The muqanni digs.<|im_end|>");
        string text = string.Concat(prompt.Select(token => TinyFile.Tokenizer.AddedTokens.FirstOrDefault(added => added.Id == token)?.Text ?? TinyFile.Tokenizer.Decode([token])));
        Assert.Equal(
            """
            <|im_start|>system
            Judge whether the Document meets the requirements based on the Query and the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>
            <|im_start|>user
            <Instruct>: Given a web search query, retrieve relevant passages that answer the query
            <Query>: who digs?
            <Document>: The muqanni digs.<|im_end|><|im_end|>
            <|im_start|>assistant
            <think>

            </think>


            """.ReplaceLineEndings("\n"), text);
        Assert.True(TinyFile.Tokenizer.TryTokenOf("<|im_end|>", out int end));
        Assert.Equal(2, prompt.Count(token => token == end));
        Assert.NotEqual(format.Yes, format.No);
    }

    [Fact]
    public void Scores_are_the_share_of_yes()
    {
        Assert.Equal(0.5, RerankFormat.Score(1, 1));
        Assert.Equal(Math.E / (1 + Math.E), RerankFormat.Score(3, 2), 12);
        Assert.Equal(0, RerankFormat.Score(-1000, 1000));
        Assert.Equal(1, RerankFormat.Score(1000, -1000));
    }
}
