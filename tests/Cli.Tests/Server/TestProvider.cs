using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Qanat.Cli.Tests;

/// <summary>A small OpenID provider that lets <see cref="Person"/> in at once: discovery, authorization with PKCE, tokens, keys, end of session. Its tokens can be made wrong.</summary>
internal sealed class TestProvider : IAsyncDisposable
{
    public const string ClientId = "qanat-tests";
    private readonly RsaSecurityKey signing = new(RSA.Create(2048)) { KeyId = "k1" };
    private readonly ConcurrentDictionary<string, Asked> codes = [];
    private readonly WebApplication app;

    private TestProvider(WebApplication app) => this.app = app;

    public string Address => app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();

    /// <summary>What its tokens say of whoever comes.</summary>
    public Dictionary<string, object> Person { get; set; } = [];

    /// <summary>Changes a token before it is signed.</summary>
    public Action<SecurityTokenDescriptor> Spoil { get; set; } = _ => { };

    /// <summary>What the last authorization was asked with.</summary>
    public IQueryCollection? Authorization { get; private set; }

    public static async Task<TestProvider> StartAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        TestProvider provider = new(builder.Build());
        provider.app.MapGet("/.well-known/openid-configuration", provider.Discovery);
        provider.app.MapGet("/authorize", provider.Authorize);
        provider.app.MapPost("/token", (Delegate)provider.TokenAsync);
        provider.app.MapGet("/keys", provider.Keys);
        provider.app.MapGet("/logout", () => "good-bye");
        await provider.app.StartAsync();
        return provider;
    }

    public async ValueTask DisposeAsync()
    {
        await app.DisposeAsync();
        signing.Rsa.Dispose();
    }

    private IResult Discovery() => Results.Json(new Dictionary<string, object>
    {
        ["issuer"] = Address,
        ["authorization_endpoint"] = Address + "/authorize",
        ["token_endpoint"] = Address + "/token",
        ["jwks_uri"] = Address + "/keys",
        ["end_session_endpoint"] = Address + "/logout",
        ["response_types_supported"] = new[] { "code" },
        ["subject_types_supported"] = new[] { "public" },
        ["id_token_signing_alg_values_supported"] = new[] { "RS256" },
    });

    private IResult Keys()
    {
        RSAParameters rsa = signing.Rsa.ExportParameters(includePrivateParameters: false);
        return Results.Json(new { keys = new[] { new { kty = "RSA", use = "sig", alg = "RS256", kid = signing.KeyId, n = WebEncoders.Base64UrlEncode(rsa.Modulus!), e = WebEncoders.Base64UrlEncode(rsa.Exponent!) } } });
    }

    private IResult Authorize(HttpContext context)
    {
        Authorization = context.Request.Query;
        string code = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
        string redirect = Authorization["redirect_uri"].ToString();
        codes[code] = new Asked(redirect, Authorization["nonce"].ToString(), Authorization["code_challenge"].ToString());
        return Results.Redirect(QueryHelpers.AddQueryString(redirect, new Dictionary<string, string?> { ["code"] = code, ["state"] = Authorization["state"] }));
    }

    private async Task<IResult> TokenAsync(HttpContext context)
    {
        IFormCollection form = await context.Request.ReadFormAsync();
        string challenge = WebEncoders.Base64UrlEncode(SHA256.HashData(Encoding.ASCII.GetBytes(form["code_verifier"].ToString())));
        if (!codes.TryRemove(form["code"].ToString(), out Asked? asked) || asked.Redirect != form["redirect_uri"] || asked.Challenge != challenge || form["client_id"] != ClientId)
            return Results.Json(new { error = "invalid_grant" }, statusCode: 400);
        DateTime now = DateTime.UnixEpoch + TimeSpan.FromSeconds(TimeProvider.System.GetUtcNow().ToUnixTimeSeconds());
        SecurityTokenDescriptor token = new()
        {
            Issuer = Address,
            Audience = ClientId,
            IssuedAt = now,
            NotBefore = now,
            Expires = now.AddMinutes(5),
            Claims = new Dictionary<string, object>(Person) { ["nonce"] = asked.Nonce },
            SigningCredentials = new SigningCredentials(signing, SecurityAlgorithms.RsaSha256),
        };
        Spoil(token);
        return Results.Json(new { access_token = "at", token_type = "Bearer", expires_in = 300, id_token = new JsonWebTokenHandler { SetDefaultTimesOnTokenCreation = false }.CreateToken(token) });
    }

    private sealed record Asked(string Redirect, string Nonce, string Challenge);
}
