using System.Text.Json;

namespace Qanat.Models.Tests;

/// <summary>The templates' language. What is expected is what Python's Jinja2 gives with the settings of the Transformers library.</summary>
public sealed class JinjaTests
{
    private const string Values = """
        {"name": "Ada", "text": "  a-b \n", "n": 7, "x": 1.5, "yes": true, "nothing": null, "words": ["one", "two", "three"], "user": {"name": "Bo", "items": [1, 2]},
         "messages": [{"role": "user", "content": "hi"}, {"role": "tool", "content": "r"}, {"role": "assistant", "content": "yo"}]}
        """;

    private static JinjaText Run(string template, JinjaLimits? limits = null)
    {
        using JsonDocument values = JsonDocument.Parse(Values);
        return JinjaTemplate.Parse(template).Render(values.RootElement.EnumerateObject().Select(member => KeyValuePair.Create(member.Name, JinjaValue.Of(member.Value))), limits);
    }

    [Theory]
    [InlineData("a {{ name }} b", "a Ada b")]
    [InlineData("{{ missing }}|{{ nothing }}|{{ yes }}|{{ x }}|{{ 3.0 }}|{{ n }}", "|None|True|1.5|3.0|7")]
    [InlineData("{{ 'it''s' ~ \"\\n\\t\\u0041\\\\\" }}", "its\n\tA\\")]
    [InlineData("{{ [1, 'a', none, true] }}{{ {'k': 'it\\'s'} }}", "[1, 'a', None, True]{'k': \"it's\"}")]
    [InlineData("{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 3 }} {{ 1 + 2 * 3 - 1 }} {{ 'a' + 'b' ~ 1 }}", "3 -4 2 3.5 8 6 ab1")]
    [InlineData("{{ 1 < 2 < 3 }} {{ 1 < 2 > 3 }} {{ 'b' > 'a' }} {{ 1 == 1.0 }} {{ [1] == [1] }} {{ not 1 == 2 }}", "True False True True True True")]
    [InlineData("{{ 'a' in 'cat' }} {{ 'name' in user }} {{ 'two' in words }} {{ 4 not in [1, 2] }} {{ 'x' in missing }}", "True True True True False")]
    [InlineData("{{ '' or 'b' }} {{ 'a' and 'b' }} {{ 'yes' if n > 5 else 'no' }} [{{ 'yes' if n > 9 }}]", "b b yes []")]
    [InlineData("{{ words[0] }} {{ words[-1] }} {{ words[1:] | join(',') }} {{ words[::-1] | join }} {{ name[1:] }} {{ words[9] is undefined }}", "one three two,three threetwoone da True")]
    [InlineData("{{ user.name }} {{ user['name'] }} {{ user.get('age', 5) }} {{ user['items'] | length }}", "Bo Bo 5 2")]
    public void Values_and_operators_are_those_of_Python(string template, string expected) => Assert.Equal(expected, Run(template).Value);

    [Theory]
    [InlineData("[{{ text | trim }}][{{ text.strip() }}][{{ text.lstrip() }}][{{ 'xxaxx'.rstrip('x') }}]", "[a-b][a-b][a-b \n][xxa]")]
    [InlineData("{{ 'a,b,c'.split(',') | join('+') }} {{ 'a,b,c'.split(',', 1)[1] }} {{ 'a,b,c'.rsplit(',', 1)[0] }} {{ ' a  b '.split() | length }} {{ ',a,'.split(',') | length }}", "a+b+c b,c a,b 2 3")]
    [InlineData("{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x', 'bc')) }} {{ 'aXa'.replace('a', 'b', 1) }} {{ 'Ab'.upper() }} {{ 'aB' | capitalize }}", "True True bXa AB Ab")]
    [InlineData("{{ {'a': [1, 2.5, 'ü\"\\n', none, true], 'b': {}} | tojson }}", """{"a": [1, 2.5, "ü\"\n", null, true], "b": {}}""")]
    [InlineData("{{ {'b': 1, 'a': [1]} | tojson(indent=2, sort_keys=true) }}", "{\n  \"a\": [\n    1\n  ],\n  \"b\": 1\n}")]
    [InlineData("{{ user | items | map('first') | join(',') }} {{ messages | map(attribute='role') | join(' ') }}", "name,items user tool assistant")]
    [InlineData("{{ messages | selectattr('role', 'equalto', 'tool') | map(attribute='content') | first }} {{ messages | rejectattr('role', 'in', ['tool', 'user']) | list | length }}", "r 1")]
    [InlineData("{{ missing | default('d') }} {{ '' | default('e', true) }} {{ words | last }} {{ [3, 1, 2] | sort | join }} {{ [1, 1, 2] | unique | list | length }} {{ '42' | int + 1 }}", "d e three 123 2 43")]
    [InlineData("{{ 'a\nb' | indent(2) }} {{ 'abc' | reverse }} {{ [1, 5, 2] | max }} {{ -3 | abs }} {{ [1, 2] | sum }}", "a\n  b cba 5 3 3")]
    [InlineData("{{ n is odd }} {{ n is divisibleby 7 }} {{ name is string }} {{ user is mapping }} {{ words is sequence and words is not string }} {{ missing is defined }} {{ nothing is none }} {{ yes is true }} {{ n is not none }}", "True True True True True False True True True")]
    public void Filters_methods_and_tests_are_those_of_Jinja(string template, string expected) => Assert.Equal(expected, Run(template).Value);

    [Theory]
    [InlineData("{% for w in words %}{{ loop.index }}{{ w }}{% if not loop.last %}, {% endif %}{% endfor %}", "1one, 2two, 3three")]
    [InlineData("{% for w in words if 't' in w %}{{ loop.index0 }}/{{ loop.length }}{{ w }}{% else %}none{% endfor %}", "0/2two1/2three")]
    [InlineData("{% for w in [] %}x{% else %}none{% endfor %}", "none")]
    [InlineData("{% for k, v in user.items() %}{{ k }}={{ v }};{% endfor %}", "name=Bo;items=[1, 2];")]
    [InlineData("{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}", "02")]
    [InlineData("{% for m in messages %}{{ loop.previtem.role }}<{{ m.role }}>{{ loop.nextitem.role if loop.nextitem }} {% endfor %}", "<user>tool user<tool>assistant tool<assistant> ", true)]
    [InlineData("{% set a = 1 %}{% for i in range(2) %}{% set a = i + 5 %}{% endfor %}{{ a }}", "1")]
    [InlineData("{% set ns = namespace(a=1) %}{% for i in range(2) %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}", "2")]
    [InlineData("{% if n > 9 %}a{% elif n > 5 %}b{% else %}c{% endif %}", "b")]
    [InlineData("{% macro greet(who, mark='!') %}hi {{ who }}{{ mark }}{% endmacro %}{{ greet('a') }}{{ greet('b', mark='?') }}{{ greet() }}", "hi a!hi b?hi !")]
    [InlineData("{% set t %}x{{ n }}{% endset %}[{{ t }}]{% filter upper %}abc{% endfilter %}{% set a, b = [1, 2] %}{{ a + b }}", "[x7]ABC3")]
    [InlineData("{% raw %}{{ x }}{% endraw %}{# nothing #}{% generation %}g{% endgeneration %}", "{{ x }}g")]
    public void Statements_are_those_of_Jinja(string template, string expected, bool missesNeighbours = false)
    {
        if (missesNeighbours) Assert.Throws<JinjaException>(() => Run(template));
        else Assert.Equal(expected, Run(template).Value);
    }

    [Theory]
    [InlineData("  {% if yes %}\na\n  {% endif %}\nb\n", "a\nb")]
    [InlineData("x\n  {{ n }}\n\n", "x\n  7\n")]
    [InlineData("a  {%- if yes -%}  b  {%- endif %}  c", "ab  c")]
    [InlineData("  {%+ if yes %}a{% endif +%}\nb", "  a\nb")]
    [InlineData("a {{- n -}} b", "a7b")]
    [InlineData("  {# gone #}\nb {{ {'a': {'b': 1}}['a']['b'] }}", "b 1")]
    public void White_space_goes_where_trainers_of_models_have_it_go(string template, string expected) => Assert.Equal(expected, Run(template).Value);

    [Theory]
    [InlineData("a\n{{ 1 + }}", "line 2: a value is expected")]
    [InlineData("{% if x %}", "endif is missing")]
    [InlineData("{{ x | nofilter }}", "there is no filter nofilter")]
    [InlineData("{{ x is notest }}", "there is no test notest")]
    [InlineData("{% include 'a' %}", "the tag include is not known")]
    [InlineData("{{ 'a", "a string does not end")]
    [InlineData("{{ a", "a tag does not end")]
    [InlineData("{{ missing.name }}", "missing is not there")]
    [InlineData("\n\n{{ strftime_now('%d') }}", "line 3: there is no function strftime_now")]
    [InlineData("{{ 'a' + 1 }}", "string + integer has no meaning")]
    [InlineData("{{ raise_exception('No way') }}", "No way")]
    [InlineData("{{ 1 // 0 }}", "has no result")]
    public void What_is_wrong_is_told_with_its_line(string template, string problem) =>
        Assert.Contains(problem, Assert.Throws<JinjaException>(() => Run(template)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", "steps")]
    [InlineData("{% set ns = namespace(s='aaaaaaaaaa') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "characters")]
    [InlineData("{% for i in range(1000000) %}{% endfor %}", "range")]
    [InlineData("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "too deeply")]
    public void Time_memory_and_depth_are_bounded(string template, string problem) =>
        Assert.Contains(problem, Assert.Throws<JinjaException>(() => Run(template, new JinjaLimits(200_000, 1 << 20))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("{{ ", "(", ")", " }}")]
    [InlineData("{{ ", "[", "]", " }}")]
    [InlineData("{{ ", "not ", "", "1 }}")]
    [InlineData("{{ 1", " + 1", "", " }}")]
    [InlineData("{{ 1", " | d", "", " }}")]
    [InlineData("{{ a", ".a", "", " }}")]
    [InlineData("", "{% if 1 %}", "{% endif %}", "")]
    [InlineData("{% if 0 %}", "{% elif 0 %}", "", "{% endif %}")]
    public void Nested_without_end_it_is_refused_or_rendered_but_never_overflows(string before, string repeated, string after, string end)
    {
        string template = before + string.Concat(Enumerable.Repeat(repeated, 50_000)) + string.Concat(Enumerable.Repeat(after, 50_000)) + end;
        try
        {
            Run(template);
        }
        catch (JinjaException)
        {
        }
    }

    [Fact]
    public void Random_damage_is_an_error_or_a_text()
    {
        string[] parts = ["{{", "}}", "{%", "%}", "{#", "#}", " for ", " in ", "if", "else", "endif", "endfor", "set", "=", "'", "\"", "(", ")", "[", "]", ":", ",", "|", ".", "-", "+", "%", "words", "x", "loop", "macro", "endmacro", "is", "not", "1", "\\", "\n", " ", "~", "tojson", "raw", "endraw"];
        const int Seed = 5;
        var random = new Random(Seed);
        for (int i = 0; i < 5000; i++)
        {
            string template = string.Concat(Enumerable.Range(0, random.Next(1, 25)).Select(_ => parts[random.Next(parts.Length)]));
            try
            {
                Run(template);
            }
            catch (JinjaException)
            {
            }
            catch (Exception error)
            {
                Assert.Fail($"{template} (seed {Seed}): {error}");
            }
        }
    }

    /// <summary>Foreign characters are those of the values, however they were cut and joined.</summary>
    [Theory]
    [InlineData("<{{ name }}>", "Ada")]
    [InlineData("{{ 'x' + name[1:] + 'y' }}", "da")]
    [InlineData("{{ ('<' ~ name ~ '>').replace('d', 'DD') }}", "A,a")]
    [InlineData("{{ ('a ' + text).split(' ') | join('') | trim }}", "a-b")]
    [InlineData("{% macro m(t) %}<m>{{ t | upper }}</m>{% endmacro %}{{ m(name) }}", "ADA")]
    [InlineData("{{ words | join('|') }}", "one,two,three")]
    [InlineData("{{ user | tojson }}!", """{"name": "Bo", "items": [1, 2]}""")]
    [InlineData("{{ 'own' }}", "")]
    public void What_came_from_outside_stays_known(string template, string foreign)
    {
        JinjaText text = Run(template);
        Assert.Equal(foreign, string.Join(",", text.Foreign.Select(range => text.Value[range.Start..range.End])));
    }
}
