"""The language server, driven as an editor does it: a process, and JSON-RPC on its stdin and stdout."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import load
from dsl.formatting.formatter import format_text
from npi.cli.main import main
from npi.lsp import answers
from npi.lsp.completion import complete
from npi.lsp.names import read_names
from npi.lsp.project import Project
from tests.support.editor import Client, applied, part
from tests.support.paths import PROGRAMS

# --- diagnostics -----------------------------------------------------------------------------------------------------

WRONG = """\
world pad is scratchpad:
    row IN, OUT of digit

program COPY "Copy":
    while IN:
        ACT(OUT, WRTE, IN)
        ACT(INN, LEFT)

program SPARE "Not used":
    ACT(IN, LEFT)

task copy(a: number):
    IN = digits(a)
    run COPI
    expect number(OUT) == a
    train a of 1..5 digits
    test a of 10 digits
"""


def test_all_mistakes_of_a_text_are_told_and_go_when_mended(client: Client) -> None:
    client.open("wrong.npi", WRONG)
    found = client.mistakes("wrong.npi")
    errors = [item for item in found if item["severity"] == 1]
    assert [part(WRONG, item["range"]) for item in errors] == ["WRTE", "INN", "run"]
    assert all(item["source"] == "npi" and item["code"] for item in found)
    assert "did you mean COPY?" in errors[2]["message"]
    right = WRONG.replace("WRTE", "WRITE").replace("INN", "IN").replace("COPI", "COPY")
    client.open("wrong.npi", right)
    (left,) = client.mistakes("wrong.npi")
    assert left["severity"] == 2
    assert "SPARE" in left["message"]
    client.close("wrong.npi")


def test_changes_come_in_parts(client: Client) -> None:
    uri = client.open("parts.npi", "world pad is scratchpad:\n    row A of digit\n")
    assert client.mistakes("parts.npi") == []
    client.versions[uri] += 1
    place = {"start": {"line": 1, "character": 13}, "end": {"line": 1, "character": 18}}
    document = {"uri": uri, "version": client.versions[uri]}
    client.tell("textDocument/didChange", textDocument=document, contentChanges=[{"range": place, "text": "digti"}])
    (found,) = client.mistakes("parts.npi")
    assert found["range"] == place
    client.close("parts.npi")


def test_mistakes_of_used_files_are_told_where_they_are_used(client: Client) -> None:
    client.open("max.npi")
    assert client.mistakes("max.npi") == []
    used = client.open("bubblesort.npi", (PROGRAMS / "bubblesort.npi").read_text().replace("COMPSWAP\n", "COMPSWOP\n"))
    client.open("max.npi")  # the used file is changed, but not saved
    (found,) = client.mistakes("max.npi")
    assert part(client.texts["max.npi"], found["range"]) == '"bubblesort.npi"'
    assert "COMPSWOP" in found["message"]
    (related,) = found["relatedInformation"]
    assert related["location"]["uri"] == used
    assert part(client.texts["bubblesort.npi"], related["location"]["range"]) == "COMPSWOP"
    client.open("bubblesort.npi", (PROGRAMS / "bubblesort.npi").read_text())
    client.open("max.npi")
    assert client.mistakes("max.npi") == []
    client.close("bubblesort.npi")
    client.close("max.npi")


def test_shipped_programs_have_no_mistakes(client: Client) -> None:
    names = [path.relative_to(PROGRAMS).as_posix() for path in sorted(PROGRAMS.rglob("*.npi"))]
    for name in names:
        client.open(name)
    for name in names:
        assert [item for item in client.mistakes(name) if item["severity"] == 1] == [], name
        client.close(name)


# --- hover, definition, references -----------------------------------------------------------------------------------


def hover(client: Client, name: str, mark: str, offset: int = 0) -> str:
    found = client.ask("textDocument/hover", **client.at(name, mark, offset))
    return "" if found is None else found["contents"]["value"]


def test_hover_tells_signature_and_doc(client: Client) -> None:
    client.open("max.npi")
    client.open("examples/gcd.npi")
    text = hover(client, "max.npi", "BUBBLESORT\n")
    assert text.startswith("```npi\nprogram BUBBLESORT\n```")
    assert "Perform bubble sort (ascending order)" in text
    assert "calls BUBBLE, RESET; called by sort, MAX" in text
    assert "bubblesort.npi, line" in text
    assert "program CUT(long: A or B, short: A or B)" in hover(client, "examples/gcd.npi", "CUT(A, B)")
    assert "long: A or B" in hover(client, "examples/gcd.npi", "long, WRITE")
    assert "d: direction" in hover(client, "examples/gcd.npi", "d)\n    ACT(B")
    pointer = hover(client, "max.npi", "P1):")
    assert "pointer P1, P2 on A at left" in pointer
    assert "`last(P1)`: no or yes" in pointer
    assert "last(P)" in hover(client, "max.npi", "last(")
    assert "greatest common divisor" in hover(client, "examples/gcd.npi", "gcd(len")
    assert "again and again" in hover(client, "max.npi", "while")
    assert "ACT(" in hover(client, "examples/gcd.npi", "ACT(")
    assert "one cell to the right" in hover(client, "examples/gcd.npi", "RIGHT)")
    assert hover(client, "max.npi", "largest item of") == ""
    client.close("max.npi")
    client.close("examples/gcd.npi")


def test_places_are_counted_as_the_protocol_does(client: Client) -> None:
    world = 'world w is scratchpad:\n    row A of "𝔸" or "b" or blank\n'
    text = world + '\nprogram P:\n    while A == "𝔸" and A != "b":\n        P\n'
    client.open("wide.npi", text)
    mark = 'A != "b"'
    found = client.ask("textDocument/hover", **client.at("wide.npi", mark))
    assert part(text, found["range"]) == "A"
    assert found["range"] == {"start": {"line": 4, "character": 24}, "end": {"line": 4, "character": 25}}
    (place,) = client.ask("textDocument/definition", **client.at("wide.npi", mark))
    assert place["range"]["start"] == {"line": 1, "character": 8}
    client.close("wide.npi")


def definition(client: Client, name: str, mark: str, offset: int = 0) -> list[tuple[str, str, int]]:
    found = client.ask("textDocument/definition", **client.at(name, mark, offset))
    return [located(client, place) for place in found]


def located(client: Client, place: dict[str, Any]) -> tuple[str, str, int]:
    """File, text and line (from 1) of a location."""
    name = next(p for p in client.folder.rglob("*.npi") if p.as_uri() == place["uri"]).relative_to(client.folder)
    text = (client.folder / name).read_text()
    return name.as_posix(), part(text, place["range"]), place["range"]["start"]["line"] + 1


def line_of(name: str, mark: str) -> int:
    text = (PROGRAMS / name).read_text()
    return text[: text.index(mark)].count("\n") + 1


def test_definitions_are_found_in_used_files(client: Client) -> None:
    client.open("max.npi")
    sort = "bubblesort.npi"
    assert definition(client, "max.npi", "RSHIFT", 3) == [(sort, "RSHIFT", line_of(sort, "program RSHIFT"))]
    assert definition(client, "max.npi", "P1):") == [(sort, "P1", line_of(sort, "pointer P1"))]
    assert definition(client, "max.npi", "A = items") == [(sort, "A", line_of(sort, "row A"))]
    assert definition(client, "max.npi", "items)\n    train") == [("max.npi", "items", line_of("max.npi", "task max"))]
    assert definition(client, "max.npi", "RJMP\n") == [("max.npi", "RJMP", line_of("max.npi", "program RJMP"))]
    (place,) = client.ask("textDocument/definition", **client.at("max.npi", '"bubble', 3))
    assert place["uri"] == client.uri(sort)
    assert definition(client, "max.npi", "under") == []
    client.close("max.npi")


def references(client: Client, name: str, mark: str, *, declaration: bool = True) -> list[tuple[str, str, int]]:
    context = {"includeDeclaration": declaration}
    found = client.ask("textDocument/references", **client.at(name, mark, context=context))
    return [located(client, place) for place in found]


def test_references_are_those_of_the_one_meant(client: Client) -> None:
    # addition.npi and others have an RSHIFT too, which nobody means here
    client.open("max.npi")
    found = references(client, "max.npi", "RSHIFT")
    sort = "bubblesort.npi"
    lines = [line_of(sort, "    RSHIFT\n"), line_of(sort, "program RSHIFT")]
    assert found == [(sort, "RSHIFT", line) for line in lines] + [("max.npi", "RSHIFT", line_of("max.npi", "RSHIFT"))]
    assert len(references(client, "max.npi", "RSHIFT", declaration=False)) == 2
    client.close("max.npi")
    client.open("addition.npi")
    loops = references(client, "addition.npi", "p in IN1")
    assert [line for _, _, line in loops] == [loops[0][2], loops[0][2] + 1]  # the other loop has a p of its own
    client.close("addition.npi")


# --- rename ----------------------------------------------------------------------------------------------------------


def renamed(client: Client, name: str, mark: str, new: str) -> dict[str, str]:
    """The texts of all files that a rename changes."""
    found = client.ask("textDocument/rename", **client.at(name, mark, newName=new))
    names = {client.uri(path.relative_to(client.folder).as_posix()): path for path in client.folder.rglob("*.npi")}
    return {
        names[uri].relative_to(client.folder).as_posix(): applied(names[uri].read_text(), edits)
        for uri, edits in found["changes"].items()
    }


def test_a_program_is_renamed_in_all_files_that_mean_it(client: Client, tmp_path: Path) -> None:
    client.open("bubblesort.npi")
    found = renamed(client, "bubblesort.npi", "RSHIFT", "ADVANCE")
    assert sorted(found) == ["bubblesort.npi", "max.npi"]
    for name, text in found.items():
        assert text == (PROGRAMS / name).read_text().replace("RSHIFT", "ADVANCE")
        (tmp_path / name).write_text(text)
    after, before = load(tmp_path / "max.npi"), load(PROGRAMS / "max.npi")
    assert [p.name.replace("ADVANCE", "RSHIFT") for p in after.programs] == [p.name for p in before.programs]
    assert [p.calls for p in after.programs] == [p.calls for p in before.programs]
    client.close("bubblesort.npi")


@pytest.mark.parametrize(
    ("name", "mark", "new"),
    [
        ("bubblesort.npi", "P1, P2", "LEFTONE"),
        ("bubblesort.npi", "COUNT on", "SWEEPS"),
        ("bubblesort.npi", "A of 0..9", "LIST"),
        ("bubblesort.npi", "items: list", "numbers"),
        ("addition.npi", "IN1, IN2", "FIRST"),
        ("addition.npi", "p in IN1", "which"),
        ("examples/gcd.npi", "long: A", "longer"),
        ("examples/gcd.npi", "slate", "board"),
        ("max.npi", "max(items: list", "largest"),
    ],
)
def test_whatever_is_declared_can_be_renamed(client: Client, tmp_path: Path, name: str, mark: str, new: str) -> None:
    """Every file that a rename changes, or that uses one of them, means what it did."""
    folder = tmp_path.resolve() / "programs"
    shutil.copytree(client.folder, folder)
    client.open(name)
    old = client.ask("textDocument/prepareRename", **client.at(name, mark))
    assert mark.startswith(part(client.texts[name], old))
    changed = renamed(client, name, mark, new)
    for other, text in changed.items():
        (folder / other).write_text(text)
    users = [
        path for path in sorted(folder.rglob("*.npi")) if {folder / c for c in changed} & {*Project().modules(path)}
    ]
    assert folder / name in users
    for path in users:
        after, before = load(path), load(PROGRAMS / path.relative_to(folder))
        assert [p.calls for p in after.programs] == [p.calls for p in before.programs]
        assert after.warnings == () or len(after.warnings) == len(before.warnings)
    client.close(name)


@pytest.mark.parametrize(
    ("name", "mark", "new", "why"),
    [
        ("bubblesort.npi", "RSHIFT", "LSHIFT", "LSHIFT"),  # a program of that name is there
        ("bubblesort.npi", "RSHIFT", "RJMP", "max.npi"),  # the file that uses this one has a program of that name
        ("bubblesort.npi", "RSHIFT", "ACT", "ACT"),
        ("bubblesort.npi", "RSHIFT", "while", "while"),
        ("bubblesort.npi", "RSHIFT", "a-b", "letters"),
        ("bubblesort.npi", "RSHIFT", "RSHIFT", "already"),
        ("bubblesort.npi", "P1, P2", "P2", "P2"),
        ("bubblesort.npi", "P1, P2", "LEFT", "LEFT"),
        ("examples/gcd.npi", "long: A", "short", "short"),
        ("bubblesort.npi", "ACT(P2", "MOVE", "declared in no program file"),
        ("bubblesort.npi", "sorted(", "ordered", "declared in no program file"),
    ],
)
def test_a_rename_that_would_change_the_meaning_is_refused(
    client: Client, name: str, mark: str, new: str, why: str
) -> None:
    client.open(name)
    error = client.answer("textDocument/rename", **client.at(name, mark, newName=new))["error"]
    assert why in error["message"]
    assert error["code"] == -32803  # RequestFailed
    client.close(name)


# --- completion ------------------------------------------------------------------------------------------------------

MAX = (PROGRAMS / "max.npi").read_text()
PAD = "world pad is scratchpad:\n    row A, B of digit\n"

TYPED = [
    (MAX + "\n|", ["world", "program", "task", "use"], ["ACT"]),
    (MAX.replace("    BUBBLESORT\n", "    |\n"), ["ACT", "RJMP", "BUBBLESORT", "while", "pass"], ["A", "P1", "items"]),
    (MAX.replace("    BUBBLESORT\n", "    ACT(|\n"), ["P1", "P2", "COUNT"], ["LEFT", "BUBBLESORT", "A"]),
    (MAX.replace("    BUBBLESORT\n", "    ACT(P1, |\n"), ["LEFT", "RIGHT", "WRITE", "SWAP"], ["P1"]),
    (MAX.replace("    BUBBLESORT\n", "    ACT(P1, SWAP, |)\n"), ["P1", "P2"], ["LEFT"]),
    (MAX.replace("    BUBBLESORT\n", "    while not l|\n"), ["first", "last", "P1", "not"], ["sorted", "items", "A"]),
    (MAX.replace("    BUBBLESORT\n", "    while last(|\n"), ["P1", "COUNT"], ["first", "A", "and"]),
    (MAX.replace("    BUBBLESORT\n", "    bubblesort.|\n"), ["RSHIFT", "BUBBLESORT"], ["MAX", "ACT"]),
    (MAX.replace("run MAX", "run |"), ["MAX", "RJMP", "BUBBLESORT"], ["ACT", "items"]),
    (MAX.replace("    run MAX", "    |"), ["A", "run", "expect", "train", "test"], ["P1"]),
    (MAX.replace("== max(items)", "== |"), ["items", "sorted", "max", "A", "blank"], ["first", "P1"]),
    (MAX.replace("under(P1)", "under(|)"), ["P1", "P2"], ["items", "A"]),
    (MAX.replace("train items of 2..20", "train |"), ["items"], ["A", "digits"]),
    (MAX.replace("2..20", "2..20 |"), ["items", "digits"], ["A"]),
    (MAX.replace('"bubblesort.npi"', '"|"'), ["bubblesort.npi", "examples/gcd.npi"], ["typed.npi", "world"]),
    (MAX.replace("Find maximum", "Find |maximum"), [], ["ACT", "world"]),
    (MAX + "# |", [], ["world", "ACT"]),
    ("world pad is |", ["scratchpad"], ["row"]),
    ("world pad is scratchpad:\n    |", ["row", "pointer", "counter"], ["ACT", "while"]),
    ("world pad is scratchpad:\n    row A of |", ["digit", "bit", "letter", "blank"], ["pointer"]),
    ("world pad is scratchpad:\n    row A of 0..9\n    pointer P on |", ["A"], ["P"]),
    (PAD + "\nprogram X(p: |", ["pointer", "direction", "digit", "A", "B"], ["list"]),
    (PAD + "\ntask t(a: |", ["number", "list", "digit"], ["direction"]),
    (PAD + "\nprogram X(q: A or B):\n    for p in A:\n        ACT(|, LEFT)\n", ["A", "B", "p", "q"], ["LEFT"]),
    (PAD + "\nprogram X(q: A or B):\n    ACT(A, WRITE, |)\n", ["A", "B", "q", "blank"], ["WRITE", "X"]),
]


@pytest.mark.parametrize(("text", "wanted", "unwanted"), TYPED, ids=range(len(TYPED)))
def test_completion_offers_what_can_stand_there(
    client: Client, text: str, wanted: list[str], unwanted: list[str]
) -> None:
    client.open("typed.npi", text)
    place = client.at("typed.npi", "|")
    client.open("typed.npi", text.replace("|", ""))
    labels = [item["label"] for item in client.ask("textDocument/completion", **place)]
    assert set(wanted) <= set(labels)
    assert not set(unwanted) & set(labels)
    assert len(labels) == len(set(labels))
    client.close("typed.npi")


def test_completion_tells_what_it_offers(client: Client) -> None:
    client.open("typed.npi", MAX.replace("    BUBBLESORT\n", "    \n"))
    place = client.at("typed.npi", "    \n", 4)
    items = {item["label"]: item for item in client.ask("textDocument/completion", **place)}
    assert items["RSHIFT"]["detail"] == "program RSHIFT (bubblesort.npi)"
    assert items["RSHIFT"]["documentation"]["value"] == "Shift both pointers one step right"
    assert items["ACT"]["detail"].startswith("ACT(")
    client.close("typed.npi")


# --- layout and outline ----------------------------------------------------------------------------------------------


def test_formatting_gives_the_canonical_layout_and_touches_only_lines_that_change(client: Client) -> None:
    options = {"tabSize": 4, "insertSpaces": True}
    text = (PROGRAMS / "addition.npi").read_text().replace("ACT(CARRY, LEFT)", "ACT( CARRY,LEFT )", 1) + "\n\n"
    uri = client.open("addition.npi", text)
    edits = client.ask("textDocument/formatting", textDocument={"uri": uri}, options=options)
    assert applied(text, edits) == format_text(text) == (PROGRAMS / "addition.npi").read_text()
    assert len(edits) == 2
    assert edits[0]["range"]["end"]["line"] - edits[0]["range"]["start"]["line"] == 1
    client.open("addition.npi")
    assert client.ask("textDocument/formatting", textDocument={"uri": uri}, options=options) == []
    client.open("addition.npi", "program A\n   B\n")
    assert client.ask("textDocument/formatting", textDocument={"uri": uri}, options=options) is None
    client.close("addition.npi")


def test_outline(client: Client) -> None:
    uri = client.open("bubblesort.npi")
    found = client.ask("textDocument/documentSymbol", textDocument={"uri": uri})
    assert [item["name"] for item in found] == [
        "list",
        *(program.name.partition(".")[2] for program in load(PROGRAMS / "bubblesort.npi").programs),
        "sort",
    ]
    assert [inner["name"] for inner in found[0]["children"]] == ["A", "P1", "P2", "COUNT"]
    assert found[1]["detail"] == "Perform bubble sort (ascending order)"
    for item in found:
        inside, whole = item["selectionRange"], item["range"]
        assert part(client.texts["bubblesort.npi"], inside) == item["name"]
        assert whole["start"]["line"] <= inside["start"]["line"] <= whole["end"]["line"]
    ends = [(item["range"]["start"]["line"], item["range"]["end"]["line"]) for item in found]
    assert all(one[1] < two[0] for one, two in pairwise(ends))
    client.close("bubblesort.npi")


@pytest.mark.parametrize("broken", ["while not last(", "program (", 'ACT(P1, "', "x = = y", "while P1:", ")"])
def test_a_text_that_is_being_typed_keeps_its_names(client: Client, broken: str) -> None:
    client.open("max.npi", MAX.replace("    BUBBLESORT\n", f"    BUBBLESORT\n    {broken}\n"))
    assert "Perform bubble sort" in hover(client, "max.npi", "BUBBLESORT\n")
    assert "Move all pointers" in hover(client, "max.npi", "RJMP ")
    found = client.ask("textDocument/documentSymbol", textDocument={"uri": client.uri("max.npi")})
    assert [item["name"] for item in found] == ["RJMP", "MAX", "max"]
    assert client.mistakes("max.npi") != []
    client.close("max.npi")


def test_what_is_promised_is_there(client: Client) -> None:
    found = client.capabilities
    assert found["hoverProvider"]
    assert found["definitionProvider"]
    assert found["referencesProvider"]
    assert found["renameProvider"] == {"prepareProvider": True}
    assert found["documentFormattingProvider"]
    assert found["documentSymbolProvider"]
    assert found["workspaceSymbolProvider"]
    assert found["codeActionProvider"]["codeActionKinds"] == ["quickfix"]
    assert found["signatureHelpProvider"]["triggerCharacters"] == ["(", ","]
    assert set(found["completionProvider"]["triggerCharacters"]) == {'"', ".", "(", ","}
    assert found["textDocumentSync"]["openClose"]


@settings(max_examples=40)
@given(st.integers(0, 2**32))
def test_no_text_and_no_place_breaks_an_answer(seed: int) -> None:
    random = Random(seed)
    path = random.choice(sorted(PROGRAMS.rglob("*.npi"))).resolve()
    text = path.read_text()
    for _ in range(random.randint(0, 3)):
        begin = random.randrange(len(text))
        put = random.choice(["", "(", "\n", "  ", "program X", "[", '"', ":", "\t", "é", ","])
        text = text[:begin] + put + text[begin + random.choice([0, 1, 9]) :]
    project = Project({path: text}, (PROGRAMS.resolve(),))
    line = random.randrange(text.count("\n") + 1)
    column = random.randint(0, len(text.split("\n")[line]))
    answers.hover(project, path, line, column)
    answers.definition(project, path, line, column)
    answers.references(project, path, line, column, declaration=True)
    answers.outline(project, path)
    complete(project, path, line, column)
    for item in (*project.names(path).declared, *project.names(path).used):
        shown = text.split("\n")[item.span.line][item.span.start : item.span.end]
        assert shown.strip('"') == item.name or "\\" in shown


def test_texts_are_read_in_several_threads() -> None:
    # red when the grammar's indenter keeps its state between texts: checks run beside the answers
    texts = [path.read_text() + f"\n# {number}\n" for number, path in enumerate(sorted(PROGRAMS.rglob("*.npi")))]
    alone = [[item.span for item in read_names.__wrapped__(text).used] for text in texts]
    with ThreadPoolExecutor(8) as pool:
        beside = list(pool.map(lambda text: [item.span for item in read_names.__wrapped__(text).used], texts * 4))
    assert beside == alone * 4


def test_without_pygls_it_says_what_to_install(monkeypatch, capsys) -> None:
    monkeypatch.setattr("npi.cli.lsp.find_spec", lambda name: None)
    assert main(["lsp"]) == 2
    assert 'pip install "npi-engine[editor]"' in capsys.readouterr().err
