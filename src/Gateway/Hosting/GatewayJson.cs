using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Qanat.Gateway;

/// <summary>JSON metadata made at compile time.</summary>
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(JsonObject))]
internal sealed partial class GatewayJson : JsonSerializerContext;
