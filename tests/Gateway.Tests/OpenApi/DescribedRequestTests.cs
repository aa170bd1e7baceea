using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Qanat.Books;

namespace Qanat.Gateway.Tests;

/// <summary>What the document says of requests is what is read of them: nothing less, and nothing that is not.</summary>
public sealed partial class DescribedRequestTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    /// <summary>Taken as they are, or read only beside others: what they should not be is passed over.</summary>
    private static readonly string[] TakenAsTheyAre = ["prompt_cache_key", "metadata", "add_generation_prompt", "images"];

    /// <summary>Where only some text is right; others are refused by what they say, not by their kind.</summary>
    private static readonly JsonObject Good = JsonNode.Parse($$"""
        {
          "model": "scripted-1", "messages": [{"role":"user","content":"hi"}], "max_tokens": 4, "prompt": "hi", "input": "hi", "query": "hi", "documents": ["hi"], "texts": ["hi"],
          "endpoint": "/v1/chat/completions", "input_file_id": "file",
          "tenant": "acme", "name": "some-name", "login": "somebody", "password": "a long password", "role": "viewer", "monthly_budget": "1", "amount": "1", "addresses": [], "days": 3,
          "url": "https://upstream.example", "models": [{"name":"their-model"}], "pool": "this-machine", "hourly_cost": "1", "input_per_million": "1", "output_per_million": "2",
          "text": "bill b pool this-machine", "reason": "an outage", "from": "2026-01-01", "to": "2026-02-01", "through": "2026-02-01",
          "specversion": "1.0", "type": "{{UsageEvents.Type}}", "source": "elsewhere", "id": "1", "data": {"tenant":"acme","model":"m","completed_at":"2026-01-01"}
        }
        """)!.AsObject();

    /// <summary>Parameters without which a query is refused before the others are read.</summary>
    private static readonly string[] NeededBeside = ["/api/books/attributed pool", "/api/books/attributed from", "/api/transcripts tenant"];

    /// <summary>Without these, or with what is good elsewhere, the other fields are not read.</summary>
    private static readonly (string Path, string Name, string Value)[] ReadBeside =
    [
        ("/api/chat", "messages", """[{"role":"user","content":"hi"}]"""), ("/api/generate", "prompt", "\"hi\""), ("/api/embed", "input", "\"hi\""), ("/api/embeddings", "input", "\"hi\""),
        ("/api/books/reprice", "text", "\"rerate r1 from 2026-01-01 to 2026-02-01 tenant acme price 00000001-0000-7000-8000-000000000001 reason agreed\""),
    ];

    [Fact]
    public async Task Without_a_field_that_is_needed_a_request_is_refused_by_its_name()
    {
        TestGateway gateway = fixture.Fresh();
        Ids ids = await Ids.OfAsync(gateway);
        List<string> wrong = [];
        foreach (DescribedOperation operation in await DescribedOperation.AllAsync(gateway))
        {
            foreach (string name in operation.Required)
            {
                // In this order they are read: what comes after it does not matter.
                await TryAsync(name, BodyOf(operation, operation.Required.TakeWhile(each => each != name)));
                foreach (string inner in operation.Resolve(operation.Fields[name]!)["required"]?.AsArray().Select(each => (string)each!) ?? [])
                {
                    JsonObject body = BodyOf(operation, operation.Required);
                    body[name]!.AsObject().Remove(inner);
                    await TryAsync($"{name}.{inner}", body);
                }
            }

            async Task TryAsync(string missing, JsonObject body)
            {
                Answer answer = await operation.SendAsync(gateway, ids.Of(operation), "", body);
                if (answer.Status != 400 || ParamOf(answer) != missing) wrong.Add($"{operation.Name} is said to need '{missing}' and was not refused for its lack: {body.ToJsonString()} gave {answer.Status} {answer.Text}. Say in its RouteWords what it needs, in the order in which it is read.");
            }
        }
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    [Fact]
    public async Task Every_field_of_a_body_is_read_and_held_to_what_is_said_of_it()
    {
        TestGateway gateway = fixture.Fresh();
        Ids ids = await Ids.OfAsync(gateway);
        List<string> wrong = [];
        foreach (DescribedOperation operation in await DescribedOperation.AllAsync(gateway))
        {
            foreach ((string name, JsonNode? schema) in operation.Fields.Where(field => !TakenAsTheyAre.Contains(field.Key)))
            {
                foreach (JsonNode other in Wrong(operation.Resolve(schema!)))
                {
                    JsonObject body = BodyBeside(operation, name);
                    body[name] = other.DeepClone();
                    Answer answer = await operation.SendAsync(gateway, ids.Of(operation), "", body);
                    // What this server keeps none of is refused before the last fields are read.
                    if (answer.Status == 404 && answer.Code == "no_upstreams") continue;
                    if (answer.Status != 400 || ParamOf(answer)?.Split('.', '[')[0] != name && !answer.Text.Contains($"'{name}'", StringComparison.Ordinal))
                        wrong.Add($"{operation.Name} takes {body.ToJsonString()} ({answer.Status} {answer.Text}), though its '{name}' is described otherwise: {schema!.ToJsonString()}. Is it read? Are the bounds those that are kept?");
                }
            }
        }
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    [Fact]
    public async Task Every_parameter_of_a_query_is_read_and_held_to_what_is_said_of_it()
    {
        TestGateway gateway = fixture.Fresh();
        Ids ids = await Ids.OfAsync(gateway);
        List<string> wrong = [];
        foreach (DescribedOperation operation in await DescribedOperation.AllAsync(gateway))
        {
            foreach ((string name, JsonObject schema) in operation.Query.Where(each => IsBounded(each.Key, each.Value)))
            {
                foreach (string value in schema["maximum"] is { } most ? ["0", FormattableString.Invariant($"{(long)most + 1}"), "x"] : (string[])["no-such-thing"])
                {
                    string needed = string.Concat(operation.Query.Where(each => each.Key != name && NeededBeside.Contains($"{operation.Path} {each.Key}")).Select(each => $"&{each.Key}={Good[each.Key]}"));
                    Answer answer = await operation.SendAsync(gateway, ids.Of(operation), $"?{name}={value}{needed}");
                    if (answer.Status is not (400 or 404) || ParamOf(answer) != name && !answer.Text.Contains($"'{value}'", StringComparison.Ordinal))
                        wrong.Add($"{operation.Name} takes '{name}={value}' ({answer.Status} {answer.Text}), though it is described as {schema.ToJsonString()}.");
                }
            }
        }
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    /// <summary>Names of models, pools, accounts and the like may be any: nothing is found by those that are none.</summary>
    private static bool IsBounded(string name, JsonObject schema) => schema["type"]!.ToString() == "integer" || schema["enum"] is not null || schema["format"] is not null || name is "from" or "to" or "at" or "tenant" or "by" or "currency";

    /// <summary>By the words of the code: the file that maps a route with its words is the one that reads its query and its body.</summary>
    [Fact]
    public async Task Whatever_is_read_of_a_query_or_a_body_is_described()
    {
        List<DescribedOperation> operations = await DescribedOperation.AllAsync(fixture.Fresh());
        HashSet<string> anywhere = [.. operations.SelectMany(operation => operation.DeepFields)];
        Assert.All(Sources(), source =>
        {
            Assert.All(BodyRead().Matches(source.Text).Select(match => match.Groups["name"].Value), name => Assert.True(anywhere.Contains(name), $"{source.Path} reads '{name}' of a request, which no schema has: add it to the body in the RouteWords of the route that reads it, or to RequestSchemas."));
            DescribedOperation[] own = [.. operations.Where(operation => source.Text.Contains($"\"{operation.Path}\"", StringComparison.Ordinal) || source.Text.Contains($"root + \"{operation.Path[(operation.Path.IndexOf("/v1", StringComparison.Ordinal) is >= 0 and int begin ? begin + 3 : 0)..]}\"", StringComparison.Ordinal))];
            HashSet<string> described = [.. own.SelectMany(operation => operation.Query).Select(field => field.Key)], read = QueryOf(source.Text);
            Assert.True(described.SetEquals(read), $"{source.Path} reads {string.Join(", ", read.Except(described))} of queries without saying so, and says that it reads {string.Join(", ", described.Except(read))}: put what is read into the Query of the RouteWords in its Map.");
        });
    }

    private static HashSet<string> QueryOf(string text)
    {
        HashSet<string> names = [.. QueryRead().Matches(text).Select(match => match.Groups["name"].Value)];
        if (text.Contains("request.Period", StringComparison.Ordinal)) names.UnionWith(["from", "to"]);
        if (text.Contains("request.Limit(", StringComparison.Ordinal)) names.Add("limit");
        if (text.Contains("request.Tenant(", StringComparison.Ordinal)) names.Add("tenant");
        if (text.Contains("PageAsk.Of(", StringComparison.Ordinal)) names.UnionWith(["limit", "order", "after"]);
        return names;
    }

    private static JsonObject BodyOf(DescribedOperation operation, IEnumerable<string> names)
    {
        JsonObject body = [];
        foreach (string name in names) body[name] = Sample(operation, name);
        return body;
    }

    /// <summary>Good values of what is needed for a field to be read.</summary>
    private static JsonObject BodyBeside(DescribedOperation operation, string field)
    {
        JsonObject body = BodyOf(operation, operation.Required.Where(needed => needed != field));
        foreach ((_, string name, string value) in ReadBeside.Where(each => each.Path == operation.Path && each.Name != field)) body[name] = JsonNode.Parse(value);
        if (operation.Tag == Tags.Ollama && field != "name" && field != "model") body["model"] = "scripted-1";
        if (operation.Tag == Tags.Ollama && field != "stream") body["stream"] = false;
        if (field == "prompt") body.Remove("input");
        return body;
    }

    /// <summary>A good value: of an object, its needed fields.</summary>
    private static JsonNode Sample(DescribedOperation operation, string name)
    {
        JsonObject schema = operation.Resolve(operation.Fields[name]!);
        if (Good[name] is JsonObject whole && schema["properties"] is not null) return whole.DeepClone();
        if (schema["properties"] is null || schema["required"] is not JsonArray inner) return schema["type"]?.ToString() == "object" ? JsonNode.Parse("{}")! : Good[name] is { } good ? good.DeepClone() : throw new InvalidOperationException($"Name a good '{name}' in {nameof(Good)}.");
        JsonObject value = [];
        foreach (string field in inner.Select(each => (string)each!)) value[field] = Good[field]!.DeepClone();
        return value;
    }

    /// <summary>Values that a schema does not allow.</summary>
    private static IEnumerable<JsonNode> Wrong(JsonObject schema)
    {
        string[] types = schema["type"] switch { JsonArray several => [.. several.Select(each => (string)each!)], { } one => [(string)one!], null => [] };
        if (types.Contains("integer") || types.SequenceEqual(["number"]))
        {
            yield return "a text";
            if (schema["minimum"] is { } least) yield return types.Contains("integer") ? (long)least - 1 : (double)least - 0.1;
            if (schema["maximum"] is { } most && (double)most < int.MaxValue) yield return types.Contains("integer") ? (long)most + 1 : (double)most + 0.1;
        }
        else if (schema["enum"] is not null) yield return "no-such-word";
        else if (schema["anyOf"] is JsonArray either) yield return either.Any(each => each!["type"]?.ToString() == "boolean") ? new JsonObject() : true;
        else if (types.Length > 0) yield return types.Contains("boolean") ? "true" : true;
    }

    private static string? ParamOf(Answer answer) => (string?)(answer.Body["error"] as JsonObject ?? answer.Body)["param"];

    /// <summary>Those that read requests; what lines of files hold is no request.</summary>
    private static IEnumerable<(string Path, string Text)> Sources([CallerFilePath] string here = "")
    {
        string root = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "..", "src", "Gateway"));
        foreach (string file in Directory.EnumerateFiles(root, "*.cs", SearchOption.AllDirectories).Where(file => !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal)))
        {
            string text = File.ReadAllText(file);
            if (text.Contains("JsonFields", StringComparison.Ordinal) || text.Contains("AdminRequest request", StringComparison.Ordinal) || text.Contains(".Query[", StringComparison.Ordinal))
                if (!file.EndsWith("JsonFields.cs", StringComparison.Ordinal) && !file.EndsWith("AdminRequest.cs", StringComparison.Ordinal) && !file.EndsWith("PageAsk.cs", StringComparison.Ordinal) && !file.EndsWith("BatchRows.cs", StringComparison.Ordinal)) yield return (Path.GetRelativePath(root, file), text);
        }
    }

    [GeneratedRegex(""""(?<!Schema)\.(Text|RequiredText|TextOrNumber|Flag|Integer|IntegerAtLeast|Number|Object|TryGet|Says)\("(?<name>\w+)"|(ContentText\.\w+|ReadBudget|Budget|ReadStop|ReadName|Texts|Money|Words)\(\w+, "(?<name>\w+)" *"""", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex BodyRead();

    [GeneratedRegex(""""request\.(Query|Time|All)\("(?<name>\w+)"|\.Query\["(?<name>\w+)" *"""", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex QueryRead();

    /// <summary>What the ids of paths are to be, so that a request gets as far as its body.</summary>
    private sealed record Ids(string Key, string Account, string Project, string Invoice, string Response)
    {
        public static async Task<Ids> OfAsync(TestGateway gateway)
        {
            DirectoryState directory = gateway.Get<DirectoryState>();
            Tenant tenant = directory.Current.FindTenant("acme")!;
            string login = "person-" + Guid.CreateVersion7().ToString("N");
            string account = (string)(await gateway.AdminAsync("POST", "/api/accounts", $$"""{"tenant":"acme","login":"{{login}}","role":"viewer","password":"a long password"}""")).Body["id"]!;
            return new Ids(directory.Current.Keys.First(key => key.Tenant == tenant.Id).Id.ToString(), account, directory.Current.FindProject(tenant.Id, "default")!.Id.ToString(), await InvoiceAsync(gateway),
                (string)(await gateway.AdminAsync("POST", "/v1/responses", """{"model":"scripted-1","store":true,"input":"hi"}""")).Body["id"]!);
        }

        public string Of(DescribedOperation operation) => operation.Path.Contains("/responses/", StringComparison.Ordinal) && !operation.IsAdmin ? Response : operation.Path.Split('/')[2] switch { "keys" => Key, "accounts" => Account, "projects" => Project, "invoices" => Invoice, "transcripts" or "usage" => Key, _ => "acme" };

        private static async Task<string> InvoiceAsync(TestGateway gateway)
        {
            JsonArray known = (await gateway.AdminAsync("GET", "/api/invoices")).Body["data"]!.AsArray();
            if (known.Count > 0) return (string)known[0]!["number"]!;
            await BookedMonth.AddUsageAsync(gateway, BookedMonth.Day(10), new TokenCounts(20_000_000, 0, 0, 5_000_000, 0));
            Assert.Equal(200, (await gateway.AdminAsync("POST", "/api/periods", """{"through":"2026-02-01"}""")).Status);
            return (string)(await gateway.AdminAsync("POST", "/api/invoices", """{"tenant":"acme","from":"2026-01-01","to":"2026-02-01"}""")).Body["number"]!;
        }
    }
}
