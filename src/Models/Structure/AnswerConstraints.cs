using System.Text;
using System.Text.Json;

namespace Qanat.Models;

/// <summary>How a model's answers are framed: what may come before the answer itself, and how tools are called.</summary>
/// <param name="OpensThought">The prompt ends within the thought.</param>
/// <param name="MayThink">The answer may begin with a thought.</param>
/// <param name="CallsInTags">Calls are written in tags rather than in JSON.</param>
internal readonly record struct AnswerFrame(bool OpensThought, bool MayThink, bool CallsInTags);

/// <summary>Makes the constraints of a model's answers, and remembers the last ones: clients ask for the same again and again. Safe for threads.</summary>
internal sealed class AnswerConstraints(BpeTokenizer tokenizer)
{
    private const int RememberedMax = 32;
    private const int CallsMax = 16;

    private readonly Lazy<TokenTrie> trie = new(() => new TokenTrie(tokenizer));
    private readonly Lock gate = new();
    private readonly Dictionary<string, AnswerConstraint> known = new(StringComparer.Ordinal);
    private readonly Queue<string> order = [];

    /// <summary>Null: the answer may be anything.</summary>
    /// <exception cref="GrammarException">What is asked for cannot be kept; the message names the keyword or rule.</exception>
    public AnswerConstraint? Of(Conversation conversation, AnswerFrame frame)
    {
        bool isFree = conversation.Format is TextFormat && !conversation.ToolChoice.IsForced && !conversation.OfferedTools.Any(tool => tool.Strict);
        if (isFree) return null;
        string key = KeyOf(conversation, frame);
        lock (gate)
            if (known.TryGetValue(key, out AnswerConstraint? remembered)) return remembered;
        AnswerConstraint made = Make(conversation, frame);
        lock (gate)
        {
            if (!known.TryAdd(key, made)) return known[key];
            order.Enqueue(key);
            if (order.Count > RememberedMax) known.Remove(order.Dequeue());
        }
        return made;
    }

    private AnswerConstraint Make(Conversation conversation, AnswerFrame frame)
    {
        Grammar grammar = new();
        JsonGrammar json = new(grammar);
        Expression answer = Answer(grammar, json, conversation, frame);
        if (frame.OpensThought || frame.MayThink) answer = Framed(json.Bytes, answer, frame.OpensThought, readsCalls: !conversation.OfferedTools.IsEmpty);
        answer = grammar.WithoutDeadEnds(answer);
        if (answer == grammar.Nothing) throw new GrammarException("Nothing can match what is asked for: its parts contradict each other.");
        grammar.Freeze();
        try
        {
            return new AnswerConstraint(grammar, trie.Value, answer);
        }
        catch (GrammarException error)
        {
            throw new GrammarException($"What is asked for cannot be kept: {error.Message}", error);
        }
    }

    private static Expression Answer(Grammar grammar, JsonGrammar json, Conversation conversation, AnswerFrame frame)
    {
        var calls = new ToolCallGrammar(grammar, json, frame.CallsInTags);
        int callsMax = conversation.ParallelToolCalls ? CallsMax : 1;
        if (conversation.ToolChoice.IsForced)
        {
            ToolDefinition[] tools = [.. conversation.Tools.Where(tool => conversation.ToolChoice.Name is null || tool.Name == conversation.ToolChoice.Name)];
            return calls.Calls(tools, conversation.ToolChoice.Name is null ? callsMax : 1);
        }
        if (conversation.Format is TextFormat) return calls.TextWithCalls(conversation.OfferedTools, callsMax);
        Expression formatted = Formatted(grammar, json, conversation.Format);
        return conversation.OfferedTools.IsEmpty ? formatted : grammar.Choice(formatted, calls.Calls(conversation.OfferedTools, callsMax));
    }

    private static Expression Formatted(Grammar grammar, JsonGrammar json, AnswerFormat format)
    {
        switch (format)
        {
            case JsonObjectFormat:
                return json.Object;
            case JsonSchemaFormat schema:
                using (JsonDocument document = JsonDocument.Parse(schema.SchemaJson)) return SchemaGrammar.Of(grammar, json, document.RootElement.Clone());
            case RegexFormat regex:
                Grammar characters = new();
                return CharacterAutomaton.Of(characters, RegexReader.Whole(characters, regex.Pattern)).Into(grammar, "regex", json.Bytes.CodePoint);
            case GrammarFormat gbnf:
                return GbnfReader.Read(grammar, json.Bytes, gbnf.Grammar);
            default:
                throw new System.Diagnostics.UnreachableException();
        }
    }

    /// <summary>The thought, which may say anything but what ends it, and behind it the line breaks that models write.</summary>
    /// <param name="readsCalls">A call at the beginning of a line would be read as one, thought or not, and nothing would hold it to the schema of its tool.</param>
    private static Expression Framed(TextGrammar text, Expression answer, bool isOpen, bool readsCalls)
    {
        Expression thought = readsCalls ? text.Until("thought", ChatMarks.ThinkEnd, neverAtLineStart: ChatMarks.CallStart) : text.Until("thought", ChatMarks.ThinkEnd);
        Expression rest = text.Grammar.Sequence(thought, text.Grammar.Repeat(text.Literal("\n"), 0, 2), answer);
        return isOpen ? rest : text.Grammar.Choice(answer, text.Grammar.Sequence(text.Literal(ChatMarks.ThinkStart), rest));
    }

    private static string KeyOf(Conversation conversation, AnswerFrame frame)
    {
        StringBuilder key = new($"{frame} {conversation.ToolChoice} {conversation.ParallelToolCalls} {conversation.Format}");
        foreach (ToolDefinition tool in conversation.OfferedTools) key.Append('\n').Append(tool.Name).Append(tool.Strict).Append(tool.ParametersJson);
        return key.ToString();
    }
}
