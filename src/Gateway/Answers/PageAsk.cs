using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>Which part of a list is wanted, as OpenAI's lists are asked for: "limit", "order" and "after".</summary>
internal sealed record PageAsk(int Limit, bool OldestFirst, string? After)
{
    public static PageAsk Of(HttpRequest request, int limitDefault, int limitMax)
    {
        string? limit = request.Query["limit"];
        int count = limitDefault;
        if (!string.IsNullOrEmpty(limit) && (!int.TryParse(limit, NumberStyles.None, CultureInfo.InvariantCulture, out count) || count < 1 || count > limitMax))
            throw Refusal.Value("limit", FormattableString.Invariant($"it must be an integer from 1 to {limitMax}."));
        bool oldestFirst = (string?)request.Query["order"] switch
        {
            null or "" or "desc" => false,
            "asc" => true,
            _ => throw Refusal.Value("order", "it must be 'asc' or 'desc'."),
        };
        return new PageAsk(count, oldestFirst, request.Query["after"]);
    }

    /// <summary>A page of objects that are in the wanted order already.</summary>
    public JsonObject ListOf(IReadOnlyList<JsonObject> all)
    {
        int begin = 0;
        if (!string.IsNullOrEmpty(After))
        {
            while (begin < all.Count && (string?)all[begin]["id"] != After) begin++;
            if (begin++ == all.Count) throw Refusal.Value("after", "it names nothing in this list.");
        }
        JsonObject[] page = [.. all.Skip(begin).Take(Limit)];
        return List(page, begin + page.Length < all.Count);
    }

    public static JsonObject List(IReadOnlyList<JsonObject> page, bool hasMore) => new()
    {
        ["object"] = "list",
        ["data"] = new JsonArray([.. page.Select(each => each.DeepClone())]),
        ["first_id"] = page.Count > 0 ? (string?)page[0]["id"] : null,
        ["last_id"] = page.Count > 0 ? (string?)page[^1]["id"] : null,
        ["has_more"] = hasMore,
    };
}
