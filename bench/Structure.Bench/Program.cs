using System.Diagnostics;
using System.Globalization;
using System.Numerics;
using Qanat.Bench;
using Qanat.Models;

// Structure.Bench TOKENIZER.JSON: what structured output costs before and at each token, with a model's own vocabulary.
// "cold" is the first answer to a schema, which finds the masks; "warm" is an answer after others have asked for the same.
// Structure.Bench draws: what choosing a token costs under the filters.
// Structure.Bench tokenizer TOKENIZER.JSON TEXT...: how fast lines of text become tokens, beside the Rust library.
if (args is ["draws"])
{
    Draws.Print(Console.Out);
    return;
}
if (args is ["tokenizer", { } vocabulary, .. { Length: > 0 } texts])
{
    Tokenizing.Print(vocabulary, texts, Console.Out);
    return;
}
BpeTokenizer tokenizer = BpeTokenizer.FromTokenizerJson(args[0]);
const int Answers = 40, TokensMax = 400;
(string Name, AnswerFormat Format)[] formats =
[
    ("any JSON object", AnswerFormat.JsonObject),
    ("flat object, 4 members", new JsonSchemaFormat("x", """{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150},"tags":{"type":"array","items":{"enum":["a","b","c"]}},"ok":{"type":"boolean"}},"required":["name","age","tags","ok"],"additionalProperties":false}""")),
    ("strings with lengths, formats, patterns", new JsonSchemaFormat("x", """{"type":"object","properties":{"id":{"type":"string","format":"uuid"},"at":{"type":"string","format":"date-time"},"code":{"type":"string","pattern":"^[A-Z]{3}-\\d{4}$"},"note":{"type":"string","maxLength":200}},"required":["id","at","code","note"],"additionalProperties":false}""")),
    ("recursive tree", new JsonSchemaFormat("x", """{"$defs":{"node":{"type":"object","properties":{"name":{"type":"string","maxLength":20},"children":{"type":"array","items":{"$ref":"#/$defs/node"},"maxItems":3}},"required":["name","children"],"additionalProperties":false}},"$ref":"#/$defs/node"}""")),
    ("regular expression", new RegexFormat(@"(\+\d{1,3} )?\d{3}-\d{4}( ext\. \d+)?")),
];
Console.WriteLine($"vocabulary {tokenizer.Count}");
Console.WriteLine("| form | to the first mask, ms | cold, us per token p50 / p99 | warm, us per token p50 / p99 |");
Console.WriteLine("| --- | --- | --- | --- |");
// The tree of the vocabulary is built by the first constraint of a model.
ChatFormat format = ChatFormat.ForQwen3(tokenizer, "plain");
long tree = Stopwatch.GetTimestamp();
_ = format.Constraint(Asking(new RegexFormat("a")));
double treeMs = Stopwatch.GetElapsedTime(tree).TotalMilliseconds;
foreach ((string name, AnswerFormat wanted) in formats)
{
    long began = Stopwatch.GetTimestamp();
    AnswerConstraint constraint = format.Constraint(Asking(wanted))!;
    double compileMs = Stopwatch.GetElapsedTime(began).TotalMilliseconds;
    List<double> cold = Draw(constraint, new Random(1)), warm = [];
    for (int i = 0; i < Answers; i++) Draw(constraint, new Random(i));
    for (int i = 0; i < Answers; i++) warm.AddRange(Draw(constraint, new Random(i)));
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {name} | {compileMs:0.0} | {At(cold, 0.5):0.0} / {At(cold, 0.99):0.0} | {At(warm, 0.5):0.0} / {At(warm, 0.99):0.0} |"));
}
Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"tree of the vocabulary, once for each model: {treeMs:0} ms"));

static Conversation Asking(AnswerFormat format) => Conversation.Of(new ChatMessage(ChatRole.User, "")) with { Format = format };

static double At(List<double> times, double part)
{
    times.Sort();
    return times[(int)(part * (times.Count - 1))];
}

List<double> Draw(AnswerConstraint constraint, Random random)
{
    List<double> times = [];
    ConstraintCursor cursor = constraint.Begin();
    int[] closing = [.. "\"}]0".Select(each => tokenizer.Encode(each.ToString(), SpecialText.AsPlainText)[0])];
    while (!cursor.HasEnded && times.Count < TokensMax)
    {
        long began = Stopwatch.GetTimestamp();
        ReadOnlySpan<ulong> mask = cursor.Allowed;
        double took = Stopwatch.GetElapsedTime(began).TotalMicroseconds;
        int token = random.Next(6) == 0 ? Array.Find(closing, cursor.Allows) : 0;
        if (token == 0) token = Any(mask, random);
        began = Stopwatch.GetTimestamp();
        cursor.Accept(token);
        times.Add(took + Stopwatch.GetElapsedTime(began).TotalMicroseconds);
    }
    return times;
}

static int Any(ReadOnlySpan<ulong> mask, Random random)
{
    int from = random.Next(mask.Length);
    for (int i = 0; ; i++)
    {
        int word = (from + i) % mask.Length;
        if (mask[word] != 0) return word * 64 + BitOperations.TrailingZeroCount(mask[word]);
    }
}
