"""What mends mistakes in an editor, help inside of calls, and symbols of all files."""

from pathlib import Path
from typing import Any

import pytest

import dsl
from npi.lsp.completion import called
from npi.lsp.project import Project
from npi.lsp.quick_fixes import quick_fix
from tests.dsl.errors.test_errors import SECTIONS, TOP, Section, told
from tests.support.editor import Client, applied
from tests.support.paths import PROGRAMS

WRONG = """\
world pad is scratchpad:
    row IN, OUT of digt

program COPY "Copy":
    whle IN
        ACT(OUT, WRTE, IN)
        ACT(INN, LEFT)
"""

MENDED = {
    "NPI002", "NPI007", "NPI010", "NPI012", "NPI023", "NPI025", "NPI042", "NPI054", "NPI058", "NPI066", "NPI067",
    "NPI071", "NPI110", "NPI118", "NPI119",
}  # fmt: skip
"""Kinds of mistakes whose sections an edit mends; more may be, these must."""


def mended(section: Section, folder: Path) -> set[str] | None:
    """The codes that are left when every edit that is offered was made; None where none was."""
    lines = section.wrong[TOP].decode().split("\n")
    edits = [edit for mistake in told(section.wrong, folder, section.code) if (edit := quick_fix(mistake)) is not None]
    for edit in sorted(edits, key=lambda edit: edit.span, reverse=True):
        span, line = edit.span, lines[edit.span.line]
        lines[span.line] = line[: span.start] + edit.text + line[span.end :]
    after = {**section.wrong, TOP: "\n".join(lines).encode()}
    return {mistake.code for mistake in told(after, folder, section.code)} if edits else None


@pytest.mark.parametrize("section", [s for s in SECTIONS if TOP in s.wrong], ids=lambda section: section.code)
def test_an_edit_mends_what_it_is_offered_for(section: Section, tmp_path: Path) -> None:
    """Of every kind of mistake that docs/errors.md has. Red where the wrong word is replaced."""
    left = mended(section, tmp_path)
    assert left is None or section.code not in left
    assert left is not None or section.code not in MENDED


def test_an_editor_is_offered_the_edits_and_they_mend_the_text(client: Client) -> None:
    client.open("wrong.npi", WRONG)
    text = WRONG
    for _ in range(4):  # what the first mistake hides comes to light when it is mended
        found = client.mistakes("wrong.npi")
        if not found:
            break
        edits = []
        for mistake in found:
            where = {"textDocument": {"uri": client.uri("wrong.npi")}, "range": mistake["range"]}
            actions = client.ask("textDocument/codeAction", **where, context={"diagnostics": [mistake]})
            assert all(action["kind"] == "quickfix" for action in actions)
            assert all(action["title"] in mistake["message"] for action in actions)
            edits += [e for action in actions for e in action["edit"]["changes"][client.uri("wrong.npi")]]
        text = applied(text, [edit for place, edit in enumerate(edits) if edit not in edits[:place]])
        client.open("wrong.npi", text)
    assert not dsl.diagnose(text, path="wrong.npi").errors
    assert "row IN, OUT of digit\n" in text
    assert "while IN:\n" in text
    client.close("wrong.npi")


def test_nothing_is_offered_elsewhere_or_of_another_text(client: Client) -> None:
    client.open("other.npi", WRONG)
    client.mistakes("other.npi")
    place = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 3}}
    where = {"textDocument": {"uri": client.uri("other.npi")}, "context": {"diagnostics": []}}
    assert client.ask("textDocument/codeAction", range=place, **where) == []
    whole = {"start": {"line": 0, "character": 0}, "end": {"line": 9, "character": 0}}
    assert client.ask("textDocument/codeAction", range=whole, **where)
    client.open("other.npi", "\n" + WRONG)
    offered = client.ask("textDocument/codeAction", range=whole, **where)
    checked = client.diagnostics[client.uri("other.npi")][0] == client.versions[client.uri("other.npi")]
    assert offered == [] or checked  # of what was found in the text before, nothing
    client.close("other.npi")


# --- inside of calls -------------------------------------------------------------------------------------------------

CALLS = """\
use "addition.npi"

program STEP(p: pointer, d: direction) "One step":
    ACT(p, d)

program GO "Go":
    STEP(IN1, LEFT)
    addition.CARRY
    while first(IN1):
        ACT(OUT, WRITE, 1)
"""


def help_at(mark: str, offset: int) -> tuple[str, str, int] | None:
    """The form, the argument that is being typed, and its place."""
    path = PROGRAMS / "calls.npi"
    at = CALLS.index(mark) + offset
    found = called(Project({path: CALLS}), path, CALLS[:at].count("\n"), at - CALLS.rfind("\n", 0, at) - 1)
    if found is None:
        return None
    words = [found.form[a:b] for a, b in found.arguments]
    return found.form, words[found.place] if found.place < len(words) else "", found.place


@pytest.mark.parametrize(
    ("mark", "offset", "expected"),
    [
        ("STEP(IN1", 5, ("STEP(p: pointer, d: direction)", "p: pointer", 0)),
        ("STEP(IN1", 8, ("STEP(p: pointer, d: direction)", "p: pointer", 0)),
        ("STEP(IN1, LEFT", 10, ("STEP(p: pointer, d: direction)", "d: direction", 1)),
        ("first(IN1", 6, ("first(P)", "P", 0)),
        ("STEP(IN1, LEFT)", 15, None),
        ("addition.CARRY", 14, None),
    ],
)
def test_inside_of_a_call_its_form_is_shown(mark: str, offset: int, expected: Any) -> None:
    assert help_at(mark, offset) == expected


def test_primitives_have_help_and_the_editor_gets_it(client: Client) -> None:
    client.open("calls.npi", CALLS)
    found = client.ask("textDocument/signatureHelp", **client.at("calls.npi", "ACT(OUT, WRITE", 9))
    (one,) = found["signatures"]
    assert one["label"].startswith("ACT(")
    assert found["activeParameter"] == 1
    first, last = one["parameters"][1]["label"]
    assert one["label"][first:last] == one["label"].split(", ")[1]
    assert client.ask("textDocument/signatureHelp", **client.at("calls.npi", "program GO", 3)) is None
    client.close("calls.npi")


# --- all files -------------------------------------------------------------------------------------------------------


def test_symbols_of_all_files_are_found_by_their_letters(client: Client) -> None:
    found = client.ask("workspace/symbol", query="carry")
    assert {(one["name"], one["containerName"]) for one in found} >= {("CARRY", "addition")}
    assert all("carry" in one["name"].lower() for one in found if len(one["name"]) == 5)
    mine = [one for one in client.ask("workspace/symbol", query="ad1") if one["name"] == "ADD1"]
    (add,) = [one for one in mine if one["location"]["uri"] == client.uri("addition.npi")]
    line = add["location"]["range"]["start"]["line"]
    assert (client.folder / "addition.npi").read_text().split("\n")[line].startswith("program ADD1")
    everything = client.ask("workspace/symbol", query="")
    names = [path.stem for path in client.folder.rglob("*.npi")]
    assert {one["containerName"] for one in everything} >= set(names)
    assert client.ask("workspace/symbol", query="(*") == []
