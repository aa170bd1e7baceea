using System.Text.Json.Nodes;

namespace Qanat.Gateway.Tests;

/// <summary>A server-sent event as a client reads it.</summary>
internal sealed record Event(string? Name, JsonNode? Data, string Text)
{
    public static Event Of(string block)
    {
        string[] lines = block.Split('\n');
        string data = string.Join('\n', lines.Where(line => line.StartsWith("data:", StringComparison.Ordinal)).Select(line => line["data:".Length..].TrimStart()));
        string? name = lines.FirstOrDefault(line => line.StartsWith("event:", StringComparison.Ordinal))?["event:".Length..].Trim();
        return new Event(name, data.StartsWith('{') ? JsonNode.Parse(data) : null, block);
    }

    public static IReadOnlyList<Event> All(IEnumerable<string> blocks) => [.. blocks.Select(Of)];
}
