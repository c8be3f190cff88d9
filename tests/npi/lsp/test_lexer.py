"""Colours of program files: in Pygments and in editors, every token of the parser has the colour of its kind."""

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from lark import Token
from pygments.lexers import load_lexer_from_file
from pygments.token import Comment, Error, Keyword, Name, Number, Operator, String
from pygments.token import Token as PygmentsToken

from dsl.errors.examples import KEYWORDS
from dsl.errors.wording import grammar
from npi.lsp.pygments_lexer import NpiLexer
from npi.lsp.vocabulary import KEYWORDS as EXPLAINED
from tests.support.paths import ROOT

PROGRAMS = sorted((ROOT / "programs").rglob("*.npi"))
EXTENSION = ROOT / "editors" / "vscode"
GRAMMAR = EXTENSION / "syntaxes" / "npi.tmLanguage.json"

EXTRA = """\
# every construct that the shipped programs leave out
world arms is bandit(arms: 10, rate: 0.5, name: "x")

program NOTHING(p: A or B, v: -1..9 or "\\"" or blank, d: direction) "Says \\"no\\"":
    pass
    other.CALL(1,   # inside
        -2)
    return

program PLAY "Play":
    maximise reward over 100 steps
    core "bandit"

task t(g: acyclic graph, h: graph, n: number base 2, k: 0..9) where k > 1 and not n == 2:
    A = [1, 2] if k > 1 else []
    run other.PLAY(k)
    expect under(A) != "a" or at(A) div 2 >= -k
    train g, n of 1..3, 5
    test g of 10 items
"""
TEXTS = {path.relative_to(ROOT / "programs").with_suffix("").as_posix(): path.read_text() for path in PROGRAMS}
TEXTS |= {"extra": EXTRA}

WORDS = frozenset(KEYWORDS)
"""Terminals of the grammar that are words."""


def parsed(text: str) -> list[Token]:
    """The tokens as the parser takes them: a word is a keyword only where the grammar says so."""
    found = grammar().parse_interactive(text).iter_parse()
    return [token for token in found if token.type not in ("_NL", "_INDENT", "_DEDENT")]


def comments(text: str) -> list[tuple[int, int]]:
    """Begin and end of each comment, found without any of the lexers."""
    pieces = re.finditer(r'"(?:\\.|[^"\\\n])*"|#[^\n]*', text)
    return [(piece.start(), piece.end()) for piece in pieces if piece[0][0] == "#"]


def coloured(text: str) -> list[PygmentsToken]:
    """Pygments' token type of each character."""
    lexer = NpiLexer(stripnl=False, ensurenl=False)
    return [kind for kind, value in lexer.get_tokens(text) for _ in value]


@pytest.mark.parametrize("name", TEXTS)
def test_pygments_reads_every_character_and_changes_none(name: str) -> None:
    text = TEXTS[name]
    found = list(NpiLexer(stripnl=False, ensurenl=False).get_tokens(text))
    assert "".join(value for _, value in found) == text
    assert [value for kind, value in found if kind in Error] == []


@pytest.mark.parametrize("name", TEXTS)
def test_pygments_colours_are_those_of_the_parser(name: str) -> None:
    # red when a keyword is not in the lexer, or a name is taken for a keyword
    text = TEXTS[name]
    kinds = coloured(text)
    for begin, end in comments(text):
        assert all(kind in Comment for kind in kinds[begin:end])
    for token in parsed(text):
        kind = kinds[token.start_pos]
        assert all(other is kind for other in kinds[token.start_pos : token.end_pos]), token
        place = f"{token!r} ({token.type}) in line {token.line} is {kind}"
        if token.type in WORDS:
            assert kind in Keyword or kind in Operator.Word, place
        elif token.type == "STRING":
            assert kind in String, place
        elif token.type in ("INT", "FLOAT"):
            assert kind in Number, place
        elif token.type == "NAME":
            assert kind in Name or kind in Keyword.Type or kind in Keyword.Constant, place


def test_pygments_says_where_text_is_no_program() -> None:
    found = list(NpiLexer().get_tokens("program A:\n    B ? C\n"))
    assert [value for kind, value in found if kind in Error] == ["?"]


def test_pygments_can_load_it() -> None:
    assert load_lexer_from_file(str(ROOT / "npi" / "lsp" / "pygments_lexer.py"), "NpiLexer").name == NpiLexer.name
    entry = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pygments.lexers"]
    assert entry == {"npi": "npi.lsp.pygments_lexer:NpiLexer"}


def test_every_word_of_the_language_is_explained() -> None:
    from dsl.tasks.expressions import FUNCTIONS, ON_WORLD
    from npi.lsp.vocabulary import BODY_FUNCTIONS, DOMAINS
    from npi.lsp.vocabulary import FUNCTIONS as WRITTEN

    assert set(EXPLAINED) == set(KEYWORDS.values())
    assert set(WRITTEN) == {*FUNCTIONS, *ON_WORLD, *BODY_FUNCTIONS}
    assert all(form.startswith(f"{name}(") for name, (form, _) in WRITTEN.items())
    assert all(DOMAINS.values())


# --- the TextMate grammar of editors ---------------------------------------------------------------------------------


def rules(node: object) -> Iterator[dict[str, object]]:
    """Every rule of a TextMate grammar."""
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from rules(child)
    elif isinstance(node, list):
        for child in node:
            yield from rules(child)


def test_the_textmate_grammar_is_whole() -> None:
    found = json.loads(GRAMMAR.read_text())
    repository = found["repository"]
    included = {rule["include"] for rule in rules(found) if "include" in rule}
    assert {name for name in included if name != "$self"} == {f"#{name}" for name in repository}
    for rule in rules(found):
        for key in ("match", "begin", "end"):
            if key in rule:
                groups = re.compile(str(rule[key])).groups
                captures = rule.get("captures" if key == "match" else f"{key}Captures", {})
                assert all(0 <= int(number) <= groups for number in captures)
                assert all(capture["name"].endswith(".npi") for capture in captures.values())
        if isinstance(rule.get("name"), str) and ("match" in rule or "begin" in rule):
            assert str(rule["name"]).endswith(".npi")


def test_the_textmate_grammar_knows_every_word() -> None:
    found = list(rules(json.loads(GRAMMAR.read_text())))
    patterns = " ".join(str(rule[key]) for rule in found for key in ("match", "begin") if key in rule)
    known = set(re.findall(r"[a-z]+", patterns.replace("\\b", " ").replace("\\s", " ")))
    assert set(KEYWORDS.values()) <= known


def test_the_extension_is_whole() -> None:
    package = json.loads((EXTENSION / "package.json").read_text())
    assert package["main"] == "./extension.js"
    for contributed in package["contributes"]["grammars"]:
        assert (EXTENSION / contributed["path"]).resolve() == GRAMMAR
        assert contributed["scopeName"] == json.loads(GRAMMAR.read_text())["scopeName"]
    (language,) = package["contributes"]["languages"]
    assert language["extensions"] == [".npi"]
    configuration = json.loads((EXTENSION / language["configuration"]).read_text())
    assert configuration["comments"] == {"lineComment": "#"}
    for pattern in (configuration["indentationRules"][key] for key in configuration["indentationRules"]):
        re.compile(pattern)
    opens = re.compile(configuration["indentationRules"]["increaseIndentPattern"])
    lines = [line for path in PROGRAMS for line in path.read_text().split("\n")]
    indents = [len(line) - len(line.lstrip()) for line in lines]
    for line, indent, following in zip(lines, indents, indents[1:], strict=False):
        if line.strip() and following == indent + 4:
            assert opens.search(line), line


NODE = shutil.which("node")

FAKE = """\
const Module = require("module");
const load = Module._load;
const told = [];
class Client {
  constructor(id, name, server, client) { told.push({ id, name, server, client }); }
  start() { told.push("started"); return Promise.resolve(); }
  stop() { told.push("stopped"); return Promise.resolve(); }
}
const settings = { "server.command": "/somewhere/npi", "server.arguments": ["lsp"] };
Module._load = function (name, ...rest) {
  if (name === "vscode") {
    return { workspace: { getConfiguration: () => ({ get: (key) => settings[key] }) }, window: {} };
  }
  if (name === "vscode-languageclient/node") return { LanguageClient: Client, TransportKind: { stdio: 0 } };
  return load.call(this, name, ...rest);
};
const extension = require(process.argv[2]);
(async () => {
  await extension.activate({ subscriptions: [] });
  await extension.deactivate();
  console.log(JSON.stringify(told));
})();
"""


@pytest.mark.skipif(NODE is None, reason="there is no node to run the extension")
def test_the_extension_starts_the_server(tmp_path: Path) -> None:
    script = tmp_path / "fake.js"
    script.write_text(FAKE)
    command = [str(NODE), str(script), str(EXTENSION / "extension.js")]
    found = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True).stdout
    made, started, stopped = json.loads(found)
    assert made["server"]["command"] == "/somewhere/npi"
    assert made["server"]["args"] == ["lsp"]
    assert made["client"]["documentSelector"] == [{"language": "npi"}]
    assert (started, stopped) == ("started", "stopped")


TOKENIZE = """\
const fs = require("fs"), path = require("path");
const oniguruma = require("vscode-oniguruma"), textmate = require("vscode-textmate");
const [grammarPath, ...files] = process.argv.slice(2);
const wasm = fs.readFileSync(path.join(path.dirname(require.resolve("vscode-oniguruma")), "onig.wasm"));
(async () => {
  await oniguruma.loadWASM(wasm.buffer);
  const registry = new textmate.Registry({
    onigLib: Promise.resolve({
      createOnigScanner: (sources) => new oniguruma.OnigScanner(sources),
      createOnigString: (text) => new oniguruma.OnigString(text),
    }),
    loadGrammar: async () => textmate.parseRawGrammar(fs.readFileSync(grammarPath, "utf8"), grammarPath),
  });
  const grammar = await registry.loadGrammar("source.npi");
  const found = files.map((file) => {
    let stack = textmate.INITIAL;
    return fs.readFileSync(file, "utf8").split("\\n").map((line) => {
      const result = grammar.tokenizeLine(line, stack);
      stack = result.ruleStack;
      return result.tokens.map((token) => [token.startIndex, token.endIndex, token.scopes[token.scopes.length - 1]]);
    });
  });
  console.log(JSON.stringify(found));
})();
"""


@cache
def modules(folder: Path) -> str | None:
    """Install the tokenizer that editors use into a folder; what went wrong, or None."""
    npm = shutil.which("npm")
    if NODE is None or npm is None:
        return "there is no node or npm to run the tokenizer of editors"
    wanted = ["vscode-textmate@9.3.2", "vscode-oniguruma@2.0.1"]
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline", *wanted]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    except subprocess.TimeoutExpired:
        return "npm took more than a minute to install the tokenizer of editors"
    return None if done.returncode == 0 else f"npm cannot install the tokenizer of editors: {done.stderr[-200:]}"


def test_editors_colours_are_those_of_the_parser(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("textmate")
    trouble = modules(folder)
    if trouble is not None:
        pytest.skip(trouble)
    (folder / "tokenize.js").write_text(TOKENIZE)
    files = []
    for number, text in enumerate(TEXTS.values()):
        files.append(folder / f"{number}.npi")
        files[-1].write_text(text)
    command = [str(NODE), "tokenize.js", str(GRAMMAR), *map(str, files)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=True)
    for text, lines in zip(TEXTS.values(), json.loads(done.stdout), strict=True):
        check_scopes(text, [scopes_of(line) for line in lines])


def scopes_of(line: list[tuple[int, int, str]]) -> list[str]:
    """The innermost scope of each character of a line."""
    return [scope for begin, end, scope in line for _ in range(begin, end)]


def check_scopes(text: str, scopes: list[list[str]]) -> None:
    begins = [0, *(found.end() for found in re.finditer("\n", text))]
    for begin, end in comments(text):
        line = sum(b <= begin for b in begins) - 1
        inside = scopes[line][begin - begins[line] : end - begins[line]]
        assert all(scope.startswith("comment") for scope in inside)
    for token in parsed(text):
        found = set(scopes[token.line - 1][token.column - 1 : token.column - 1 + len(token)])
        place = f"{token!r} ({token.type}) in line {token.line} is {found}"
        if token.type in WORDS:
            assert all(re.match(r"keyword|storage|constant\.language|support\.type", scope) for scope in found), place
        elif token.type == "STRING":
            assert all(re.match(r"string|punctuation|constant\.character", scope) for scope in found), place
        elif token.type in ("INT", "FLOAT"):
            assert all(scope.startswith("constant.numeric") for scope in found), place
        elif token.type == "NAME":
            assert not any(re.match(r"keyword|storage|string|comment", scope) for scope in found), place
