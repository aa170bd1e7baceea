using System.Text.Json;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Words the list of models, each with its context, its notice and its price for whoever asks.</summary>
internal sealed class ModelList(ServedModels models, TariffState tariffs, TimeProvider clock)
{
    public void WriteAll(Utf8JsonWriter json, Caller caller)
    {
        json.WriteStartObject();
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        foreach (ServedModel model in models.For(caller))
            Write(json, model, caller);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    public void WriteOne(Utf8JsonWriter json, string name, Caller caller) => Write(json, models.FindFor(caller, name), caller);

    private void Write(Utf8JsonWriter json, ServedModel model, Caller caller)
    {
        json.WriteStartObject();
        json.WriteString("id", model.Name.Value);
        json.WriteString("object", "model");
        json.WriteNumber("created", model.ServedSince.ToDateTimeOffset().ToUnixTimeSeconds());
        json.WriteString("owned_by", "qanat");
        json.WriteNumber("max_model_len", model.ContextLength);
        json.WriteStartObject("x_qanat");
        if (model.Notice is { } notice) json.WriteString("notice", notice);
        if (tariffs.Prices.Find(model.Name, caller.Tenant.Id, Instant.Now(clock)) is { } price)
        {
            json.WriteStartObject("price");
            BillJson.WriteRates(json, price.Rates);
            json.WriteBoolean("assumed", price.IsAssumption);
            json.WriteEndObject();
        }
        else
        {
            json.WriteNull("price");
        }
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
