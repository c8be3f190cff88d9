"""The documentation holds: every block of README.md and docs/*.md runs, parses or names what is there.

What a fence says behind its three backticks decides what is done with its block:

* ``python`` runs, all blocks of a page in order and in one namespace; ``python no-run`` is only parsed. The comment
  behind a ``print(…)`` is what it prints, ``...`` standing for anything; two blanks and a bracket begin a remark.
* ``sh run``: its ``npi`` lines run and must end with 0. A ``text`` block right behind shows lines of the output.
* ``sh`` and no language: ``npi`` lines must be commands with options that exist, ``make`` lines targets.
* ``npi`` is checked as a program file (without a world of its own: behind the last one that has one).
  ``npi NAME.npi`` is that file, on the disk of all pages. ``npi error`` is refused with the ``text`` that follows.
* ``lark`` is the grammar, whole and as it is.
"""

import ast
import dataclasses
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer.main

import dsl
from dsl.errors.examples import KEYWORDS, RESERVED
from dsl.names.worlds import SYMBOL_SETS
from dsl.tasks.expressions import FUNCTIONS, ON_WORLD
from envs import registry
from envs.scratchpad.actions import ACTIONS, JUMPS, PLACING
from envs.scratchpad.config import ORDER
from npi import CoreConfig, LearnConfig, TrainConfig
from npi.cli.main import made, main
from tests.support.paths import ROOT

README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
LINKED = [*PAGES, ROOT / "CHANGELOG.md"]
ERRORS = ROOT / "docs" / "errors.md"
"""A page of wrong programs, whose program blocks ``tests/dsl/errors/test_errors.py`` runs in its own way."""
MOST_NOT_RUN = 3
"""Python blocks of all pages together that may be left out of the run."""


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block: the words behind its backticks, its text, and the line of the page that its text begins in."""

    page: Path
    line: int
    words: tuple[str, ...]
    text: str

    @property
    def language(self) -> str:
        return self.words[0] if self.words else ""

    @property
    def place(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path, text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found: list[Block] = []
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        fence = re.match(r"( *)```(.*)$", lines[number])
        if fence is not None:
            end = next(i for i in range(number + 1, len(lines)) if lines[i].strip() == "```")
            inner = [line.removeprefix(fence[1]) for line in lines[number + 1 : end]]
            found.append(Block(page, number + 2, tuple(fence[2].split()), "\n".join([*inner, ""])))
            number = end
        number += 1
    return found


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


def indented(page: Path) -> str:
    """The lines of a page that Markdown shows as code because four spaces stand in front."""
    lines = prose(page.read_text(encoding="utf-8")).split("\n")
    return "\n".join(line for line in lines if line.startswith("    "))


BLOCKS = {page: blocks(page, page.read_text(encoding="utf-8")) for page in PAGES}
ALL = [block for found in BLOCKS.values() for block in found]


def named_files() -> dict[str, str]:
    """The program files that the README and other pages show; pages build on each other's."""
    shown = [block for block in ALL if block.page != ERRORS and block.language == "npi" and len(block.words) == 2]
    return {block.words[1]: block.text for block in shown if block.words[1] != "error"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run in, with programs/ and the files that the pages show."""
    shutil.copytree(ROOT / "programs", tmp_path / "programs")
    for name, text in named_files().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(registry, "KINDS", dict(registry.KINDS))  # pages register kinds of their own
    return tmp_path


def command_lines(text: str, program: str) -> Iterator[list[str]]:
    """The words of each command of a program in a block, without what the shell does with its output."""
    for line in text.replace("\\\n", " ").split("\n"):
        bare = line.strip().removeprefix("$ ")
        if bare.startswith(f"{program} "):
            words = shlex.split(bare, comments=True)
            ends = [i for i, word in enumerate(words) if word in ("|", ">", ">>", "2>", "&&", ";")]
            yield words[1 : min(ends, default=len(words))]


def missing_lines(shown: str, output: str) -> list[str]:
    """The first line that a block shows and the output does not have behind those before, if there is one."""
    have = iter([line.rstrip() for line in output.split("\n")])
    return next(([line] for line in shown.split("\n") if line.strip() and line.rstrip() not in have), [])


PRINTED = re.compile(r"print\(.*\)  # (.+)$")


def misprinted(source: str, printed: Mapping[int, Sequence[str]]) -> list[str]:
    """Lines ``print(…)  # what it prints`` that printed something else; ``printed`` is by line, from 1."""
    wrong = []
    for number, line in enumerate(source.split("\n"), 1):
        shown = PRINTED.search(line)
        expected = shown[1].partition("  (")[0].rstrip() if shown and not shown[1].startswith("(") else ""
        if not expected:
            continue
        pattern = ".*".join(map(re.escape, expected.split("...")))
        if not any(re.fullmatch(pattern, text) for text in printed.get(number, ())):
            wrong.append(f"{line.strip()} printed {list(printed.get(number, ()))}")
    return wrong


# --- what runs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_a_page_runs(page: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Python and ``sh run`` blocks of a page, from top to bottom."""
    printed: dict[int, list[str]] = {}

    def noted(*parts: Any, **more: Any) -> None:
        printed.setdefault(sys._getframe(1).f_lineno, []).append(" ".join(map(str, parts)))
        print(*parts, **more)

    namespace: dict[str, Any] = {"__name__": "page", "print": noted}
    followers = [*BLOCKS[page], None][1:]
    for block, follower in zip(BLOCKS[page], followers, strict=True):
        if block.words == ("python",):
            source = "\n" * (block.line - 1) + block.text
            exec(compile(source, str(page), "exec", dont_inherit=True), namespace)
            assert misprinted(source, printed) == []
        elif block.words == ("sh", "run"):
            capsys.readouterr()
            for words in command_lines(block.text, "npi"):
                assert main(words) == 0, f"{block.place}: npi {shlex.join(words)} failed: {capsys.readouterr().err}"
            output = capsys.readouterr().out
            if follower is not None and follower.language == "text":
                assert missing_lines(follower.text, output) == [], f"{follower.place}: not in the output:\n{output}"


def test_nearly_all_python_runs() -> None:
    left_out = [block.place for block in ALL if block.language == "python" and block.words != ("python",)]
    assert len(left_out) <= MOST_NOT_RUN, left_out
    for block in ALL:
        if block.language == "python":
            ast.parse(block.text, filename=block.place)


PROGRAMS = [block for block in ALL if block.language == "npi" and block.page != ERRORS]


def base_of(block: Block) -> str:
    """The world that a block without one belongs to: the last block of its page before it that has one, or nothing."""
    if re.search(r"^(world|use) ", block.text, flags=re.MULTILINE):
        return ""
    earlier = [b.text for b in BLOCKS[block.page] if b.language == "npi" and b.line < block.line]
    return next((f"{text}\n" for text in reversed(earlier) if re.search(r"^world ", text, flags=re.MULTILINE)), "")


@pytest.mark.parametrize("block", PROGRAMS, ids=[block.place for block in PROGRAMS])
def test_a_program_block_is_right_or_wrong_as_it_says(block: Block, folder: Path) -> None:
    if block.words == ("npi", "error"):
        follower = next(b for b in BLOCKS[block.page] if b.line > block.line)
        with pytest.raises(dsl.LanguageError) as caught:
            dsl.loads(block.text, folder=folder)
        assert str(caught.value).split("\n") == follower.text.rstrip("\n").split("\n")
    elif len(block.words) == 2:
        found = dsl.load(folder / block.words[1])
        assert found.tasks
        assert found.warnings == ()
    else:
        dsl.loads(base_of(block) + block.text, folder=folder)


# --- what must exist -------------------------------------------------------------------------------------------------

COMMANDS: dict[str, Any] = typer.main.get_command(made()).commands  # type: ignore[attr-defined]


def wrong_command(words: Sequence[str], commands: dict[str, Any] = COMMANDS) -> str:
    """Why the command line does not take these words; empty where it does. Nothing is run."""
    if words and words[0] in ("--help", "-h", "--version"):
        return ""
    if words and words[0] in ("--gym", "--plugin"):  # options that go before a command
        words = words[2:]
    if not words or words[0] not in commands:
        return f"there is no command {' '.join(words[:1])!r}"
    command = commands[words[0]]
    if "--help" in words or "-h" in words:
        return ""
    if hasattr(command, "commands"):
        return wrong_command(words[1:], command.commands)
    try:
        command.make_context(words[0], list(words[1:]))
    except Exception as error:
        return str(getattr(error, "message", "") or error)
    return ""


SHELL = [block for block in ALL if block.language in ("", "sh", "shell", "bash", "console")]
TYPED = [(block.place, words) for block in SHELL for words in command_lines(block.text, "npi")]
TYPED += [(page.name, words) for page in PAGES for words in command_lines(indented(page), "npi")]


@pytest.mark.parametrize(("place", "words"), TYPED, ids=[f"{place} {' '.join(words)}"[:60] for place, words in TYPED])
def test_a_command_that_is_shown_exists(place: str, words: list[str]) -> None:
    assert wrong_command(words) == "", place


@pytest.mark.parametrize("page", LINKED, ids=[page.name for page in LINKED])
def test_options_and_targets_in_the_prose_exist(page: Path) -> None:
    """``npi eval --sizes 1..40`` between backticks: command and options, without the arguments that it would need."""
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    text = page.read_text(encoding="utf-8")
    for found in re.findall(r"`npi ([^`\n]+)`", prose(text)):
        name, *rest = found.split()
        if name.isupper() or name.startswith("-"):
            continue
        assert name in COMMANDS, found
        command = COMMANDS[name]
        if rest and hasattr(command, "commands"):
            assert rest[0] in command.commands, found
            command = command.commands[rest[0]]
        options = {option for p in command.params for option in (*p.opts, *p.secondary_opts)} | {"--help"}
        assert [word for word in rest if word.startswith("--") and word not in options] == [], found
    for words in (words for block in SHELL if block.page == page for words in command_lines(block.text, "make")):
        assert words[0] in targets, words


def anchors(page: Path) -> set[str]:
    """What ``page.md#…`` can name: the headings, as GitHub spells them."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower().replace("`", "")).replace(" ", "-") for head in heads}


def broken_links(page: Path, text: str) -> list[str]:
    """Relative links of a page that lead nowhere."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(text)):
        name, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    return broken


@pytest.mark.parametrize("page", LINKED, ids=[page.name for page in LINKED])
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page, page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("config", [TrainConfig, CoreConfig, LearnConfig])
def test_the_settings_that_are_documented_are_the_ones_there_are(config: type) -> None:
    """Names and defaults in the tables of training.md, against the dataclasses."""
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    table = page.partition(f"| Setting of `{config.__name__}`")[2].partition("\n\n")[0].rstrip()
    told: dict[str, str] = {}
    for line in table.split("\n")[2:]:
        names, defaults = line.split("|")[1:3]
        values = defaults.strip().split(", ")
        told |= dict(zip(re.findall(r"`(\w+)`", names), values, strict=True))
    have = {field.name: str(field.default).lower() for field in dataclasses.fields(config)}
    assert {name: value.strip("`") for name, value in told.items()} == have


def test_the_language_reference_is_complete() -> None:
    """Each word, function and action of the language stands in language.md between backticks or in a program."""
    path = ROOT / "docs" / "language.md"
    page = path.read_text(encoding="utf-8")
    shown = [*re.findall(r"`([^`]+)`", prose(page)), *(block.text for block in BLOCKS[path])]
    words = set(re.findall(r"\w+", " ".join(shown)))
    known = {*KEYWORDS.values(), *FUNCTIONS, *ON_WORLD, *SYMBOL_SETS, "first", "last"}
    known |= {*ACTIONS, *JUMPS, *PLACING, *ORDER}
    assert sorted(known - words) == []
    reserved = re.search(r"These words cannot\s+name anything: `([^`]+)`", page)
    assert reserved is not None
    assert set(reserved[1].split()) == RESERVED


def test_the_grammar_is_shown_as_it_is() -> None:
    shown = [block.text for block in ALL if block.language == "lark"]
    assert shown == [(ROOT / "dsl" / "text" / "grammar.lark").read_text(encoding="utf-8")]


def test_file_names_are_given_once() -> None:
    """Two pages that show a file of one name would lay one of the two on the disk."""
    names = [b.words[1] for b in ALL if b.page != ERRORS and b.language == "npi" and len(b.words) == 2]
    files = [name for name in names if name != "error"]
    assert len(set(files)) == len(files)


def test_the_checks_can_fail(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One two\n\n[a](#one-two) [b](#one) [c](none.md) [d](https://a.org)\n\n```sh run\nnpi x\n```\n")
    text = page.read_text()
    assert broken_links(page, text) == ["#one", "none.md"]
    assert [(block.line, block.words, block.text) for block in blocks(page, text)] == [(6, ("sh", "run"), "npi x\n")]
    shell = "$ npi run add 1 \\\n  2 | less\nmake demo  # all\n"
    assert list(command_lines(shell, "npi")) == [["run", "add", "1", "2"]]
    assert list(command_lines(shell, "make")) == [["demo"]]
    assert wrong_command(["run", "add", "1"]) == ""
    assert "no command" in wrong_command(["walk"])
    assert "no command" in wrong_command(["library", "walk"])
    assert "--fast" in wrong_command(["library", "list", "library", "--fast"])
    assert "--fast" in wrong_command(["train", "a.npi", "--fast"])
    assert "kind" in wrong_command(["train", "a.npi", "--core", "kind"])
    assert wrong_command(["trace"]) != ""
    lines = "print(1)  # 1\nprint(2, x)  # 2 a...c  (a remark)\nprint(3)  # (a remark)\nprint(4)  # 5"
    assert misprinted(lines, {1: ["1"], 2: ["2 abc"], 4: ["4"]}) == ["print(4)  # 5 printed ['4']"]
    assert len(misprinted(lines, {1: ["11"], 2: ["2 ab"], 4: ["5"]})) == 2
    assert missing_lines("b\nd\n", "a\nb\nc\nd\n") == []
    assert missing_lines("d\nb\n", "a\nb\nc\nd\n") == ["b"]


OURS = {"envs", "dsl", "traces", "npi", "meta"}


def private_imports(source: str) -> list[str]:
    """Imports of the engine that are no export of a package (a name of its ``__all__``)."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in OURS and a.name not in OURS]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in OURS:
            module = import_module(node.module)
            exported = module.__all__ if hasattr(module, "__path__") and hasattr(module, "__all__") else []
            found += [f"{node.module}.{alias.name}" for alias in node.names if alias.name not in exported]
    return found


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_a_page_imports_public_names_only(page: Path) -> None:
    assert [name for b in BLOCKS[page] if b.language == "python" for name in private_imports(b.text)] == []


def test_a_private_import_would_be_found() -> None:
    assert private_imports("from npi.library.library import Library") == ["npi.library.library.Library"]
    assert private_imports("import npi.core\nimport npi") == ["npi.core"]
    assert private_imports("import torch\nfrom npi import Library, nothing") == ["npi.nothing"]
