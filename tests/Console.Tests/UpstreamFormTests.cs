using Qanat.Books;
using Qanat.Gateway;

namespace Qanat.Console.Tests;

public sealed class UpstreamFormTests
{
    private static UpstreamForm Form(string models) => new() { Name = "gpu-1", Url = "http://gpu-1:8000/v1", Models = models };

    [Fact]
    public void Models_are_read_line_by_line_with_their_names_rates_and_context()
    {
        UpstreamSpec spec = Form("qwen3-32b=Qwen/Qwen3-32B input 0.08 output 0.24 context 32768\n\n  plain  ").Read(null);
        Assert.Equal(("gpu-1", new Uri("http://gpu-1:8000/v1"), 2), (spec.Name, spec.Url, spec.Models.Length));
        Assert.Equal(("qwen3-32b", "Qwen/Qwen3-32B", 32_768, TokenRates.PerMillion(Currency.Usd, "0.08", "0.24")), (spec.Models[0].Name.Value, spec.Models[0].Theirs, spec.Models[0].ContextLength, spec.Models[0].Rates));
        Assert.Equal(("plain", "plain", null), (spec.Models[1].Name.Value, spec.Models[1].Theirs, spec.Models[1].Rates));
    }

    [Fact]
    public void What_is_shown_reads_back_as_it_was_and_what_has_no_field_stays()
    {
        UpstreamSpec spec = new("gpu-1", UpstreamProtocol.ModelStudio, new Uri("https://gpu-1/v1"),
            [new UpstreamModel(new ModelName("a"), "theirs/a", TokenRates.PerMillion(Currency.Usd, "0.5", "1", cacheRead: "0.1")) { ContextLength = 8_192, CountAs = new ModelName("tiny") }])
        {
            AllowPrivate = true,
            Rank = 2,
            Weight = 3,
            ConcurrentMax = 40,
            IsOff = true,
            IdleTimeout = TimeSpan.FromSeconds(7),
        };
        UpstreamSpec read = UpstreamForm.Of(spec).Read(spec);
        Assert.Equal(spec with { Models = read.Models }, read);
        Assert.Equal(spec.Models, read.Models);
    }

    [Theory]
    [InlineData("")]
    [InlineData("a\na input 1 output 2")]
    [InlineData("a=")]
    [InlineData("a input")]
    [InlineData("a input 1 output x")]
    [InlineData("a context")]
    [InlineData("a context 15")]
    public void What_is_no_model_is_told_in_a_sentence(string models) => Assert.Throws<FormatException>(() => Form(models).Read(null));

    [Theory]
    [InlineData("gpu 1", "http://gpu-1/v1")]
    [InlineData("attempt", "http://gpu-1/v1")]
    [InlineData("gpu-1", "gpu-1/v1")]
    [InlineData("gpu-1", "http://user:secret@gpu-1/v1")]
    [InlineData("gpu-1", "file:///etc/passwd")]
    public void A_name_or_an_address_that_could_not_be_is_refused(string name, string url) =>
        Assert.Throws<FormatException>(() => new UpstreamForm { Name = name, Url = url, Models = "a" }.Read(null));
}
