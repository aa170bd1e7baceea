using Qanat.Books;

namespace Qanat.Gateway.Tests;

public sealed class AccountTests
{
    private const string Order = """{"tenant":"acme","login":"Ann@acme.example","role":"viewer","password":"correct horse battery"}""";

    [Fact]
    public async Task An_account_signs_in_by_name_and_password_and_nothing_tells_its_hash()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        DirectoryState directory = gateway.Get<DirectoryState>();
        Answer made = await gateway.AdminAsync("POST", "/api/accounts", Order);
        Assert.Equal((200, "Ann@acme.example", "tenant", "viewer"), (made.Status, (string?)made.Body["login"], (string?)made.Body["reach"], (string?)made.Body["role"]));
        ApiKey account = Passwords.Verify(directory, " ann@ACME.example ", "correct horse battery")!;
        Assert.Equal((string?)made.Body["id"], account.Id.ToString());
        Assert.Null(Passwords.Verify(directory, "ann@acme.example", "correct horse batter"));
        Assert.Null(Passwords.Verify(directory, "bob", "correct horse battery"));

        string hash = KeyTerms.Of(account).Account!.PasswordHash;
        Assert.DoesNotContain("correct horse", account.Settings!, StringComparison.Ordinal);
        string told = made.Text + (await gateway.AdminAsync("GET", "/api/keys")).Text + (await gateway.AdminAsync("GET", "/api/audit")).Text + string.Join('\n', gateway.Log.Lines);
        Assert.DoesNotContain(hash[..20], told, StringComparison.Ordinal);
        Assert.DoesNotContain("correct horse", told, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_login_is_taken_once_a_password_can_be_changed_and_an_ended_account_signs_nobody_in()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        DirectoryState directory = gateway.Get<DirectoryState>();
        Answer made = await gateway.AdminAsync("POST", "/api/accounts", Order);
        Assert.Equal((409, "name_taken"), await CodeAsync(gateway, "POST", "/api/accounts", Order.Replace("Ann@", "ANN@", StringComparison.Ordinal)));
        Assert.Equal((400, "invalid_value"), await CodeAsync(gateway, "PUT", $"/api/accounts/{made.Body["id"]}/password", """{"password":"too short"}"""));
        Assert.Equal(200, (await gateway.AdminAsync("PUT", $"/api/accounts/{made.Body["id"]}/password", """{"password":"another long password"}""")).Status);
        Assert.Null(Passwords.Verify(directory, "ann@acme.example", "correct horse battery"));
        Assert.NotNull(Passwords.Verify(directory, "ann@acme.example", "another long password"));
        Assert.Equal((400, "is_account"), await CodeAsync(gateway, "POST", $"/api/keys/{made.Body["id"]}/rotate", "{}"));
        await gateway.AdminAsync("DELETE", $"/api/keys/{made.Body["id"]}");
        Assert.Null(Passwords.Verify(directory, "ann@acme.example", "another long password"));
        Assert.Equal(200, (await gateway.AdminAsync("POST", "/api/accounts", Order)).Status);
    }

    private static async Task<(int, string?)> CodeAsync(TestGateway gateway, string method, string path, string body)
    {
        Answer answer = await gateway.AdminAsync(method, path, body);
        return (answer.Status, answer.Code);
    }
}
