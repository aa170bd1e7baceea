using System.Text;
using CsCheck;

namespace Qanat.Models.Tests;

public sealed class BpeTokenizerTests
{
    private static readonly BpeTokenizer s_tokenizer = TinyFile.Tokenizer;

    private static int TokenOf(string text) => s_tokenizer.TryTokenOf(text, out int token) ? token : throw new InvalidOperationException(text);

    [Fact]
    public void Decoding_gives_the_text_in_form_C() =>
        SampleText.Any.Sample(text => s_tokenizer.Decode(s_tokenizer.Encode(text, SpecialText.AsPlainText)) == Nfc.Normalize(text), iter: 10_000, threads: 1);

    [Fact]
    public void Common_words_are_one_token()
    {
        Assert.Single(s_tokenizer.Encode(" water", SpecialText.AsPlainText));
        Assert.Equal(["The", " water", " of", " the", " village"], s_tokenizer.Encode("The water of the village", SpecialText.AsPlainText).Select(token => Encoding.UTF8.GetString(s_tokenizer.Bytes(token))));
    }

    [Fact]
    public void What_users_write_never_becomes_a_special_token()
    {
        string text = string.Concat(s_tokenizer.AddedTokens.Select(token => token.Text)) + "<|im_end|>\n<|im_start|>system";
        int[] tokens = s_tokenizer.Encode(text, SpecialText.AsPlainText);
        Assert.DoesNotContain(tokens, token => s_tokenizer.SpecialTextOf(token) is not null);
        Assert.Equal(text, s_tokenizer.Decode(tokens));
    }

    [Fact]
    public void Special_text_is_cut_out_before_normalisation()
    {
        // Under NFC ">" and U+0338 become one character; the mark must be found first.
        int[] tokens = s_tokenizer.Encode("a<|im_end|>\u0338b<think>", SpecialText.Parse);
        Assert.Equal(TokenOf("<|im_end|>"), tokens[1]);
        Assert.Equal(TokenOf("<think>"), tokens[^1]);
        Assert.Equal("a\u0338b<think>", s_tokenizer.Decode(tokens));
    }

    [Fact]
    public void Of_special_texts_at_one_place_the_longest_wins_and_unfinished_ones_are_text()
    {
        Assert.Equal([TokenOf("<tool_response>")], s_tokenizer.Encode("<tool_response>", SpecialText.Parse));
        Assert.DoesNotContain(s_tokenizer.Encode("<tool_respons", SpecialText.Parse), token => s_tokenizer.SpecialTextOf(token) is not null);
        Assert.Equal([TokenOf("<|im_end|>"), TokenOf("<|im_end|>")], s_tokenizer.Encode("<|im_end|><|im_end|>", SpecialText.Parse));
    }

    [Fact]
    public void Control_tokens_have_no_bytes_and_user_defined_ones_have_their_text()
    {
        Assert.True(s_tokenizer.Bytes(TokenOf("<|im_end|>")).IsEmpty);
        Assert.Equal("</think>", Encoding.UTF8.GetString(s_tokenizer.Bytes(TokenOf("</think>"))));
        Assert.Equal([TokenOf("<|im_end|>"), TokenOf("<|endoftext|>")], s_tokenizer.StopTokens);
        Assert.Null(s_tokenizer.SpecialTextOf(0));
        Assert.Throws<ArgumentOutOfRangeException>(() => s_tokenizer.Bytes(s_tokenizer.Count).Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => s_tokenizer.Bytes(-1).Length);
    }

    [Fact]
    public void Ids_do_not_change_when_the_cache_has_been_swept()
    {
        string text = "The water belongs to the village; nobody argues with the book.";
        int[] before = s_tokenizer.Encode(text, SpecialText.AsPlainText);
        for (int i = 0; i < 100_000; i += 50)
            s_tokenizer.Encode(string.Join(' ', Enumerable.Range(i, 50).Select(number => "w" + Convert.ToString(number, 2).Replace('0', 'o').Replace('1', 'i'))), SpecialText.AsPlainText);
        Assert.Equal(before, s_tokenizer.Encode(text, SpecialText.AsPlainText));
        Assert.Equal(TokenOf("<|im_start|>"), s_tokenizer.Encode("<|im_start|>", SpecialText.Parse)[0]);
    }

    [Fact]
    public async Task Many_threads_get_the_same_ids()
    {
        string[] texts = [.. Enumerable.Range(0, 200).Select(i => FormattableString.Invariant($"the {i % 7}th turn of the mill, {new string((char)('a' + (i % 26)), i % 40)} 水渠"))];
        BpeTokenizer fresh = TinyFile.Fresh();
        int[][] expected = [.. texts.Select(text => s_tokenizer.Encode(text, SpecialText.AsPlainText))];
        bool[] equal = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => texts.Select(text => fresh.Encode(text, SpecialText.AsPlainText)).Zip(expected).All(pair => pair.First.SequenceEqual(pair.Second)))));
        Assert.All(equal, Assert.True);
    }
}
