using System.Text.Json;
using System.Text.RegularExpressions;

namespace Qanat.Models.Tests;

public sealed class StructureTests
{
    private static readonly BpeTokenizer s_tokenizer = TinyFile.Tokenizer;
    private static readonly ChatFormat s_format = ChatFormat.ForQwen3(s_tokenizer, "plain");

    private static AnswerConstraint Constraint(AnswerFormat format) => s_format.Constraint(Conversation.Of(new ChatMessage(ChatRole.User, "Hi")) with { Format = format })!;
    private static AnswerConstraint Schema(string schema) => Constraint(new JsonSchemaFormat("answer", schema));

    [Theory]
    [InlineData("""{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a"],"additionalProperties":false}""", "{\"a\": 1}|{\"a\": -20, \"b\": \"x\\n\"}|{\"a\":0}|{\n  \"a\": 1,\n  \"b\": \"\"\n}", "{}|{\"b\": \"\"}|{\"a\": 1.5}|{\"a\": 1, \"c\": 2}|{\"a\": 01}|{\"a\": 1|[1]")]
    [InlineData("""{"type":"array","items":{"enum":["x","y",3,null]},"minItems":1,"maxItems":2}""", "[\"x\"]|[3, null]|[\"y\",\"y\"]", "[]|[\"z\"]|[3, 3, 3]|[3,]")]
    [InlineData("""{"type":"array","prefixItems":[{"type":"boolean"},{"type":"null"}],"items":false}""", "[]|[true]|[false, null]", "[null]|[true, null, 1]")]
    [InlineData("""{"type":"integer","minimum":-5,"exclusiveMaximum":120}""", "-5|-1|0|7|99|119", "-6|120|1000|1.0|-0|007")]
    [InlineData("""{"type":"number","minimum":0.25,"maximum":3}""", "0.25|0.3|1|2.718|3|2.999999", "0.2|0|3.1|4|-1")]
    [InlineData("""{"type":"integer","multipleOf":7}""", "0|7|-14|49|700", "1|8|-15|701")]
    [InlineData("""{"type":"integer","multipleOf":5,"minimum":11}""", "15|20|1000", "10|5|16|-15")]
    [InlineData("""{"type":"integer","multipleOf":5,"maximum":-3,"exclusiveMinimum":-100000}""", "-5|-99995", "0|5|-1|-100000")]
    [InlineData("""{"type":"integer","allOf":[{"multipleOf":4},{"multipleOf":6}]}""", "12|-24", "4|6|18")]
    [InlineData("""{"type":"number","multipleOf":0.1,"minimum":0,"maximum":1}""", "0|0.3|0.7|1", "0.35|1.1|-0.1")]
    [InlineData("""{"type":"number","multipleOf":0.01,"minimum":0}""", "19.99|0.5|7|3.10", "0.001|-1|19.999")]
    [InlineData("""{"type":"number","multipleOf":0.25}""", "1.5|-2.75|3", "0.3|1.55")]
    [InlineData("""{"type":"number","multipleOf":1.5}""", "3|-6", "1|2|3.5")]
    [InlineData("""{"type":"integer","multipleOf":2.5}""", "5|10", "2|2.5|7")]
    [InlineData("""{"enum":[1,5,7.5,9,"a"],"minimum":5,"exclusiveMaximum":9,"multipleOf":2.5}""", "5|7.5|\"a\"", "1|9")]
    [InlineData("""{"enum":[1,9],"minimum":5,"items":{}}""", "9", "1")]
    [InlineData("""{"enum":[[1],{"a":1}],"properties":{"a":{}},"type":"array"}""", "[1]", "{\"a\": 1}")]
    [InlineData("""{"type":"array","uniqueItems":true,"items":{"enum":["a","b","c"]},"minItems":1}""", "[\"b\", \"a\"]|[\"c\"]|[\"c\", \"b\", \"a\"]", "[]|[\"a\", \"a\"]|[\"a\", \"b\", \"a\"]")]
    [InlineData("""{"type":"array","uniqueItems":true,"items":{"enum":["a","b","c"]},"maxItems":2}""", "[]|[\"b\", \"a\"]", "[\"a\", \"b\", \"c\"]|[\"b\", \"b\"]")]
    [InlineData("""{"type":"array","uniqueItems":true,"maxItems":1,"items":{"type":"string"}}""", "[]|[\"x\"]", "[\"x\", \"y\"]")]
    [InlineData("""{"type":"string","minLength":2,"maxLength":3}""", "\"ab\"|\"水渠\"|\"a\\\"b\"|\"\\u0061bc\"", "\"a\"|\"abcd\"|\"\"")]
    [InlineData("""{"type":"string","pattern":"^[a-c]+(-\\d{2})?$"}""", "\"a\"|\"abc-12\"", "\"\"|\"d\"|\"a-1\"|\"a-123\"")]
    [InlineData("""{"type":"string","pattern":"b$","maxLength":3}""", "\"b\"|\"aab\"|\"\\nb\"", "\"ba\"|\"aaab\"|\"\"")]
    [InlineData("""{"type":"string","format":"date"}""", "\"2026-11-25\"|\"2024-02-28\"", "\"2026-13-01\"|\"2026-02-30\"|\"26-1-1\"")]
    [InlineData("""{"anyOf":[{"type":"string"},{"type":"object","properties":{"next":{"$ref":"#"}},"required":["next"]}]}""", "\"x\"|{\"next\": {\"next\": \"y\"}}", "{}|{\"next\": 1}|1")]
    [InlineData("""{"allOf":[{"properties":{"a":{"minimum":3}}},{"properties":{"a":{"type":"integer","maximum":5}},"required":["a"]}]}""", "{\"a\": 4}", "{}|{\"a\": 2}|{\"a\": 6}|{\"a\": 4.5}")]
    [InlineData("""{"oneOf":[{"properties":{"kind":{"const":"a"},"x":{"type":"null"}},"required":["kind"]},{"properties":{"kind":{"const":"b"}},"required":["kind"]}]}""", "{\"kind\": \"a\", \"x\": null}|{\"kind\": \"b\"}", "{\"kind\": \"c\"}|{\"kind\": \"b\", \"x\": null}|{}")]
    [InlineData("""{"type":"object","additionalProperties":{"type":"integer"},"properties":{"n":{"type":"string"}},"maxProperties":2}""", "{}|{\"n\": \"\"}|{\"n\": \"\", \"m\": 1}|{\"nn\": 1}", "{\"n\": 1}|{\"m\": \"\"}|{\"a\": 1, \"b\": 2, \"c\": 3}")]
    [InlineData("""{"type":"object","patternProperties":{"^x-":{"type":"boolean"}},"additionalProperties":false}""", "{}|{\"x-a\": true, \"x-\": false}", "{\"a\": true}|{\"x-a\": 1}")]
    [InlineData("""{"type":["string","null"],"enum":["a",null,1]}""", "\"a\"|null", "1|\"b\"")]
    [InlineData("""{"enum":["https://x.org/{/y}","2024-02-29","a"],"format":"date"}""", "\"https://x.org/{/y}\"|\"2024-02-29\"", "\"2024-02-28\"")]
    [InlineData("""{"enum":["ab","b"],"pattern":"a"}""", "\"ab\"", "\"b\"")]
    [InlineData("""{"type":"string","format":"nanoid","pattern":"^[a-z]{2}$"}""", "\"ab\"", "\"abc\"")]
    [InlineData("""{"type":"string","format":"byte"}""", "\"aGk=\"|\"\"", "\"aGk\"|\"a-k=\"")]
    [InlineData("""{"type":"string","format":"password"}""", "\"any thing\"", "1")]
    [InlineData("""{"minItems":1}""", "[1]|[{}, []]", "[]|{}")]
    [InlineData("true", "1|[]|{\"a\": [null]}|\"x\"", "x|{|01")]
    public void What_matches_a_schema_is_allowed_and_nothing_else(string schema, string allowed, string refused)
    {
        AnswerConstraint constraint = Schema(schema);
        foreach (string text in allowed.Split('|')) Assert.True(Walk.Accepts(constraint, s_tokenizer, text), text);
        foreach (string text in refused.Split('|')) Assert.False(Walk.Accepts(constraint, s_tokenizer, text), text);
        for (int seed = 0; seed < 20; seed++)
        {
            using JsonDocument parsed = JsonDocument.Parse(Walk.Random(constraint, s_tokenizer, seed));
        }
    }

    [Theory]
    [InlineData("""{"not":{"type":"string"}}""", "'not' at #")]
    [InlineData("""{"properties":{"a":{"items":{"uniqueItems":true}}}}""", "'uniqueItems' at #/properties/a/items")]
    [InlineData("""{"type":"array","uniqueItems":true,"items":{"enum":[1,2,3,4,5,6,7,8,9,10,11]}}""", "more than 10 listed values")]
    [InlineData("""{"type":"number","multipleOf":1e-12}""", "'multipleOf' at #")]
    [InlineData("""{"type":"number","multipleOf":7919}""", "'multipleOf' at #")]
    [InlineData("""{"enum":[[1]],"minItems":1}""", "'enum' at #")]
    [InlineData("""{"patternProperties":{"a":{},"b":{}}}""", "more than one pattern of names")]
    [InlineData("""{"type":"string","format":"colour"}""", "'format' at #")]
    [InlineData("""{"type":"string","pattern":"(?<=a)b"}""", "'pattern' at #")]
    [InlineData("""{"type":"string","pattern":"(a(?=b)){2}"}""", "looking ahead cannot be kept in what is repeated")]
    [InlineData("""{"type":"string","pattern":"(?=^a)"}""", "'pattern' at #")]
    [InlineData("""{"type":"string","pattern":"^(?!a)a"}""", "Nothing can match")]
    [InlineData("""{"oneOf":[{"type":"integer"},{"type":"number"}]}""", "'oneOf' at #")]
    [InlineData("""{"$ref":"https://example.com/other.json"}""", "'$ref' at #")]
    [InlineData("""{"type":"text"}""", "'type' at #")]
    [InlineData("""{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}""", "Nothing can match")]
    [InlineData("""{"type":"integer","minimum":5,"maximum":4}""", "Nothing can match")]
    [InlineData("""{"if":{},"then":{}}""", "'if' at #")]
    public void What_cannot_be_kept_is_refused_by_name_and_place(string schema, string message) =>
        Assert.Contains(message, Assert.Throws<GrammarException>(() => Schema(schema)).Message, StringComparison.Ordinal);

    [Fact]
    public void Any_object_is_json()
    {
        AnswerConstraint constraint = Constraint(AnswerFormat.JsonObject);
        for (int seed = 0; seed < 100; seed++)
        {
            using JsonDocument parsed = JsonDocument.Parse(Walk.Random(constraint, s_tokenizer, seed));
            Assert.Equal(JsonValueKind.Object, parsed.RootElement.ValueKind);
        }
    }

    [Theory]
    [InlineData("[a-f0-9]{4}(-x|y+)?")]
    [InlineData("^(yes|no)$")]
    [InlineData("[a-zà-ÿ水]{1,20}\\.水?")]
    public void Answers_match_a_regular_expression(string pattern)
    {
        AnswerConstraint constraint = Constraint(new RegexFormat(pattern));
        for (int seed = 0; seed < 100; seed++) Assert.Matches(new Regex($"^(?:{pattern})$", RegexOptions.ECMAScript), Walk.Random(constraint, s_tokenizer, seed));
    }

    /// <summary>Beside .NET's own matching of the same pattern, on every short text of a few letters.</summary>
    [Theory]
    [InlineData("^(?!ab)[abc]+$")]
    [InlineData("^(?=.{2,3}$)[abc]*$")]
    [InlineData("^(?!a)(?!.*cc)[abc]+b$")]
    [InlineData("(?!b)a")]
    [InlineData("a(?=b|c$)")]
    [InlineData("^(?:(a+b)|(?!.*b)(?=a|c)(a)?(b)?(c)?(c(?=a)(a)?)?)$")]
    [InlineData("^a(?!$)(b$)?(c)?$")]
    [InlineData("(?!.*a)^[abc]+$")]
    [InlineData("^(?=(?!ab)a)[abc]*$")]
    [InlineData("(a$)?(?!c)b?$")]
    public void Patterns_that_look_ahead_allow_what_they_match(string pattern)
    {
        AnswerConstraint constraint = Schema(JsonSerializer.Serialize(new { type = "string", pattern }));
        Regex regex = new(pattern, RegexOptions.ECMAScript);
        for (int code = 0; code < 1 + 3 + 9 + 27 + 81 + 243; code++)
        {
            string text = "";
            for (int left = code; left > 0; left = (left - 1) / 3) text += "abc"[(left - 1) % 3];
            Assert.True(Walk.Accepts(constraint, s_tokenizer, $"\"{text}\"") == regex.IsMatch(text), text);
        }
    }

    private static string Times(int count, string text) => string.Concat(Enumerable.Repeat(text, count));

    /// <summary>Two parts that may be left out, each of which is two such parts, and so on.</summary>
    private static string Nested(int depth, string leaf) => depth == 0 ? leaf : FormattableString.Invariant($"({Nested(depth - 1, leaf)}? {Nested(depth - 1, leaf)}?)");

    private static readonly Dictionary<string, AnswerFormat> s_endless = new(StringComparer.Ordinal)
    {
        ["groups of a pattern"] = new RegexFormat(Times(4_000, "(") + "a" + Times(4_000, ")")),
        ["groups that look ahead"] = new RegexFormat(Times(2_000, "(?=")),
        ["characters of a pattern"] = new RegexFormat(Times(100_000, "a")),
        ["optional parts of a pattern"] = new RegexFormat(Times(2_000, "a?")),
        ["optional parts within optional parts"] = new RegexFormat(Times(60, "(" + Times(60, "a?") + "|b)?")),
        ["groups of a grammar"] = new GrammarFormat("root ::= " + Times(30_000, "(") + "\"a\"" + Times(30_000, ")")),
        ["optional parts of a grammar"] = new GrammarFormat("root ::= \"x\" " + Times(5_000, "\"a\"? ")),
        ["optional groups of optional parts"] = new GrammarFormat("root ::= \"x\" " + Times(200, "g? ") + "\ng ::= " + Times(200, "[a-z]? ")),
        ["rules that begin with one another"] = new GrammarFormat("root ::= r0\n" + string.Concat(Enumerable.Range(0, 3_000).Select(i => FormattableString.Invariant($"r{i} ::= r{i + 1}\n"))) + "r3000 ::= \"a\""),
    };

    public static TheoryData<string> Endless => [.. s_endless.Keys];

    /// <summary>A program whose stack overflows is gone, with everybody's answers; and what takes minutes to work out holds up a thread for as long.</summary>
    [Theory]
    [MemberData(nameof(Endless))]
    public void What_is_nested_or_optional_without_end_is_refused(string what)
    {
        GrammarException refused = Assert.Throws<GrammarException>(() => Constraint(s_endless[what]));
        Assert.InRange(refused.Message.Length, 1, 500);
    }

    /// <summary>Objects of very many members: what may follow a member is not written out for each of them.</summary>
    [Fact]
    public void Objects_of_many_members_take_memory_in_proportion_to_them()
    {
        string Members(int count, int requiredEvery) => $$"""{"type":"object","properties":{{{string.Join(',', Enumerable.Range(0, count).Select(i => FormattableString.Invariant($"\"member{i}\":{{\"type\":\"null\"}}")))}}},"required":[{{string.Join(',', Enumerable.Range(0, count / requiredEvery).Select(i => FormattableString.Invariant($"\"member{i * requiredEvery}\"")))}}],"additionalProperties":false}""";
        long before = GC.GetAllocatedBytesForCurrentThread();
        AnswerConstraint constraint = Schema(Members(3_000, 1_000));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100L << 20);
        Assert.StartsWith("{\"member0\": null, \"member9\": null", Written(constraint, "{\"member0\": null, \"member9\": null"), StringComparison.Ordinal);
        Assert.Contains("more than 1024 members", Assert.Throws<GrammarException>(() => Schema(Members(2_000, 2_001))).Message, StringComparison.Ordinal);

        static string Written(AnswerConstraint constraint, string text)
        {
            ConstraintCursor cursor = constraint.Begin();
            string written = "";
            foreach (int token in s_tokenizer.Encode(text, SpecialText.AsPlainText))
            {
                if (!cursor.Allows(token)) return written;
                cursor.Accept(token);
                written += s_tokenizer.Decode([token]);
            }
            return written;
        }
    }

    private static readonly Dictionary<string, AnswerFormat> s_long = new(StringComparer.Ordinal)
    {
        ["pattern"] = new RegexFormat("(" + Times(1_000, "a") + ")*"),
        ["optional parts"] = new GrammarFormat("root ::= \"x\" " + Times(200, "\"a\"? ")),
        ["optional letters"] = new GrammarFormat("root ::= \"x\" " + Times(100, "[a-z]? ")),
        ["optional groups"] = new GrammarFormat("root ::= \"x\" " + Nested(6, "[a-z]")),
        ["text that is repeated"] = new GrammarFormat("root ::= (\"" + Times(30_000, "a") + "\")* \"b\""),
        ["text beside a dead end"] = new GrammarFormat("root ::= \"" + Times(30_000, "a") + "\" | dead\ndead ::= \"x\" dead"),
    };

    public static TheoryData<string> Long => [.. s_long.Keys];

    /// <summary>How deep the stack is depends on how deep a form is nested, not on how long it is.</summary>
    [Theory]
    [MemberData(nameof(Long))]
    public void What_is_long_is_followed_with_a_short_stack(string what)
    {
        int taken = 0;
        Exception? failure = null;
        Thread shallow = new(() => failure = Record.Exception(() =>
        {
            ConstraintCursor cursor = Constraint(s_long[what]).Begin();
            foreach (int token in s_tokenizer.Encode("xaaaa", SpecialText.AsPlainText))
            {
                if (!cursor.Allows(token)) continue;
                cursor.Accept(token);
                taken++;
            }
        }), maxStackSize: 256 << 10);
        shallow.Start();
        shallow.Join();
        Assert.Null(failure);
        Assert.True(taken > 0);
    }

    [Fact]
    public void Answers_are_of_a_grammar()
    {
        const string Sums = """
            # sums
            root ::= term (" + " term)*
            term ::= number | "(" root ")"
            number ::= [1-9] [0-9]{0,2} |
              "0"
            """;
        AnswerConstraint constraint = Constraint(new GrammarFormat(Sums));
        Assert.True(Walk.Accepts(constraint, s_tokenizer, "(1 + 23) + 0"));
        Assert.False(Walk.Accepts(constraint, s_tokenizer, "(1 + 23 + 0"));
        Assert.False(Walk.Accepts(constraint, s_tokenizer, "1 +2"));
    }

    [Theory]
    [InlineData("root ::= root \"a\"", "begins with itself")]
    [InlineData("root ::= other", "'other' is used but not defined")]
    [InlineData("start ::= \"a\"", "no rule 'root'")]
    [InlineData("root ::= \"a", "not closed")]
    public void Broken_grammars_are_told(string grammar, string message) =>
        Assert.Contains(message, Assert.Throws<GrammarException>(() => Constraint(new GrammarFormat(grammar))).Message, StringComparison.Ordinal);

    private static readonly ToolDefinition[] s_tools =
    [
        new("weather", null, """{"type":"object","properties":{"city":{"type":"string","maxLength":9},"days":{"type":"integer","minimum":1,"maximum":9}},"required":["city"],"additionalProperties":false}"""),
        new("now", null, null),
    ];

    [Fact]
    public void Forced_calls_are_calls()
    {
        Conversation chat = Conversation.Of(new ChatMessage(ChatRole.User, "Hi")) with { Tools = [.. s_tools], ToolChoice = ToolChoice.Required };
        AnswerConstraint any = s_format.Constraint(chat)!, named = s_format.Constraint(chat with { ToolChoice = ToolChoice.Named("weather") })!, free = s_format.Constraint(chat with { ToolChoice = ToolChoice.Auto, Tools = [s_tools[0] with { Strict = true }] })!;
        Assert.Null(s_format.Constraint(chat with { ToolChoice = ToolChoice.Auto }));
        for (int seed = 0; seed < 100; seed++)
        {
            List<ToolCall> calls = Calls(any, chat, seed);
            Assert.NotEmpty(calls);
            Assert.All(calls, call => Assert.Contains(call.Name, (string[])["weather", "now"]));
            Assert.Equal("weather", Assert.Single(Calls(named, chat, seed)).Name);
        }
        Assert.True(Walk.Accepts(free, s_tokenizer, "Just <tool_ text"));
        Assert.True(Walk.Accepts(free, s_tokenizer, "So: <tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Bam\"}}\n</tool_call>\n"));
        Assert.False(Walk.Accepts(free, s_tokenizer, "<tool_call>\n{\"name\": \"weather\", \"arguments\": {}}\n</tool_call>"));
    }

    private static List<ToolCall> Calls(AnswerConstraint constraint, Conversation chat, int seed)
    {
        AnswerReader reader = s_format.Reader(chat, index => $"{index}");
        List<AnswerPiece> pieces = [.. reader.Add(Walk.Random(constraint, s_tokenizer, seed)), .. reader.Finish(wasCut: false)];
        Assert.All(pieces, piece => Assert.True(piece is ToolCallStart or ToolCallArguments, piece.ToString()));
        return [.. pieces.OfType<ToolCallStart>().Select(start => new ToolCall(start.Name, string.Concat(pieces.OfType<ToolCallArguments>().Where(more => more.Index == start.Index).Select(more => more.Fragment)))).Select(call =>
        {
            using JsonDocument parsed = JsonDocument.Parse(call.ArgumentsJson);
            return call;
        })];
    }

    [Fact]
    public void Thoughts_come_before_what_the_answer_must_be()
    {
        ChatFormat thinking = ChatFormat.ForQwen3(s_tokenizer, "enable_thinking");
        Conversation chat = Conversation.Of(new ChatMessage(ChatRole.User, "Hi")) with { Format = new RegexFormat("yes|no") };
        AnswerConstraint constraint = thinking.Constraint(chat)!;
        Assert.True(Walk.Accepts(constraint, s_tokenizer, "<think>\nhm </thin\n</think>\n\nyes"));
        Assert.True(Walk.Accepts(constraint, s_tokenizer, "no"));
        Assert.False(Walk.Accepts(constraint, s_tokenizer, "<think>\nyes"));
        Assert.False(Walk.Accepts(thinking.Constraint(chat with { Thinking = Thinking.Off })!, s_tokenizer, "<think>\n</think>\n\nyes"));
    }

    /// <summary>Models forget to end a thought before they call: what is read as a call then would be one that nothing held to its schema.</summary>
    [Fact]
    public void No_line_of_a_thought_begins_with_a_call_where_calls_are_read()
    {
        Conversation chat = Conversation.Of(new ChatMessage(ChatRole.User, "Hi")) with { Tools = [.. s_tools], ToolChoice = ToolChoice.Named("now") };
        AnswerConstraint constraint = ChatFormat.ForQwen3(s_tokenizer, "enable_thinking").Constraint(chat)!;
        const string Call = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
        Assert.True(Walk.Accepts(constraint, s_tokenizer, "<think>\nI use <tool_call> so:\n<tool_cat> <\n</think>\n\n" + Call));
        foreach (string thought in new[] { "", "\n", "hm\n", "\n<tool_cat>\n", "</thin\n" })
            Assert.False(Walk.Accepts(constraint, s_tokenizer, $"<think>{thought}{Call}\n</think>\n\n{Call}"), thought);
    }

    [Fact]
    public void The_mask_is_exactly_what_can_be_walked()
    {
        AnswerConstraint constraint = Schema("""{"type":"object","properties":{"name":{"type":"string","maxLength":4},"list":{"type":"array","items":{"type":"number"}}},"required":["name"]}""");
        var random = new Random(5);
        for (int walk = 0; walk < 5; walk++)
        {
            List<int> taken = [];
            ConstraintCursor cursor = constraint.Begin();
            while (!cursor.HasEnded && taken.Count < 40)
            {
                HashSet<int> allowed = [.. Walk.Allowed(cursor.Allowed)];
                for (int i = 0; i < 50; i++)
                {
                    int token = random.Next(s_tokenizer.Count);
                    ConstraintCursor again = constraint.Begin();
                    foreach (int each in taken) again.Accept(each);
                    bool accepted = Record.Exception(() => again.Accept(token)) is null && (!again.HasEnded || allowed.Contains(token));
                    Assert.Equal(accepted, allowed.Contains(token));
                }
                int next = allowed.ElementAt(random.Next(allowed.Count));
                cursor.Accept(next);
                taken.Add(next);
            }
        }
    }
}
