using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using CsCheck;

namespace Qanat.Models.Tests;

public sealed class AnswerReaderTests
{
    private static readonly ImmutableArray<ToolDefinition> s_tools =
    [
        new("weather", "Of a city", """{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"},"units":{"enum":["C","F"]}},"required":["city"]}"""),
        new("write", null, """{"type":"object","properties":{"path":{"type":"string"},"text":{"type":"string"},"mode":{"type":["integer","null"]},"flag":{"type":"boolean"},"tags":{"type":"array"},"any":{}}}"""),
    ];

    /// <summary>What was read, with pieces of the same kind joined: "(thought)", text, "[index name arguments]".</summary>
    private static string Read(string answer, bool opensThinking, bool wasCut, params IEnumerable<int> cuts)
    {
        var reader = new AnswerReader(opensThinking, s_tools, index => $"id{index}");
        var pieces = new List<AnswerPiece>();
        int from = 0;
        foreach (int cut in cuts.Order().Append(answer.Length))
        {
            pieces.AddRange(reader.Add(answer[from..cut]));
            from = cut;
        }
        pieces.AddRange(reader.Finish(wasCut));
        return Show(pieces);
    }

    private static string Show(IEnumerable<AnswerPiece> pieces)
    {
        var shown = new StringBuilder();
        Type? last = null;
        foreach (AnswerPiece piece in pieces)
        {
            if (last == typeof(ReasoningPiece) && piece is not ReasoningPiece) shown.Append(')');
            if (last == typeof(ToolCallArguments) && piece is not ToolCallArguments) shown.Append(']');
            if (piece is ReasoningPiece && last != typeof(ReasoningPiece)) shown.Append('(');
            shown.Append(piece switch
            {
                TextPiece text => text.Text,
                ReasoningPiece thought => thought.Text,
                ToolCallStart start => $"[{start.Index} {start.Id} {start.Name} ",
                ToolCallArguments more => more.Fragment,
                _ => "?",
            });
            last = piece.GetType();
        }
        return shown.Append(last == typeof(ReasoningPiece) ? ")" : last == typeof(ToolCallArguments) ? "]" : "").ToString();
    }

    [Theory]
    [InlineData("Hello\n", "Hello\n")]
    [InlineData("<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Yazd\"}}\n</tool_call>", "[0 id0 weather {\"city\": \"Yazd\"}]")]
    [InlineData("Let me see.\n\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {}}\n</tool_call>\n", "Let me see.[0 id0 weather {}]")]
    [InlineData("<tool_call>{\"arguments\": {\"city\": \"Bam\"}, \"name\": \"weather\"}</tool_call>", "[0 id0 weather {\"city\": \"Bam\"}]")]
    [InlineData("<tool_call>{\"name\": \"weather\", \"arguments\": \"{\\\"city\\\": \\\"Bam\\\"}\"}</tool_call>", "[0 id0 weather {\"city\": \"Bam\"}]")]
    [InlineData("<tool_call>{\"name\": \"weather\"}</tool_call>", "[0 id0 weather {}]")]
    [InlineData("<tool_call>{\"name\": \"a\", \"arguments\": {}}</tool_call>\n<tool_call>\n{\"name\": \"b\", \"arguments\": {\"x\": [1, {}]}}\n</tool_call>", "[0 id0 a {}][1 id1 b {\"x\": [1, {}]}]")]
    [InlineData("<tool_call>{\"name\": \"a\", \"arguments\": {}}\n</tool_call>\n\nDone.", "[0 id0 a {}]Done.")]
    [InlineData("<tool_call>{\"name\": \"a\", \"arguments\": {\"x\": 1}", "[0 id0 a {\"x\": 1}]")]
    [InlineData("<tool_call>{\"name\": \"a\", \"arguments\": {\"x\": 1}\n</tool_call> and", "[0 id0 a {\"x\": 1}]and")]
    [InlineData("<tool_call>{\"name\": \"a\", \"arguments\": {\"x\": 1}}}\n</tool_call>", "[0 id0 a {\"x\": 1}]")]
    [InlineData("<tool_call>{\"name\": \"a\", \"arguments\": {\"x\": \"two\nlines</tool_call>\"}}</tool_call>", "[0 id0 a {\"x\": \"two\\nlines</tool_call>\"}]")]
    [InlineData("<tool_call>\n{\"name\": \"a\"; }\n</tool_call>", "<tool_call>\n{\"name\": \"a\"; }\n</tool_call>")]
    [InlineData("so:\n<tool_call>none</tool_call>", "so:\n<tool_call>none</tool_call>")]
    [InlineData("a <tool_call> b", "a <tool_call> b")]
    [InlineData("<tool_call>{\"name\": \"a", "<tool_call>{\"name\": \"a")]
    [InlineData("<tool_call>{\"name\": \"a\", \"arguments\": {\"x\": nope}}</tool_call>!", "[0 id0 a {\"x\": nope}}]!")]
    [InlineData("<tool_call>{\"name\": \"\", \"arguments\": {}}</tool_call>", "<tool_call>{\"name\": \"\", \"arguments\": {}}</tool_call>")]
    [InlineData("<tool_ca", "<tool_ca")]
    [InlineData("1 < 2 <tool", "1 < 2 <tool")]
    public void Calls_in_json_are_read(string answer, string expected) => Assert.Equal(expected, Read(answer, opensThinking: false, wasCut: false));

    [Theory]
    [InlineData("<tool_call>\n<function=weather>\n<parameter=city>\nYazd\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>", "[0 id0 weather {\"city\": \"Yazd\", \"days\": 3}]")]
    [InlineData("<tool_call>\n<function=weather>\n</function>\n</tool_call>", "[0 id0 weather {}]")]
    [InlineData("<tool_call><function=weather><parameter=city>3</parameter><parameter=units>C</parameter></function></tool_call>", "[0 id0 weather {\"city\": \"3\", \"units\": \"C\"}]")]
    [InlineData("<tool_call>\n<function=write>\n<parameter=text>\nif (a < b) \"\\x\"\n\n</parameter> no\n</parameter>\n</function>\n</tool_call>", "[0 id0 write {\"text\": \"if (a < b) \\\"\\\\x\\\"\\n\\n</parameter> no\"}]")]
    [InlineData("<tool_call>\n<function=write>\n<parameter=flag>\nTrue\n</parameter>\n<parameter=mode>\nnull\n</parameter>\n<parameter=tags>\n[\"a\", 1]\n</parameter>\n</function>\n</tool_call>", "[0 id0 write {\"flag\": true, \"mode\": null, \"tags\": [\"a\", 1]}]")]
    [InlineData("<tool_call>\n<function=write>\n<parameter=mode>\nx\ny\n</parameter>\n<parameter=new>\n5\n</parameter>\n</function>\n</tool_call>", "[0 id0 write {\"mode\": \"x\\ny\", \"new\": \"5\"}]")]
    [InlineData("I do.\n<function=weather>\n<parameter=city>\nBam\n</parameter>\n</function>\n</tool_call>\nBye", "I do.[0 id0 weather {\"city\": \"Bam\"}]Bye")]
    [InlineData("I use <function=weather> here", "I use <function=weather> here")]
    [InlineData("<function=other>\n", "<function=other>\n")]
    [InlineData("<tool_call>\n<function=weather>\n<parameter=city>\nBam\n</function>\n</tool_call>", "[0 id0 weather {\"city\": \"Bam\"}]")]
    [InlineData("<tool_call>\n<function=weather>\n<parameter=city>\nBam", "[0 id0 weather {\"city\": \"Bam\"}]")]
    [InlineData("<tool_call>\n<function=weather>\n<parameter=city>\nBam\n</parameter>\n", "[0 id0 weather {\"city\": \"Bam\"}]")]
    [InlineData("<tool_call>\n<function=weather>\nwhat\n</function>", "[0 id0 weather {}]what\n</function>")]
    [InlineData("<tool_call>\n<function=", "<tool_call>\n<function=")]
    [InlineData("<tool_call>\n<func>", "<tool_call>\n<func>")]
    public void Calls_in_tags_are_read_and_their_values_become_what_the_schema_says(string answer, string expected) => Assert.Equal(expected, Read(answer, opensThinking: false, wasCut: false));

    [Theory]
    [InlineData("<tool_call>\n<function=weather>\n<parameter=city>\nBam\n", "[0 id0 weather {\"city\": \"Bam\\n]")]
    [InlineData("<tool_call>\n<function=weather>\n<parameter=city>\nBam\n</parameter>", "[0 id0 weather {\"city\": \"Bam\"]")]
    [InlineData("<tool_call>\n<function=weather>\n<parameter=days>\n12", "[0 id0 weather {\"days\": ]")]
    [InlineData("<tool_call>{\"name\": \"a\", \"arguments\": {\"x\": \"y", "[0 id0 a {\"x\": \"y]")]
    public void A_call_that_a_limit_cuts_off_stays_open(string answer, string expected) => Assert.Equal(expected, Read(answer, opensThinking: false, wasCut: true));

    [Theory]
    [InlineData(false, "<think>\nhm\n</think>\n\n<tool_call>\n{\"name\": \"a\", \"arguments\": {}}\n</tool_call>", "(hm)[0 id0 a {}]")]
    [InlineData(true, "I call it.\n<tool_call>\n<function=weather>\n</function>\n</tool_call>", "(I call it.)[0 id0 weather {}]")]
    [InlineData(true, "There is <tool_call> to use\n</think>\n\nNo.", "(There is <tool_call> to use)No.")]
    [InlineData(true, "never closed", "(never closed)")]
    public void Calls_end_thoughts(bool opened, string answer, string expected) => Assert.Equal(expected, Read(answer, opened, wasCut: false));

    /// <summary>Answers put together from the words of the formats, so that most are broken in some way.</summary>
    private static readonly string[] s_words =
    [
        "<think>", "</think>", "<tool_call>", "</tool_call>", "<function=", "weather>", "write>", "</function>", "<parameter=", "city>", "text>", "days>", "tags>", "</parameter>", "\n", " ", "<", ">", "x", "é", "𝄞",
        "{\"name\": \"weather\", \"arguments\": ", "{\"city\": \"B\\u0061m\"}", "{\"x\": [1, -2.5e3, true, null, \"\\\"\\n\"]}", "}", "{", "[", "]", "\"", "\\", ",", ":", "12", "true", "null", "\"arguments\"",
        "<tool_call>\n<function=write>\n<parameter=text>\n", "\n</parameter>\n</function>\n</tool_call>", "<tool_call>\n{\"name\": \"write\", \"arguments\": {\"text\": \"",
    ];

    private static readonly Gen<string> s_answers = Gen.Int[0, s_words.Length - 1].Select(index => s_words[index]).Array[0, 14].Select(words => string.Concat(words));

    [Fact]
    public void The_same_is_read_however_the_answer_is_cut() =>
        Gen.Select(s_answers, Gen.Bool, Gen.Bool, Gen.Int[0, 1000].Array[0, 12]).Sample((answer, opened, wasCut, cuts) =>
        {
            string whole = Read(answer, opened, wasCut);
            Assert.Equal(whole, Read(answer, opened, wasCut, cuts.Select(cut => cut % (answer.Length + 1))));
            Assert.Equal(whole, Read(answer, opened, wasCut, Enumerable.Range(0, answer.Length)));
        }, iter: 5000);

    [Fact]
    public void Nothing_but_marks_and_white_space_is_lost() =>
        Gen.Select(s_answers, Gen.Bool).Sample((answer, opened) =>
        {
            string read = Read(answer, opened, wasCut: false);
            foreach (char kept in "xé")
                Assert.True(read.Count(unit => unit == kept) >= answer.Replace("<tool", "", StringComparison.Ordinal).Count(unit => unit == kept), read);
        }, iter: 2000);

    [Fact]
    public void Written_calls_come_back_as_they_were() =>
        Gen.Select(Gen.String, Gen.String, Gen.Int).Sample((text, other, number) =>
        {
            string arguments = JsonSerializer.Serialize(new Dictionary<string, object> { ["text"] = text, [other] = number, ["list"] = new object?[] { text, number, null, true } });
            Assert.Equal($"[0 id0 write {arguments}]", Read($"<tool_call>\n{{\"name\": \"write\", \"arguments\": {arguments}}}\n</tool_call>", opensThinking: false, wasCut: false));

            string safe = text.Replace("</", "< /", StringComparison.Ordinal);
            string read = Read($"<tool_call>\n<function=write>\n<parameter=text>\n{safe}\n</parameter>\n</function>\n</tool_call>", opensThinking: false, wasCut: false);
            using JsonDocument value = JsonDocument.Parse(read["[0 id0 write ".Length..^1]);
            Assert.Equal(Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(safe)), value.RootElement.GetProperty("text").GetString());
        }, iter: 500);
}
