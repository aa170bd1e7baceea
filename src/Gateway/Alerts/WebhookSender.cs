using System.Globalization;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;

namespace Qanat.Gateway;

/// <summary>Posts a signed message to an address that a tenant has named. `x-qanat-signature: t=SECONDS,v1=HEX` is HMAC-SHA-256, with the tenant's secret, over "SECONDS.BODY": whoever receives it knows that it is
/// ours, and how old it is.</summary>
public sealed class WebhookSender(AddressGuard guard, TimeProvider clock) : IDisposable
{
    private static readonly TimeSpan AnswerMax = TimeSpan.FromSeconds(10);
    private readonly HttpClient http = new(guard.Handler()) { Timeout = AnswerMax, MaxResponseContentBufferSize = 64 << 10 };

    /// <summary>Whether it was taken (2xx).</summary>
    public async Task<bool> SendAsync(WebhookTerms to, string id, byte[] body, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(to);
        string seconds = clock.GetUtcNow().ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        using HttpRequestMessage request = new(HttpMethod.Post, to.Url) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.Add("x-qanat-signature", $"t={seconds},v1={Sign(to.Secret, seconds, body)}");
        request.Headers.Add("x-qanat-delivery", Uri.EscapeDataString(id));
        try
        {
            using HttpResponseMessage answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel);
            return answer.IsSuccessStatusCode;
        }
        catch (Exception error) when (error is HttpRequestException || error is OperationCanceledException && !cancel.IsCancellationRequested)
        {
            return false;
        }
    }

    public static string Sign(string secret, string seconds, ReadOnlySpan<byte> body)
    {
        using IncrementalHash hash = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, Encoding.UTF8.GetBytes(secret));
        hash.AppendData(Encoding.UTF8.GetBytes(seconds + "."));
        hash.AppendData(body);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    public void Dispose() => http.Dispose();
}
