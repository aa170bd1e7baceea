using System.Text.Json;
using CsCheck;

namespace Qanat.Gateway.Tests;

public sealed class JsonFieldsTests
{
    private static readonly string[] s_names = ["model", "max_tokens", "m", "", "-odel", "größe", "über", "🌊", "n", "stream", "a b"];

    /// <summary>As they may be written in a request.</summary>
    private static readonly string[] s_written = ["model", "max_tokens", "m", "", "-odel", "größe", "über", "🌊", "n", "\\u006d", "\\u006dodel", "st\\u0072eam", "\\n", "a b"];

    [Fact]
    public void A_field_is_found_when_it_is_there_however_its_name_is_written()
    {
        int found = 0;
        Gen.Select(Gen.Int[0, s_written.Length - 1].Array[0, 5], Gen.Int[0, s_names.Length - 1]).Sample((written, asked) =>
        {
            using JsonDocument document = JsonDocument.Parse("{" + string.Join(',', written.Select((name, index) => $"\"{s_written[name]}\":{index}")) + "}");
            bool has = document.RootElement.TryGetProperty(s_names[asked], out JsonElement expected);
            Assert.Equal(has, JsonFields.OfRequest(document.RootElement).TryGet(s_names[asked], out JsonElement value));
            if (!has) return;
            Interlocked.Increment(ref found);
            Assert.Equal(expected.GetInt32(), value.GetInt32());
        }, iter: 5_000);
        Assert.InRange(found, 100, int.MaxValue);
    }
}
