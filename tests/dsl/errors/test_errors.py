"""Codes of mistakes: every section of ``docs/errors.md`` is run, code and page agree, and mistakes are gathered."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

import dsl
from dsl.errors.error import MOST_ERRORS, OTHER
from dsl.text import syntax as s
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(npi|text)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOP = "program.npi"


@dataclass(frozen=True)
class Section:
    """Files by name with their encodings, the wrong ones and the fixed ones, and what is printed between them."""

    code: str
    text: str
    wrong: dict[str, bytes]
    printed: str
    fixed: dict[str, bytes]


def read_section(code: str, text: str) -> Section:
    wrong: dict[str, bytes] = {}
    fixed: dict[str, bytes] = {}
    printed = ""
    for kind, about, content in BLOCK.findall(text):
        name, _, encoding = about.strip().partition(" ")
        if kind == "text":
            printed = content
        elif printed:
            fixed[name or TOP] = content.encode()
        else:
            wrong[name or TOP] = content.encode(encoding or "utf-8")
            fixed[name or TOP] = content.encode()
    return Section(code, text, wrong, printed.rstrip("\n"), fixed)


SECTIONS = [
    read_section(*part) for part in re.findall(r"^## (NPI\d+)$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
]


def told(files: dict[str, bytes], folder: Path, code: str) -> list[dsl.LanguageError | dsl.Remark]:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    text = files[TOP].decode()
    found = dsl.diagnose(text, path=TOP, folder=None if code == "NPI030" else folder)
    return [*found.errors, *found.warnings]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.code)
def test_a_section_prints_what_it_says(section: Section, tmp_path: Path) -> None:
    found = told(section.wrong, tmp_path, section.code)
    assert {error.code for error in found} == {section.code}
    assert "\n".join(error.text() for error in found) == section.printed


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.code)
def test_the_fixed_file_is_clean(section: Section, tmp_path: Path) -> None:
    assert section.fixed != section.wrong or section.code == "NPI036"  # there the encoding is fixed
    assert told(section.fixed, tmp_path, section.code) == []


def test_every_section_begins_with_its_title_and_stands_in_the_table() -> None:
    rows = dict(re.findall(r"^\| \[(NPI\d+)\]\(#npi\d+\) \| (.+) \|$", PAGE, re.MULTILINE))
    assert list(rows) == [section.code for section in SECTIONS]
    for section in SECTIONS:
        title = rows[section.code]
        assert section.text.lstrip().startswith(f"**{title[0].upper()}{title[1:]}.** ")


def raised(path: Path) -> list[str]:
    """The codes with which a file makes errors and remarks; "?" for one without."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        inner = isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value).endswith(
            ("scope", "self", "source")
        )
        if name in ("LanguageError", "Hint", "Remark", "Uncomputable", "remark") or (name == "error" and inner):
            code = next(
                (word.value for word in node.keywords if word.arg == "code"), node.args[-1] if node.args else None
            )
            if isinstance(code, ast.Constant) and re.fullmatch(r"NPI\d+", str(code.value)):
                found.append(str(code.value))
            elif not (isinstance(code, ast.Attribute) or (isinstance(code, ast.Name) and code.id == "code")):
                found.append("?")  # a code that is handed on is made elsewhere
    return found


def test_every_mistake_has_a_code_and_every_code_is_used() -> None:
    codes = {str(path): raised(path) for path in sorted((ROOT / "dsl").rglob("*.py"))}
    assert {name for name, found in codes.items() if "?" in found} == set(), "give it a code with a section"
    assert {code for found in codes.values() for code in found} == {section.code for section in SECTIONS}
    assert OTHER not in {section.code for section in SECTIONS}


def test_a_file_without_a_code_would_be_found(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text('raise LanguageError(source, 1, 1, "a", "b")\nraise scope.error(n, "a", "b", "NPI001")\n')
    assert raised(path) == ["?", "NPI001"]


LIST = "world list is scratchpad:\n    row A of 0..9\n    pointer P, Q on A\n"


def codes(text: str, **files: str) -> list[tuple[int, str]]:
    return [(error.line, error.code) for error in dsl.diagnose(text).errors]


SEVERAL = [
    # two statements, a condition and the block under it
    (LIST + "program X:\n    ACT(R, LEFT)\n    if S == 1:\n        ACT(P, UP)\n    Y\n", [5, 6, 7, 8]),
    # syntax in two programs, and a mistake of meaning in a third
    (
        LIST + "program X:\n    B C\n    ACT(P, LEFT\nprogram Y:\n    if P = 1:\n        X\nprogram Z:\n    Q2\n",
        [5, 6, 8, 11],
    ),
    # a broken first line hides its name and its parameters, not its body's syntax
    (LIST + "program X(p):\n    ACT(p, LEFT)\n    B C\nprogram Y:\n    X(P)\n", [4, 6]),
    # a row that cannot be read: nobody is told that it is not there, but a mistyped program is
    ("world w is scratchpad:\n    row A of\n    row B of bit\nprogram X:\n    ACT(A, LEFT)\n    Z\n", [2, 6]),
    (
        "world w is scratchpad:\n    row A of digits\n    row B of bit\n"
        "program X:\n    if A > 3:\n        ACT(B, LEFT)\n    Z\n",
        [2, 7],
    ),
    # a world of which nothing is left
    ("world w:\n    row A of bit\nprogram X:\n    ACT(A, LEFT)\n", [1]),
    # a used file that is not there: its names are not missed
    (LIST + 'use "other.npi"\nprogram X:\n    GO\n    ACT(P)\n', [4, 7]),
    # a statement in the place of one that cannot be read counts as a call: the loop is not told to be empty
    (LIST + "program X:\n    while P > 1:\n        B C\n", [6]),
    # lines of a task, one by one
    (LIST + "program X:\n    ACT(P, LEFT)\ntask t(a):\n    A = b\n    run Y\n", [6]),
    (
        LIST
        + "program X:\n    ACT(P, LEFT)\ntask t(a: list of 0..9):\n"
        + "    A = b\n    run Y\n    expect A\n    train a of 3..1\n",
        [7, 8, 9, 10],
    ),
    # a loop that is mistyped still is one; the colon that is missing is told, and the block is looked at
    (LIST + "program X:\n    whlie P > 1\n        ACT(R, LEFT)\n", [5, 6]),
    # tabs and depths
    (LIST + "program X:\n\tACT(P, LEFT)\n      ACT(Q, LEFT)\n  ACT(Q, LEFT)\n", [5, 6, 7]),
    # several things in one table
    (
        LIST + "program X:\n    ACT(P, WRITE, P + 1)\n    ACT(P, WRITE, Q - 1)\n    if 1 div P > 0:\n        X\n",
        [5, 6, 7],
    ),
]


@pytest.mark.parametrize(("text", "lines"), SEVERAL, ids=range(len(SEVERAL)))
def test_all_mistakes_are_told_at_once_and_nothing_that_follows_from_them(text: str, lines: list[int]) -> None:
    assert [line for line, _ in codes(text)] == lines


def test_an_error_carries_the_others() -> None:
    with pytest.raises(dsl.LanguageError) as caught:
        dsl.loads(SEVERAL[0][0], path="x.npi")
    error = caught.value
    assert [one.line for one in error.errors] == [5, 6, 7, 8]
    assert (error.line, error.code, error.message) == (5, "NPI068", "there is no pointer or parameter R")
    assert str(error) == "\n".join(one.text() for one in error.errors)
    assert str(error).startswith("x.npi:5:9: NPI068: there is no pointer or parameter R\n")


def test_a_long_list_of_mistakes_is_cut() -> None:
    text = LIST + "program X:\n" + "    ACT(R, LEFT)\n" * (MOST_ERRORS + 7)
    with pytest.raises(dsl.LanguageError) as caught:
        dsl.loads(text)
    assert len(caught.value.errors) == MOST_ERRORS + 7
    assert str(caught.value).count("NPI068") == MOST_ERRORS
    assert str(caught.value).endswith("\nand 7 more")


def test_a_diagnosis_keeps_what_can_be_read() -> None:
    found = dsl.diagnose(LIST + "program X:\n    B C\n    ACT(P, LEFT)\nprogram (p):\n    X\nprogram Y:\n    X\n")
    assert found.program_set is None
    assert [program.name for program in found.tree.of(s.Program)] == ["X", "Y"]
    assert [error.line for error in found.errors] == [5, 7]
    clean = dsl.diagnose(LIST + "program X:\n    ACT(P, LEFT)\n")
    assert clean.program_set is not None
    assert [warning.code for warning in clean.warnings] == ["NPI200"]
