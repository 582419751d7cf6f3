# SPDX-License-Identifier: MIT
"""Random templates and random conversations, rendered by the real Jinja2 as transformers sets it up.

    jinja_random.py templates COUNT SEED OUT.jsonl           random templates over the data of jinja_golden.py
    jinja_random.py chats DIR COUNT SEED OUT.jsonl           every *.jinja in DIR over COUNT random conversations

jinja_random.lua compares Lathe with the file. Nothing that these print is committed. What Lathe refuses on
purpose is not generated: integers beyond 64 bits, random, urlize. Seen equal with Jinja2 3.1.6, transformers 5.23,
Python 3.11.
"""
import copy
import pathlib
import random
import sys
import warnings

from jinja_golden import CALLS, CALLS_TEXT, DATA, NOW, TOOL, render, write

warnings.filterwarnings("ignore")             # of Python about the templates' own code

NAMES = ["s", "empty", "n", "f", "t", "no", "l", "words", "d", "people", "messages", "nope", "uni", "html", "x", "y"]
TEXTS = ["", "a", "Hello World", "x-y z", "ÄÖ straße", "a,b,,c", "  pad ", "line\\nbreak\\n", "<b>&'q'", "1", "-12", "3.5", "tab\\there", "日本 語", "aAbB", "%s and %d",
         "{} {0} {a}", "The quick-brown fox -- jumped over it, it's well-known.", "e", "role", "content"]
TEXT_FILTERS = ["upper", "lower", "title", "capitalize", "trim", "string", "length", "wordcount", "reverse", "list", "first", "last", "escape", "e", "striptags",
                "urlencode", "tojson", "safe", "forceescape", "pprint", "int", "float", "center(20)", "indent", "indent(2, true)", "indent(width=3, blank=true)",
                "truncate(9)", "truncate(7, true)", "truncate(8, false, '!', 0)", "replace('a', 'o')", "replace('l', '', 1)", "wordwrap(10)",
                "wordwrap(7, false)", "wordwrap(5, true, '/')", "wordwrap(8, break_on_hyphens=false)", "default('dd')", "default('dd', true)", "d", "trim('ab ')",
                "join('-')", "list|join('|')", "unique|join", "batch(3)|list", "slice(3)|list", "batch(4, 'z')|map('join')|join(',')", "sort|join", "min", "max",
                "format(1, 2)", "select('in', 'abc')|join", "map('upper')|join", "int(7)", "int(base=16)", "float(1.5)", "center(5)", "filesizeformat", "abs", "round"]
LIST_FILTERS = ["length", "first", "last", "list", "join", "join(', ')", "reverse|list", "sort", "sort(reverse=true)", "sort(case_sensitive=true)", "unique|list", "min", "max",
                "sum", "batch(2)|list", "batch(2, 0)|list", "slice(2)|list", "slice(3, 'f')|list", "tojson", "tojson(indent=2)", "string", "pprint", "count",
                "map('string')|list", "map('upper')|join", "select|list", "reject|list", "select('odd')|list", "reject('none')|list", "select('string')|list",
                "select('gt', 1)|list", "first|upper", "default([])", "sort|first", "map('default', 'q')|join", "map('length')|list", "items|list",
                "urlencode", "map('int')|sum", "map('float')|list", "sum(start=5)", "unique(true)|list", "max(case_sensitive=true)", "dictsort", "map('tojson')|list"]
OBJECT_FILTERS = ["map(attribute='name')|list", "map(attribute='age')|sum", "sum(attribute='age')", "sort(attribute='age')|map(attribute='name')|list", "sort(attribute='name,age')|length",
                  "groupby('city')|map('first')|list", "groupby('ok')|length", "groupby('city', default='-')|list|length", "selectattr('ok')|list|length", "rejectattr('ok')|map(attribute='name')|list",
                  "selectattr('age', 'gt', 26)|map(attribute='name')|join", "map(attribute='none', default='-')|list", "unique(attribute='city')|map(attribute='name')|list",
                  "max(attribute='age')", "min(attribute='name')", "groupby('city')|list", "map(attribute='name')|map('upper')|join(',')", "first", "last|dictsort", "length", "tojson",
                  "selectattr('role', 'equalto', 'user')|list", "selectattr('role', 'in', ['user', 'system'])|map(attribute='content')|list", "map(attribute='content')|join('\\n')"]
DICT_FILTERS = ["items|list", "dictsort", "dictsort(reverse=true)", "dictsort(by='value')", "dictsort(true)", "list", "length", "tojson", "tojson(indent=1)", "tojson(sort_keys=true)",
                "tojson(separators=(',', ':'))", "first", "string", "pprint", "xmlattr", "urlencode", "default({})", "map('upper')|list", "join(',')", "sort", "max", "items|map('last')|list"]
NUMBER_FILTERS = ["abs", "int", "float", "round", "round(1)", "round(2, 'floor')", "round(0, 'ceil')", "round(-1)", "string", "filesizeformat", "filesizeformat(true)", "tojson", "pprint",
                  "default(1)", "format", "length", "string|length", "list", "center(9)", "round|int"]
TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "true", "false", "mapping", "iterable", "sequence", "callable", "odd", "even", "lower", "upper",
         "divisibleby 2", "divisibleby(3)", "eq 1", "ne 'a'", "gt 1", "lt 3", "ge 2", "le 2", "in [1, 'a', none]", "sameas none", "sameas true", "equalto 7", "escaped", "filter", "test",
         "greaterthan 0", "lessthan 9", "== 7", "in 'Hello'"]
METHODS = ["strip()", "lstrip()", "rstrip()", "upper()", "lower()", "title()", "capitalize()", "swapcase()", "split()", "split(',')", "split(' ', 1)", "rsplit(' ', 1)", "splitlines()",
           "startswith('H')", "endswith(('d', 'c'))", "find('o')", "rfind('o')", "count('l')", "replace('l', 'L')", "replace('', '-')", "isdigit()", "isalpha()", "isalnum()", "isupper()",
           "islower()", "isspace()", "istitle()", "isidentifier()", "zfill(5)", "ljust(8, '.')", "rjust(8)", "center(11, '*')", "partition(' ')", "rpartition(',')", "removeprefix('H')",
           "removesuffix('c')", "join(['a', 'b'])", "expandtabs(4)", "format(1, 2, a=3)", "casefold()", "index('a')", "items()", "keys()|list", "values()|list", "get('a')",
           "get('zz', 'no')", "index(1)", "count(1)", "copy()", "isdecimal()", "isnumeric()", "isascii()", "isprintable()", "strip('a ')", "split('')", "rindex('l')", "upper", "append(1)"]
OPERATORS = ["+", "-", "*", "/", "//", "%", "~", "~", "==", "!=", "<", ">", "<=", ">=", "in", "not in", "and", "or", "and", "or"]


class Maker:
    def __init__(self, rng):
        self.rng = rng
        self.vars = list(NAMES)

    def text(self):
        quote = self.rng.choice("'\"")
        return quote + self.rng.choice(TEXTS).replace(quote, "") + quote

    def atom(self):
        r = self.rng.random()
        if r < 0.45:
            return self.rng.choice(self.vars)
        if r < 0.6:
            return self.text()
        if r < 0.72:
            return str(self.rng.choice([0, 1, 2, 3, 7, 10, 42, 1000, 123456, -1, -3]))
        if r < 0.78:
            return str(self.rng.choice([0.5, 1.0, 2.25, 3.14159, 1e20, 1e-7, 100.0, 0.1]))
        if r < 0.84:
            return self.rng.choice(["true", "false", "none", "True", "None"])
        if r < 0.9:
            return self.rng.choice(["[]", "{}", "()", "[1, 2, 3]", "['b', 'A', 'c']", "{'k': 1, 'a': [2]}", "(1, 'x')", "range(4)", "range(5, 1, -2)", "[3, 1.5, 2]", "dict(a=1, b='z')"])
        return self.rng.choice(["people[0].name", "d.a.x", "messages[0]['content']", "messages[-1].role", "l[0]", "d['a']", "s[1:4]", "words[::-1]", "s[::2]", "l[-2:]", "people[1]", "uni[0]",
                                "messages[1:]", "messages[0]['nope']", "d.items()", "d.nope", "words[9]", "loop.index", "s[-3:]", "people[:1]"])

    def expr(self, depth):
        rng = self.rng
        if depth <= 0:
            return self.atom()
        r = rng.random()
        if r < 0.16:
            return self.atom()
        if r < 0.36:
            filters = rng.choice([TEXT_FILTERS, LIST_FILTERS, OBJECT_FILTERS, DICT_FILTERS, NUMBER_FILTERS])
            return f"{self.fitting(filters) if rng.random() < 0.6 else self.wrapped(depth - 1)}|{rng.choice(filters)}"
        if r < 0.46:
            return rng.choice([f"{name}|{rng.choice(kind)}" for name, kind in
                               (("people", OBJECT_FILTERS), ("messages", OBJECT_FILTERS), ("l", LIST_FILTERS), ("words", LIST_FILTERS), ("d", DICT_FILTERS), ("s", TEXT_FILTERS),
                                ("uni", TEXT_FILTERS), ("n", NUMBER_FILTERS), ("f", NUMBER_FILTERS), ("html", TEXT_FILTERS))])
        if r < 0.5:
            return f"{self.fitting(TEXT_FILTERS)}.{rng.choice(METHODS)}"
        if r < 0.62:
            return f"{self.wrapped(depth - 1)} {rng.choice(OPERATORS)} {self.wrapped(depth - 1)}"
        if r < 0.7:
            return f"{self.wrapped(depth - 1)} is {rng.choice(['', 'not '])}{rng.choice(TESTS)}"
        if r < 0.78:
            return f"{self.wrapped(depth - 1)}.{rng.choice(METHODS)}"
        if r < 0.82:
            return f"not {self.wrapped(depth - 1)}"
        if r < 0.88:
            return f"{self.expr(depth - 1)} if {self.expr(depth - 1)}" + rng.choice(["", f" else {self.expr(depth - 1)}"])
        if r < 0.91:
            return f"[{', '.join(self.expr(depth - 2) for _ in range(rng.randrange(4)))}]"
        if r < 0.93:
            return "{" + ", ".join(f"{self.text()}: {self.expr(depth - 2)}" for _ in range(rng.randrange(3))) + "}"
        if r < 0.96:
            index = rng.choice(["0", "-1", "'a'", "1:", ":2", "::-1", "1:-1", "'name'", "n", "5", "-2:", "::2"])
            return f"{self.wrapped(depth - 1)}[{index}]"
        return f"-{self.wrapped(depth - 1)}"

    def fitting(self, filters):
        """Something that most of these filters take."""
        rng = self.rng
        if filters is TEXT_FILTERS:
            return rng.choice(["s", "uni", "html", "messages[0].content", "people[0].name", self.text(), self.text(), f"({self.text()} ~ s)", f"({self.text()} * 3)", "(s + uni)"])
        if filters is LIST_FILTERS:
            return rng.choice(["l", "words", "range(7)", "[3, 1, 2, 3]", "['b', 'a', 'B']", "s|list", "(l + [4])", "words[1:]", "[1.5, 2, true]", "d.keys()", "[[1, 2], [3]]", "[]"])
        if filters is OBJECT_FILTERS:
            return rng.choice(["people", "messages", "people[1:]", "people[::-1]", "(people + people)", "messages|reverse"])
        if filters is DICT_FILTERS:
            return rng.choice(["d", "people[0]", "{'k': 1, 'a': none}", "dict(b=2, a='x')", "d.a", "messages[1]", "{}"])
        return rng.choice(["n", "f", "7", "-3", "1234567", "0.125", "1e10", "(n * f)", "(n // 2)", "(f ** 3)", "l[0]", "true"])

    def wrapped(self, depth):
        text = self.expr(depth)
        return text if depth <= 0 or self.rng.random() < 0.3 else f"({text})"

    def space(self):
        return self.rng.choice(["", "", "", "", " ", "\n", "  \n", "\n  ", "\t", "\n\n"])

    def tag(self, body):
        rng = self.rng
        return "{%" + rng.choice(["", "", "", "", "-", "+"]) + f" {body} " + rng.choice(["", "", "", "", "-", "+"]) + "%}" + self.space()

    def out(self, depth):
        rng = self.rng
        return "{{" + rng.choice(["", "", "", "-"]) + f" {self.expr(depth)} " + rng.choice(["", "", "", "-"]) + "}}" + self.space()

    def block(self, depth):
        return "".join(self.statement(depth) for _ in range(self.rng.randrange(1, 4)))

    def assigned(self):
        name = self.rng.choice(["x", "y", "z", "w"])
        if name not in self.vars:
            self.vars.append(name)
        return name

    def statement(self, depth):
        rng = self.rng
        r = rng.random()
        if depth <= 0 or r < 0.3:
            return self.out(2) if rng.random() < 0.75 else rng.choice(["text ", "a\n", "  b", "{# note #}", "{#- c -#}\n", "\n {# l #}\n", "{% raw %}{{ r }}{% endraw %}"]) + self.space()
        if r < 0.42:
            text = self.tag(f"if {self.expr(2)}") + self.block(depth - 1)
            if rng.random() < 0.4:
                text += self.tag(f"elif {self.expr(1)}") + self.block(depth - 1)
            if rng.random() < 0.5:
                text += self.tag("else") + self.block(depth - 1)
            return text + self.tag("endif")
        if r < 0.58:
            return self.loop(depth)
        if r < 0.72:
            if rng.random() < 0.1:
                return self.tag(f"set {self.assigned()}, {self.assigned()} = {self.expr(1)}, {self.expr(1)}")
            return self.tag(f"set {self.assigned()} = {self.expr(2)}")
        if r < 0.77:
            return self.tag(f"set {self.assigned()}{rng.choice(['', ' | upper', ' | trim'])}") + self.block(depth - 1) + self.tag("endset")
        if r < 0.84:
            return self.macro(depth)
        if r < 0.88:
            return self.tag(f"filter {rng.choice(['upper', 'trim', 'replace(1, 2)', 'title|trim', 'indent(3)'])}") + self.block(depth - 1) + self.tag("endfilter")
        if r < 0.92:
            return self.tag(f"with {self.assigned()} = {self.expr(1)}, w = {self.expr(1)}") + self.block(depth - 1) + self.tag("endwith")
        name = "ns" + str(rng.randrange(99))
        return (self.tag(f"set {name} = namespace(v={self.expr(1)}, c=0)") + self.tag("for i in range(3)") + self.tag(f"set {name}.c = {name}.c + i") + self.block(depth - 2)
                + self.tag("endfor") + "{{ " + name + ".c }}{{ " + name + ".v }}")

    def loop(self, depth):
        rng = self.rng
        target, over = rng.choice([("x", "l"), ("m", "messages"), ("x", "range(3)"), ("k, y", "d.items()"), ("p", "people"), ("c", "s"), ("k, y", "d|dictsort"), ("x", "words|sort"),
                                   ("x", self.expr(1)), ("x", "l|reverse"), ("x, y", "[[1, 2], [3, 4]]"), ("x", "[1, [2, [3]], []]"), ("x", "nope")])
        for name in target.split(", "):
            if name not in self.vars:
                self.vars.append(name)
        condition = rng.choice(["", "", "", f" if {self.expr(1)}"])
        recursive = rng.random() < 0.08
        body = self.block(depth - 1)
        for _ in range(rng.randrange(3)):
            body += "{{ loop." + rng.choice(["index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0", "previtem", "nextitem", "cycle('a', 'b')",
                                             "changed(1)", "nope"]) + " }}"
        if recursive:
            body += "{{ loop(x) if x is iterable and x is not string and loop.depth < 3 }}"
        if rng.random() < 0.25:
            body += self.tag(f"if {rng.choice(['loop.index > 1', self.expr(1)])}") + self.tag(rng.choice(["break", "continue"])) + self.tag("endif") + self.out(1)
        text = self.tag(f"for {target} in {over}{condition}{' recursive' if recursive else ''}") + body
        if rng.random() < 0.25:
            text += self.tag("else") + self.block(depth - 1)
        return text + self.tag("endfor")

    def macro(self, depth):
        rng = self.rng
        name = "m" + str(rng.randrange(99))
        params = rng.choice(["", "a", "a, b=2", "a, b=a", "x, y='q'", "a=1, b=none"])
        before = list(self.vars)
        self.vars += ["a", "b"]
        body = self.block(depth - 1) + rng.choice(["", "", "{{ varargs }}", "{{ kwargs }}", "{{ caller() if caller }}", "{{ caller(1) if caller }}"])
        self.vars = before
        text = self.tag(f"macro {name}({params})") + body + self.tag("endmacro")
        if rng.random() < 0.3:
            text += self.tag(f"call{rng.choice(['', '(q)', '(q=5)'])} {name}({rng.choice(['', self.expr(1)])})") + self.block(depth - 1) + self.tag("endcall")
        else:
            text += "{{ " + name + "(" + rng.choice(["", self.expr(1), f"{self.expr(1)}, {self.expr(1)}", f"b={self.expr(1)}", f"{self.expr(1)}, k=1"]) + ") }}"
        return text


def templates(count, seed, out):
    lines = [{"vars": copy.deepcopy(DATA), "now": NOW}]
    rng = random.Random(seed)
    for i in range(count):
        maker = Maker(rng)
        text = "{{ " + maker.expr(3) + " }}" if rng.random() < 0.5 else "".join(maker.statement(3) for _ in range(rng.randrange(1, 4)))
        line = {"case": i, "template": text}
        line.update(render(text, copy.deepcopy(DATA)))    # a filter may change a list of its input
        if "object at 0x" in line.get("rendered", "") or " at 0x" in line.get("rendered", ""):
            continue                          # an address in memory
        lines.append(line)
    write(out, lines)


def words(rng, most=12):
    return " ".join(rng.choice(["hello", "world", "naïve", "  ", "\n", "<think>", "</think>", "日本", "é", "x = 1", "{\"a\": 1}", "[INST]", "don't", "ok.", "&", "\t"]) for _ in range(rng.randrange(most)))


def content(rng):
    r = rng.random()
    if r < 0.75:
        return words(rng)
    if r < 0.85:
        return [{"type": "text", "text": words(rng)} if rng.random() < 0.8 else {"type": rng.choice(["image", "image_url", "audio"])} for _ in range(rng.randrange(1, 4))]
    return rng.choice(["", None, {"k": [1, 2.5, None, True]}, " \n x \n "])


def message(rng, role):
    m = {"role": role, "content": content(rng)}
    if role == "assistant" and rng.random() < 0.25:
        m["tool_calls"] = rng.choice([CALLS, CALLS_TEXT, CALLS + CALLS, []])
        if rng.random() < 0.5:
            m["content"] = rng.choice(["", None])
    if role == "assistant" and rng.random() < 0.2:
        m["reasoning_content"] = words(rng)
    if role == "tool":
        m["tool_call_id"] = "call00001"
        m["name"] = "get_weather"
    if rng.random() < 0.05:
        m["name"] = "bob"
    return m


def conversation(rng):
    roles = []
    if rng.random() < 0.4:
        roles.append("system")
    for _ in range(rng.randrange(4)):
        roles += ["user", "assistant"]
        if rng.random() < 0.15:
            roles += ["tool"] * rng.randrange(1, 3) + ["assistant"]
    if rng.random() < 0.5:
        roles.append("user")
    if rng.random() < 0.1:
        rng.shuffle(roles)
    if rng.random() < 0.05:
        roles.append(rng.choice(["narrator", "developer", "ipython", "observation", "function"]))
    messages = [message(rng, role) for role in roles]
    if rng.random() < 0.5:
        for m in messages:                    # half of them are plain, so that most templates go through
            if not isinstance(m["content"], str):
                m["content"] = words(rng)
    return messages


def chats(directory, count, seed, out):
    rng = random.Random(seed)
    lines = []
    sources = [(p.name, p.read_bytes().decode()) for p in sorted(pathlib.Path(directory).glob("*.jinja"))]
    for i in range(count):
        tools = rng.choice([None, None, [TOOL], [TOOL, TOOL]])
        variables = {"messages": conversation(rng), "tools": tools, "documents": None, "add_generation_prompt": rng.random() < 0.5, "bos_token": "<s>", "eos_token": "</s>"}
        if rng.random() < 0.1:
            variables.update(enable_thinking=rng.random() < 0.5, date_string="1 Jan 2020", unk_token="<unk>", pad_token="<pad>", tools_in_user_message=False)
        for name, text in sources:
            line = {"template_file": name, "case": i, "vars": variables, "now": NOW}
            line.update(render(text, variables))
            lines.append(line)
    write(out, lines)


if __name__ == "__main__":
    if len(sys.argv) == 5 and sys.argv[1] == "templates":
        templates(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    elif len(sys.argv) == 6 and sys.argv[1] == "chats":
        chats(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    else:
        sys.exit(__doc__)
