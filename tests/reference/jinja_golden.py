# SPDX-License-Identifier: MIT
"""Makes the reference values of the template tests with the real Jinja2, set up by transformers itself.

    jinja_golden.py cases OUT.jsonl              our own small templates (CASES below): the file that the tests read
    jinja_golden.py folder DIR OUT.jsonl         every *.jinja in DIR over many conversations; for checks by hand, not to be committed

Each line is {"template" or "template_file", "case", "vars", "rendered" or "error"[, "spans"]}; the first line of `cases` names versions.
"""
import datetime
import json
import pathlib
import sys

import jinja2
import transformers
from transformers.utils import chat_template_utils as ctu

NOW = 1718452805                              # 2024-06-15 12:00:05 UTC: what strftime_now sees


class FixedClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 6, 15, 12, 0, 5)


ctu.datetime = FixedClock

# Each case: (name, template, vars). Vars are JSON.
MESSAGES = [
    {"role": "system", "content": " Be brief. "},
    {"role": "user", "content": "What is a naïve café?"},
    {"role": "assistant", "content": "A café.\nNaïve."},
    {"role": "user", "content": ""},
]
DATA = {
    "s": "Hello, Wörld", "empty": "", "n": 7, "f": 2.5, "t": True, "no": None, "l": [3, 1, 2], "words": ["b", "a", "C", "A"],
    "d": {"b": 1, "a": {"x": [1, 2, {"y": "z"}]}, "items": "own"}, "people": [
        {"name": "Ann", "age": 30, "city": "Oslo", "ok": True}, {"name": "bob", "age": 25, "city": "Rome"},
        {"name": "Cid", "age": 30, "city": "oslo", "ok": False}],
    "messages": MESSAGES, "html": "<b>\"x\" & 'y'</b>", "uni": "日本語 ßtraße ΑΣ",
}

EXPRESSIONS = r"""
1 + 2 * 3 - 4
-2 ** 2
2 ** 3 ** 2
7 // 2 ~ '|' ~ -7 // 2 ~ '|' ~ 7 % -3 ~ '|' ~ -7 % 3
7 / 2 ~ ' ' ~ 6 / 2
1.0 ~ ' ' ~ 1e16 ~ ' ' ~ 1e15 ~ ' ' ~ 0.0001 ~ ' ' ~ 0.00001 ~ ' ' ~ 123456.789e3 ~ ' ' ~ 0.1 + 0.2
1_000 + 0x1F + 0b101 + 0o17
not true or false and none
1 < 2 < 3 and not 3 < 2 < 1
1 == 1.0 and true == 1 and '1' != 1
n if n > 5 else 'small'
'x' if false
n is number and f is float and n is integer and not t is integer
t is boolean and t is true and no is none and nope is undefined
s is string and l is sequence and d is mapping and l is iterable and not n is iterable
n is odd and 4 is even and 9 is divisibleby 3 and 9 is divisibleby(3)
n is eq 7 and n is gt 3 and n is lessthan 10 and n is ge 7 and 3 is in l
3 in l and 9 not in l and 'ell' in s and 'b' in d and not 'z' in d
s[0] ~ s[-1] ~ s[1:4] ~ s[-3:] ~ s[::-1] ~ s[::2] ~ s[10:2:-3]
l[0] ~ l[-1] ~ l[1:] ~ l[::-1] ~ l[:-1] ~ l[5:] ~ l[-100:100]
(1, 2, 'a') ~ (1,) ~ () ~ [] ~ {} ~ [none, true, 1.5, "it's", 'q"', "\n\t\\"]
d ~ '' ~ d.b ~ d['a'] ~ d.a.x[2].y ~ d.a.x.2.y
d.items() ~ '|' ~ d['items'] ~ '|' ~ d.keys() ~ d.values()
d.get('b') ~ d.get('q') ~ d.get('q', 5)
range(5) ~ ' ' ~ range(1, 5)|list ~ range(5, 0, -2)|list ~ range(3)[1]
dict(a=1, b='x') ~ dict([['k', 2]], z=3)
s|upper ~ s|lower ~ s|length ~ s|capitalize ~ 'hello wORLD-foo (bar)'|title
uni|upper ~ uni|lower ~ uni|length ~ uni[2] ~ uni[::-1] ~ uni|title
'  a b '|trim ~ '|' ~ 'xxaxx'|trim('x') ~ '|' ~ ' a '.strip() ~ '|' ~ 'xya'.lstrip('xy') ~ 'abc'.rstrip('c')
'a,b,,c'.split(',') ~ ' a  b c '.split() ~ 'a b c'.split(' ', 1) ~ 'a b c'.rsplit(' ', 1) ~ 'a  b  c '.split(none, 1)
'a\nb\r\nc\n'.splitlines() ~ 'a-b-c'.partition('-') ~ 'a-b-c'.rpartition('-')
'abc'.startswith('ab') ~ 'abc'.endswith(('x', 'bc')) ~ 'abcabc'.find('c') ~ 'abcabc'.rfind('c') ~ 'abc'.find('z') ~ 'aXbX'.count('X')
'banana'.replace('a', 'o') ~ 'banana'.replace('a', 'o', 2) ~ 'banana'|replace('an', '-', 1) ~ 'ab'.replace('', '.')
'a'.join(['x', 'y', 'z']) ~ ', '.join(words)
'abc'.title() ~ "they're bill's".title() ~ 'aBc'.swapcase() ~ 'ABC'.lower() ~ 'x'.center(5, '*') ~ '7'.zfill(3) ~ '-7'.zfill(4) ~ 'a'.ljust(3) ~ '|' ~ 'a'.rjust(3)
'12'.isdigit() ~ 'ab'.isalpha() ~ 'a1'.isalnum() ~ ' '.isspace() ~ 'AB'.isupper() ~ 'ab'.islower() ~ ''.isdigit()
'prefix-x'.removeprefix('prefix-') ~ 'x.txt'.removesuffix('.txt')
'%s is %d and %.2f and %5s|%-5s|%05d|%x|%%' % ('a', 3, 2.5, 'r', 'l', 42, 255)
'%(a)s-%(b)s' % {'a': 1, 'b': 2}
'{} {0!r}'|string
'{} and {}'.format('a', 1) ~ '{1}{0}'.format('a', 'b') ~ '{x:>5}|{x:<5}|{x:^5}|{y:.2f}|{z:05d}|{z:,}'.format(x='q', y=2.0, z=1234)
'%s-%s'|format('a', 2)
l|sort ~ l|sort(reverse=true) ~ words|sort ~ words|sort(case_sensitive=true)
people|sort(attribute='age')|map(attribute='name')|join(',') ~ people|sort(attribute='age,name', reverse=true)|map(attribute='name')|list
people|selectattr('ok')|map(attribute='name')|list ~ people|rejectattr('ok')|list|length ~ people|selectattr('age', 'gt', 26)|map(attribute='name')|join
people|selectattr('ok', 'defined')|list|length ~ people|map(attribute='ok', default='?')|list
people|groupby('city')|length ~ people|map(attribute='age')|sum ~ people|sum(attribute='age')
l|select('odd')|list ~ l|reject('eq', 1)|list ~ [0, 1, '', 'a', none]|select|list ~ words|map('upper')|join('')
l|first ~ l|last ~ l|min ~ l|max ~ l|sum ~ words|min ~ words|max(case_sensitive=true)
words|unique|list ~ words|unique(case_sensitive=true)|join ~ l|reverse|list ~ 'abc'|reverse
d|dictsort ~ {'b': 1, 'A': 2}|dictsort ~ {'b': 1, 'A': 2}|dictsort(true) ~ {'b': 1, 'a': 2}|dictsort(by='value', reverse=true)
d|items|list ~ nope|items|list ~ d|length ~ d|list
d|tojson ~ d|tojson(indent=2) ~ l|tojson(indent=4) ~ {}|tojson(indent=2) ~ []|tojson
d|tojson(separators=(',', ':')) ~ {'b': 1, 'a': 2}|tojson(sort_keys=true) ~ 'é"\\\n\u0001</'|tojson ~ 'é😀'|tojson(ensure_ascii=true)
[1.0, 1e20, 0.1, true, none, {'1': 2}]|tojson ~ {1: 'a', true: 'b', none: 'c'}|tojson
nope|default('d') ~ ''|default('e') ~ ''|default('e', true) ~ no|default('n') ~ nope|d
'3.7'|int ~ '12'|int ~ 'x'|int ~ 'x'|int(5) ~ 'ff'|int(base=16) ~ 3.9|int ~ '1.5'|float ~ 'q'|float ~ true|int
2.5|round ~ 3.5|round ~ 2.567|round(2) ~ 2.1|round(method='ceil') ~ 2.19|round(1, 'floor') ~ 42|round ~ -3|abs
'a\nb\n\nc'|indent ~ '|' ~ 'a\nb'|indent(2, first=true) ~ '|' ~ 'a\n\nb'|indent('>>', blank=true)
'foo bar baz qux'|truncate(9) ~ 'foo bar baz qux'|truncate(9, true) ~ 'foo bar'|wordcount ~ 'x'|center(5) ~ '|'
html|escape ~ html|safe ~ html|e|upper ~ (html|safe) + '<i>' ~ '<a>' + (html|safe)
'<x>'|safe + html
'a b/c&d'|urlencode ~ {'a': 'x y', 'b': 2}|urlencode
[1, 2, 3, 4, 5]|batch(2)|list ~ [1, 2, 3, 4, 5]|batch(2, 'x')|list ~ [1, 2, 3, 4, 5]|slice(2)|list
[1, 2] + [3] ~ (1,) + (2,) ~ 'ab' * 3 ~ [0] * 2 ~ true + 1
l|string ~ l|list|string ~ 'abc'|list ~ d.a|string
n.real ~ nope ~ d.nope ~ l.nope
'a' 'b' "c"
"\x41\u00e9\U0001F600\101\q"
[1, 2, 3].index(2) ~ [1, 1].count(1) ~ (1, 2).index(2)
{'a': 1}.items()|list ~ {'a': 1} == {'a': 1} ~ [1, [2]] == [1, [2]] ~ [1] < [2] ~ 'a' < 'b'
(1 if n else 2) ~ (n and 'yes' or 'no') ~ (no or 'fallback') ~ (empty and 1)
nope is defined or nope == other_nope
none ~ true ~ false ~ None ~ True
namespace(a=1).a ~ namespace({'q': 2}).q
l is sameas l ~ ' ' ~ 'x' is lower ~ 'X' is upper ~ 'upper' is filter ~ 'odd' is test ~ l is callable
'tojson' is filter and raise_exception is callable
loop is defined
s.__class__ ~ 'x'
[s, n]|join(' / ') ~ [1, none, true]|join('-')
messages|map(attribute='role')|list ~ messages[1:]|length ~ messages[-1].content ~ messages[0]['content']|trim
people|map(attribute='name')|map('lower')|select('in', ['bob', 'cid'])|list
"abc"|first ~ "abc"|last ~ []|first ~ 'é€😀'|length
1234567.891|round(1) ~ 1e100 ~ 5e-324 ~ 1.7976931348623157e308 ~ 0.1 ~ 100.0 ~ 3.0e-10
(l|length, l|sum) ~ [[1, 2], [3]]|sum(start=[])
'a  b'.split(' ') ~ ''.split() ~ ''.split(',') ~ 'abc'.split('abc')
'İstanbul ς Ǆ ÿ'.upper()
d.a.x[-1]['y'] ~ d['a']['x'][0:2]
'x,y' | replace(',', ';') | upper ~ 1
-n + +n ~ (-n)|abs ~ -n|abs
'yes' if s is defined and s|length > 3 and s.startswith('H') else 'no'
not s is string or not (n is none)
n not in [1, 2] and 'z' not in s
uni.upper().swapcase() ~ (html|safe).split() ~ ('a b'|safe).partition(' ')
(-0.4)|round ~ ' ' ~ (-2.5)|round(-1) ~ ' ' ~ (-3)|round(-1) ~ ' ' ~ 2.675|round(2)
'The quick-brown fox -- jumped over it, well-known a--b x-'|wordwrap(9) ~ '/' ~ 'abcdefghij klm'|wordwrap(4) ~ '/' ~ 'abcdefghij klm'|wordwrap(4, false, '+')
'a_x-y_b c-d-ef g'|wordwrap(4) ~ '/' ~ 'ab cd-efgh ij'|wordwrap(3)
html.isprintable() ~ 'a\\b'.isprintable() ~ 'a\nb'.isprintable() ~ '{0}{1}'.format(1, 2) ~ '{}{}'.format(1, 2)
('word ' * 30)|pprint ~ {'b': ['x' * 30, 'y' * 40, 'z z ' * 25], 'a': 1}|pprint ~ [1, 2]|pprint ~ 'short'|pprint
{'a': 1, 'b': none, 'c-d': '<"&'}|xmlattr ~ '|' ~ {}|xmlattr ~ '|' ~ {'x': 2}|xmlattr(false)
'<p>a &amp; b</p> <!-- no --> c <b &lt;x&gt; &#233;'|striptags
[nope, nope, 1, 1.0, true]|unique|list|length
'%d' % true ~ 'abc' % l ~ 'abc' % {} ~ 'abc' % nope
strftime_now('%d %b %Y|%-d %B %y %A %a %H:%M:%S %I %p %j %%')
""".strip("\n").split("\n")

ERRORS = r"""
nope.x
nope + 1
nope()
s + 1
1 + s
none + 'a'
l['x'].y
raise_exception('stop ' ~ n)
{}.x.y
1 < 'a'
[1, 'a']|sort
1 / 0
nope['x']
s|nofilter
s is notest
range(100001)|length
s.append(1)
l.append(1)
d.update({})
s.__class__.__mro__
d|tojson(indent=2, sort_keys=true).x
's'|filesizeformat
{'a b': 1}|xmlattr
l is filter
d.items() is test
'{} {0}'.format(1, 2)
's'|wordwrap(0)
nope|tojson
'%d' % 'x'
'%s %s' % 'a'
none|length
5|list
'a'.join([1])
x|
1 +
[1, 2
'abc
{'a' 1}
""".strip("\n").split("\n")

STATEMENTS = [
    ("for", "{% for m in messages %}{{ loop.index }}/{{ loop.length }} {{ m.role }}{% if not loop.last %}, {% endif %}{% endfor %}"),
    ("for_all_loop", "{% for x in l %}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.cycle('a', 'b') }}{{ loop.depth }}{{ loop.changed(x > 1) }};{% endfor %}"),
    ("for_filter_else", "{% for x in l if x > 1 %}{{ x }}{{ loop.length }}{% else %}none{% endfor %}{% for x in l if x > 9 %}{{ x }}{% else %}none{% endfor %}"),
    ("for_else_after_break", "{% for x in l %}{% break %}{% else %}else{% endfor %}{% for x in l %}{{ x }}{% if x == 1 %}{% break %}{% endif %}{% else %}no{% endfor %}"),
    ("for_else_after_continue", "{% for x in l %}{% continue %}{% else %}else{% endfor %}"),
    ("set_maybe", "{% for i in [0, 1, 2] %}{% if i == 1 %}{% set s = 'in' %}{% endif %}{{ s }} {% endfor %}{{ s }}"),
    ("set_block_break", "{% for a in 'ab' %}{% set w %}x{% if a == 'a' %}{% continue %}{% endif %}y{% endset %}{{ w }}{% endfor %}"),
    ("macro_in_loop", "{% for a in l %}{% macro m(b=a) %}{{ a }}{{ b }}{{ loop.index }}{% endmacro %}{{ m() }}{{ m(9) }};{% endfor %}"),
    ("for_dict", "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k in d %}{{ k }}{% endfor %}{% for k, v in d|dictsort %}{{ k }}{% endfor %}"),
    ("for_unpack", "{% for a, (b, c) in [[1, [2, 3]], [4, [5, 6]]] %}{{ a }}{{ b }}{{ c }} {% endfor %}"),
    ("for_string", "{% for c in uni %}[{{ c }}]{% endfor %}"),
    ("break_continue", "{% for x in range(10) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %}"),
    ("nested_break", "{% for x in l %}{% for y in l %}{% if y == 1 %}{% break %}{% endif %}{{ x }}{{ y }} {% endfor %}{% endfor %}"),
    ("scope", "{% set x = 1 %}{% for i in l %}{% set x = i %}{{ x }}{% endfor %}{{ x }}{% if true %}{% set x = 9 %}{% endif %}{{ x }}"),
    ("scope_loop_reset", "{% for i in l %}{{ y }}{% set y = i %}{{ y }};{% endfor %}"),
    ("namespace", "{% set ns = namespace(n=0, last=none) %}{% for i in l %}{% set ns.n = ns.n + i %}{% set ns.last = i %}{% endfor %}{{ ns.n }} {{ ns.last }}"),
    ("set_tuple", "{% set a, b = 1, 'x' %}{{ a }}{{ b }}{% set c = 1, 2 %}{{ c }}"),
    ("set_block", "{% set x %}a{{ n }}\nb{% endset %}[{{ x }}]{% set y | upper | replace('A', 'q') %}abc{% endset %}{{ y }}"),
    ("macro", "{% macro m(a, b=2, c=a) %}{{ a }}-{{ b }}-{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, c=3) }} {{ m(b=5, a=4) }} {{ m() }}"),
    ("macro_var", "{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, k=4) }}{{ m.name }}"),
    ("macro_scope", "{% set x = 1 %}{% macro m() %}{{ x }}{{ n }}{% set x = 5 %}{{ x }}{% endmacro %}{{ m() }}{{ x }}{% set x = 2 %}{{ m() }}"),
    ("macro_recursive", "{% macro f(k) %}{% if k > 0 %}{{ k }}{{ f(k - 1) }}{% endif %}{% endmacro %}{{ f(5) }}"),
    ("call", "{% macro box(t) %}<{{ t }}>{{ caller() }}{{ caller() }}</{{ t }}>{% endmacro %}{% call box('b') %}in {{ n }}{% endcall %}"),
    ("call_args", "{% macro each(xs) %}{% for x in xs %}{{ caller(x, loop.index) }}{% endfor %}{% endmacro %}{% call(x, i=0) each(l) %}{{ i }}:{{ x }} {% endcall %}"),
    ("with", "{% with a = 1, b = n %}{{ a }}{{ b }}{% set a = 2 %}{{ a }}{% endwith %}{{ a }}"),
    ("filter_block", "{% filter upper %}abc {{ s }}{% endfilter %}{% filter replace('a', 'b')|trim %}  aa  {% endfilter %}"),
    ("raw", "{% raw %}{{ x }} {% if %}{% endraw %} {{ n }}{%- raw -%}  {{ y }}  {%- endraw -%}  z"),
    ("comment", "a {# x {{ y }} #} b {#- c -#} d\n{# line #}\ne"),
    ("trim_lstrip", "  {% if true %}\n    x\n  {% endif %}\n  y {% if true %} z {% endif %}\n"),
    ("plus", "  {%+ if true %}a{% endif +%}\n b\n  {%+ if true +%}\n c {% endif %}"),
    ("minus", "a  \n {{- n -}}  \n b \n\n {%- if true -%} \n c \n {%- endif -%} \n d"),
    ("trailing_newline", "a\n"),
    ("trailing_newlines", "a\n\n"),
    ("crlf", "a\r\n{% if true %}\r\nb\r\n{% endif %}\r\n'{{ 'x\r\ny' }}'"),
    ("elif", "{% for x in [1, 2, 3] %}{% if x == 1 %}one{% elif x == 2 %}two{% else %}many{% endif %}{% endfor %}"),
    ("recursive", "{% for x in [{'v': 1, 'c': [{'v': 2, 'c': []}, {'v': 3, 'c': []}]}] recursive %}{{ x.v }}{{ loop.depth }}({{ loop(x.c) }}){% endfor %}"),
    ("groupby", "{% for city, items in people|groupby('city') %}{{ city }}:{% for p in items %}{{ p.name }},{% endfor %};{% endfor %}"),
    ("generator_once", "{% set g = l|select('gt', 1) %}{{ g|list }}{{ g|list }}{% if g %}true{% endif %}"),
    ("print", "{% print n, s %}"),
    ("inline_if_in_for", "{% for m in messages if m.role == 'user' and m.content %}{{ m.content }}{% endfor %}"),
    ("dict_literal_in_braces", "{{ {'a': {'b': {}}} }}{{ {'a': 1}['a'] }}"),
    ("cycler_joiner", "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.current }}{% set j = joiner('|') %}{{ j() }}1{{ j() }}2{{ j() }}3"),
    ("kwargs_star", "{% macro m(a, b, c) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(*[1, 2], **{'c': 3}) }}"),
    ("unknown_filter_not_run", "{% if false %}{{ x|nofilter }}{% endif %}ok"),
    ("html_concat", "{{ 'a <'|safe ~ html }}{{ ('x'|safe).upper() ~ '<' }}{{ html ~ '<' }}"),
    ("lstrip_tabs", "\t {% set x = 1 %}\t\n \t{{ x }}\n\u00a0{% if true %}y{% endif %}"),
    ("colon", "{% if true: %}a{% endif %}{% for x in l: %}{{ x }}{% endfor %}"),
    ("deep_literal", "{{ [[[[[[1]]]]]] }}{{ ((((((2)))))) }}"),
    ("unicode_strip", "{{ '\u2003 a\u00a0'|trim }}|  \u00a0{{- 'b' -}}\u2003 c"),
    ("bad_set", "{% set n.x = 1 %}"),
    ("bad_unpack", "{% for a, b in [[1, 2, 3]] %}{% endfor %}"),
    ("bad_end", "{% if true %}a"),
    ("bad_end2", "{% endif %}"),
    ("bad_tag", "{% nosuch %}"),
    ("bad_break", "{% break %}"),
    ("bad_macro", "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}"),
    ("bad_namespace", "{% set ns = namespace() %}{% set ns._x = 1 %}"),
    ("bad_comment", "a {# b"),
    ("bad_loop_name", "{% for x in l %}{% set loop = 1 %}{% endfor %}"),
    ("bad_filter_in_if_in_for", "{% if true %}{% for x in l %}{{ x|nofilter }}{% endfor %}{% endif %}"),
    ("bad_for_number", "{% for x in n %}{% endfor %}"),
]

GENERATION = [
    ("gen_chatml", "{% for m in messages %}<|{{ m.role }}|>\n{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|end|>\n{% endgeneration %}{% else %}{{ m.content }}<|end|>\n{% endif %}{% endfor %}"),
    ("gen_two", "é{% generation %}ö{% endgeneration %}x{% generation %}yz{% endgeneration %}"),
]


def compiled(template):
    return ctu._compile_jinja_template(template)


def render(template, variables):
    try:
        return {"rendered": compiled(template).render(**variables)}
    except RecursionError:
        raise
    except Exception as problem:  # what the class is does not matter: the text must not be rendered
        out = {"error": str(problem)}
        if type(problem) is jinja2.exceptions.TemplateError:
            out["raised"] = True
        return out


def cases(out):
    lines = [{"jinja2": jinja2.__version__, "transformers": transformers.__version__, "python": sys.version.split()[0], "now": NOW, "vars": DATA}]
    for i, text in enumerate(EXPRESSIONS):
        lines.append({"case": f"expression {i + 1}", "template": "{{ " + text + " }}"})
    for i, text in enumerate(ERRORS):
        lines.append({"case": f"error {i + 1}", "template": "{{ " + text + " }}"})
    for name, text in STATEMENTS:
        lines.append({"case": name, "template": text})
    for line in lines[1:]:
        line.update(render(line["template"], DATA))
    for name, text in GENERATION:
        rendered, spans = ctu._render_with_assistant_indices(compiled(text), DATA["messages"], None, None, False)
        lines.append({"case": name, "template": text, "rendered": rendered, "spans": spans})
    write(out, lines)


TOOL = {"type": "function", "function": {
    "name": "get_weather", "description": "Gets the weather's \"state\" in <city> & more.", "parameters": {
        "type": "object", "properties": {
            "city": {"type": "string", "description": "The city"}, "unit": {"type": "string", "enum": ["C", "F"]},
            "days": {"type": "integer", "default": 3}, "tags": {"type": "array", "items": {"type": "string"}},
            "deep": {"type": "object", "properties": {"x": {"type": "number", "description": "An x"}}, "required": ["x"]}},
        "required": ["city"]}, "return": {"type": "string", "description": "A text"}}}
CALLS = [{"id": "call00001", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Łódź", "days": 2, "f": 1.0, "ok": True}}}]
CALLS_TEXT = [{"id": "call00001", "type": "function", "function": {"name": "get_weather", "arguments": "{\"city\": \"Oslo\"}"}}]
U, A, SYS = {"role": "user", "content": "Hi <b> there"}, {"role": "assistant", "content": " Hello & welcome "}, {"role": "system", "content": "Be kind."}
THINK = {"role": "assistant", "content": "<think>\nhm\n</think>\n\nDone.", "reasoning_content": "hm hm"}


def conversations():
    tool_reply = {"role": "tool", "content": "12 °C", "tool_call_id": "call00001", "name": "get_weather"}
    yield "user", [U], None
    yield "two", [U, A, U], None
    yield "system", [SYS, U, A, U, A], None
    yield "only_system", [SYS], None
    yield "empty", [], None
    yield "assistant_first", [A, U], None
    yield "two_users", [U, U], None
    yield "tools", [U], [TOOL]
    yield "tools_system", [SYS, U, A, U], [TOOL, TOOL]
    for name, calls in (("calls", CALLS), ("calls_text", CALLS_TEXT)):
        call = {"role": "assistant", "content": None, "tool_calls": calls}
        yield name, [U, call, tool_reply], [TOOL]
        yield name + "_more", [SYS, U, dict(call, content=""), tool_reply, A, U], [TOOL]
        yield name + "_bare", [U, {"role": "assistant", "tool_calls": calls}, dict(tool_reply, content='{"t": 12}'), A], None
    yield "thinking", [U, THINK, U], None
    yield "thinking_last", [SYS, U, THINK], None
    yield "parts", [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]}, A], None
    yield "unknown_role", [U, {"role": "narrator", "content": "x"}], None
    yield "observation", [U, A, {"role": "observation", "content": "seen"}, {"role": "ipython", "content": {"k": [1, 2]}}], None
    yield "no_content", [{"role": "user"}], None


def folder(directory, out):
    lines = []
    for path in sorted(pathlib.Path(directory).glob("*.jinja")):
        text = path.read_bytes().decode()
        for name, messages, tools in conversations():
            for generation in (False, True):
                variables = {"messages": messages, "tools": tools, "documents": None, "add_generation_prompt": generation,
                             "bos_token": "<s>", "eos_token": "</s>"}
                if name == "two" and generation:
                    variables.update(custom_tools=[TOOL], builtin_tools=["code_interpreter", "search"], tools_in_user_message=False,
                                     enable_thinking=False, date_string="1 Jan 2020", unk_token="<unk>", pad_token="<pad>")
                line = {"template_file": path.name, "case": f"{name} {generation}", "vars": variables, "now": NOW}
                line.update(render(text, variables))
                lines.append(line)
    write(out, lines)


def write(out, lines):
    with open(out, "w", encoding="utf-8") as f:
        for line in lines:
            f.write(json.dumps(line, ensure_ascii=False) + "\n")
    print(len(lines), "lines,", sum("error" in line for line in lines), "errors")


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "cases":
        cases(sys.argv[2])
    elif len(sys.argv) == 4 and sys.argv[1] == "folder":
        folder(sys.argv[2], sys.argv[3])
    else:
        sys.exit(__doc__)
