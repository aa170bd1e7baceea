using System.Text.Json.Serialization;

namespace Qanat.Gateway;

/// <summary>JSON metadata made at compile time.</summary>
[JsonSerializable(typeof(string))]
internal sealed partial class GatewayJson : JsonSerializerContext;
