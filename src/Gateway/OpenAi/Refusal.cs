namespace Qanat.Gateway;

/// <summary>What is wrong with a request: every complaint names the field and says what is allowed, in OpenAI's codes.</summary>
internal static class Refusal
{
    public const string InvalidRequest = "invalid_request_error";

    public static ApiException Missing(string param) =>
        new(400, InvalidRequest, "missing_required_parameter", $"Missing required parameter: '{param}'.", param);

    public static ApiException Type(string param, string expected, string got) =>
        new(400, InvalidRequest, "invalid_type", $"Invalid type for '{param}': expected {expected}, but got {got} instead.", param);

    public static ApiException Value(string param, string allowed) =>
        new(400, InvalidRequest, "invalid_value", $"Invalid value for '{param}': {allowed}", param);

    public static ApiException Unsupported(string param, string why) =>
        new(400, InvalidRequest, "unsupported_parameter", $"'{param}' cannot be used here: {why}", param);

    public static ApiException TooLong(string param, ServedModel model) =>
        new(400, InvalidRequest, "context_length_exceeded", $"The prompt does not fit: {model.Name} has room for {model.ContextLength} tokens, prompt and answer together. Shorten it.", param);
}
