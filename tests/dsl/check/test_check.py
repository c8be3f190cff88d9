"""Wrong program → message: the checker names the place, what was seen, and how to fix it."""

from pathlib import Path

import pytest

import dsl
from dsl.errors.error import LanguageError

PAD = """world pad is scratchpad:
    row IN, OUT of digit
    row A of 0..9
    pointer P, Q on A
    counter K on A
    row S of "(" or ")"
"""
"""Pointers: IN, OUT (on endless rows), P, Q, K (on list A), S (on list S)."""


def body(*lines: str, params: str = "") -> str:
    """A file whose program X has these lines, beside a program Y(p: P or Q, v: 0..5)."""
    inner = "".join(f"    {line}\n" for line in lines)
    return f"{PAD}program X{params}:\n{inner}program Y(p: P or Q, v: 0..5):\n    ACT(p, RIGHT)\n"


def task(*lines: str, inputs: str = "a: number, items: list of 0..9") -> str:
    inner = "".join(f"    {line}\n" for line in lines)
    return f"{PAD}program X:\n    ACT(P, RIGHT)\ntask t({inputs}):\n{inner}"


RUN = "run X"
FINE = "expect A == items"

WRONG = [
    # One mistake of each kind is in docs/errors.md, which test_errors.py runs; here is what else a kind can say.
    (body("Z"), "there is no program or primitive Z", "use one of"),
    (body("ACT(P, LEFTT)"), "there is no pointer or parameter LEFTT", "did you mean LEFT?"),
    (body("if middle(P):", "    pass"), "there is no function middle in a body", "bodies have first(P), last(P)"),
    # arguments
    (body("ACT(P)"), "ACT takes 2 to 3 arguments and is given 1", "write ACT(pointer, action, operand)"),
    (body("Y(P, 7)"), "argument v of text.Y becomes 7", "it can be 0..5; keep a number inside with mod"),
    (body("Y(P, P + 1)"), "argument v of text.Y becomes 6 when P = 5", "it can be 0..5"),
    (body("Y(P, IN)"), "argument v of text.Y becomes 6 when IN = 6", "it can be 0..5"),
    (body("Y(p, 1)", params="(p: pointer)"), "argument p of Y cannot be IN", "it can be P or Q"),
    (body("ACT(LEFT, P)"), "argument pointer of ACT cannot be LEFT", "it can be IN"),
    (body("ACT(OUT, WRITE, IN + P)"), "becomes 10 when IN = 1, P = 9", "keep a number inside with mod"),
    (
        body('ACT(P, WRITE, "(")'),
        "world pad cannot carry out ACT(P, WRITE, ()",
        "write 0..9, which is what row A holds",
    ),
    (
        body("ACT(P, SWAP, IN)"),
        "world pad cannot carry out ACT(P, SWAP, IN)",
        "swap with a pointer on the same row: Q, K",
    ),
    (body("ACT(P, LEFT, 3)"), "world pad cannot carry out ACT(P, LEFT, 3)", "write ACT(P, LEFT), without a third"),
    # conditions and values
    (body('if IN == "x":', "    pass"), "no row of world pad can hold x", "use one of"),
    (body("if P == S:", "    pass"), "these can never be equal", "compare with a symbol that the cell can hold"),
    (body("if P == LEFT:", "    pass"), "a symbol is compared with a word", "compare two cells"),
    (body("if P * 1000000000 * P > 1:", "    pass"), "this becomes", "stay below"),
    # tasks
    (task(FINE), "task t runs 0 programs; it must run one", "add a line: run PROGRAM"),
    (task(RUN, "expect A"), "a list stands where a condition is needed", "compare it"),
    (task(RUN, "expect len(a) == 1"), "a number stands where a list is needed", "put a list here"),
    (task(RUN, FINE, "train a, b of 1"), "task t has no input b", "use one of a, items"),
    (task(RUN, "expect A == [k]", "test 9 traces", inputs="k: 0..3"), "traces are what is learned", "write test alone"),
]


MOVES = """world pad is scratchpad:
    row T of 0..2 or blank at left
    row L of 0..2
    row S, R of place at left
    pointer P, Q on L at left
    pointer Z on L at right
    order P, Q, Z
    order S, P
    jump TO, HALFWAY
"""


def jumping(*lines: str) -> str:
    return MOVES + "program X:\n" + "".join(f"    {line}\n" for line in lines)


def world(*lines: str) -> str:
    inner = "".join(f"    {line}\n" for line in lines)
    return f"world pad is scratchpad:\n    row L of 0..2\n    pointer P, Q on L\n{inner}program X:\n    ACT(P, LEFT)\n"


WRONG += [
    (
        jumping("if before(P, T):", "    pass"),
        "world pad does not show the order of P and T",
        "add to the world: order P",
    ),
    (jumping("if before(P):", "    pass"), "before takes two pointers", "write before(P, Q)"),
    (jumping("if after(P, 1):", "    pass"), "this is not a pointer", "write after(P, Q)"),
    (jumping("if S == R:", "    pass"), "these hold places, and which ones is not seen", "ask same(P, Q)"),
    (jumping("if S > 1:", "    pass"), "place is not a number", "compare symbols"),
    (jumping("ACT(P, SAVE, Q)"), "world pad cannot carry out ACT(P, SAVE, Q)", "holds no places: declare one"),
    (jumping("ACT(P, FOLLOW, Q)"), "cannot carry out ACT(P, FOLLOW, Q)", "for a pointer Q on a row of places"),
    (jumping("ACT(P, TO)"), "cannot carry out ACT(P, TO)", "write ACT(P, TO, Q) for a pointer Q"),
    (jumping("ACT(P, WRITE, S)"), "argument operand of ACT becomes place", "row L holds 0..2"),
    (world("jump TOO"), "there is no jump TOO in world pad", "did you mean TO?"),
    (world("order P, R"), "there is no pointer R in world pad", "P, Q"),
    (world("order P"), "the order of P alone", "name two pointers: order P, Q"),
    (world("order P, Q", "order Q, P"), "is declared twice", "change the declaration"),
    (world("row S of place or 1"), "row S holds places and something else", "write: row S of place"),
    (world('row R of "SAVE" or blank', "row S of place"), "SAVE is an action of this pad, and a symbol", "change"),
]


@pytest.mark.parametrize(("text", "message", "fix"), WRONG, ids=range(len(WRONG)))
def test_wrong_program_has_its_message(text: str, message: str, fix: str) -> None:
    with pytest.raises(LanguageError) as caught:
        dsl.loads(text)
    error = caught.value
    assert message in error.message
    assert fix in error.fix
    assert error.source_line == text.split("\n")[error.line - 1], "the place is in the text"
    assert 1 <= error.column <= len(error.source_line) + 1


RIGHT = [
    body("if P > 0 and 3 div P > 1:", "    pass"),  # the side that divides is looked at only where it can
    body("ACT(P, WRITE, 3 div P if P > 0 else 0)"),
    body("if IN:", "    ACT(P, WRITE, IN)"),  # never blank here
    body("while IN:", "    if P == 3:", "        ACT(P, LEFT)", "    else:", "        return"),
    body("ACT(P, WRITE, v)", params="(v: 0..9)"),
    body("if p == 3:", "    ACT(p, LEFT)", params="(p: P or Q)"),
    body("ACT(P, d)", params="(d: direction)"),
    body("if d == LEFT:", "    ACT(P, d)", params="(d: direction)"),
    body('if S == "(" or S != ")":', "    ACT(S, WRITE, S)"),
    body("for d in LEFT, RIGHT:", "    for p in P, Q:", "        ACT(p, d)"),
    body("for v in 1, 2, blank:", "    ACT(OUT, WRITE, v)"),
    body("text.Y(P, 1)"),
    body("if first(P) == last(Q):", "    X"),
]


@pytest.mark.parametrize("text", RIGHT, ids=range(len(RIGHT)))
def test_right_program_is_accepted(text: str) -> None:
    assert [program.name for program in dsl.loads(text).programs] == ["text.X", "text.Y"]


def test_unused_programs_are_warned_of() -> None:
    text = task(RUN, FINE) + "program LONELY:\n    LONELY\n"
    (warning,) = dsl.loads(text).warnings
    message = "program LONELY is never called and no task runs it: it will have no traces"
    assert str(warning) == f"<text>:12:1: NPI200: {message}"


def test_a_signal_is_accepted_and_has_no_teacher() -> None:
    text = PAD + 'program EXPLORE "Find it":\n    maximise reward over 100 steps\n    core "meta-rl"\n'
    program_set = dsl.loads(text)
    signal = program_set.programs[0].signal
    assert (signal.aim, signal.what, signal.steps, signal.core) == ("maximise", "reward", 100, "meta-rl")
    with pytest.raises(ValueError, match=r"text\.EXPLORE has no body but a signal \(maximise reward\)"):
        dsl.compile_teacher(program_set)


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        path = folder / f"{name.replace('__', '/')}.npi"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


ONE = PAD + "program GO:\n    ACT(P, LEFT)\n"


def test_use_brings_programs_and_world_but_no_tasks(tmp_path: Path) -> None:
    write(tmp_path, low=ONE + "task t:\n    run GO\n    expect 1 == 1\n", deep__mid='use "../low.npi"\n')
    write(tmp_path, top='use "low.npi"\nuse "deep/mid.npi"\nprogram GO:\n    low.GO\nprogram X:\n    GO\n')
    program_set = dsl.load(tmp_path / "top.npi")
    assert [program.name for program in program_set.programs] == ["low.GO", "top.GO", "top.X"]
    assert [name for name, _ in program_set.sources] == ["low.npi", "deep/mid.npi", "top.npi"]
    assert [program_set.table.signatures[i].name for i in program_set.program("X").calls] == ["top.GO"]
    assert [program_set.table.signatures[i].name for i in program_set.program("top.GO").calls] == ["low.GO"]
    assert program_set.world_name == "pad"
    assert program_set.tasks == ()


def test_the_digest_follows_every_source(tmp_path: Path) -> None:
    write(tmp_path, low=ONE, top='use "low.npi"\nprogram X:\n    GO\n')
    before = dsl.load(tmp_path / "top.npi").digest
    assert dsl.load(tmp_path / "top.npi").digest == before
    write(tmp_path, low=ONE + "# a comment\n")
    assert dsl.load(tmp_path / "top.npi").digest != before


USES = [
    ({"top": 'use "lov.npi"\n', "low": ONE}, "there is no file lov.npi", "files beside this one: low.npi, top.npi"),
    ({"top": 'use "../low.npi"\n'}, "../low.npi lies outside the folder", "use files beside it or in folders below"),
    ({"top": 'use "/etc/hosts"\n'}, "/etc/hosts lies outside the folder", "use files beside it"),
    (
        {"top": 'use "one.npi"\n', "one": 'use "two.npi"\n', "two": 'use "one.npi"\n'},
        "circle: top.npi uses one.npi uses two.npi uses one.npi",
        "a third file",
    ),
    ({"top": 'use "top.npi"\n'}, "circle: top.npi uses top.npi", "a third file"),
    ({"top": 'use "low.npi"\nuse "low.npi"\n', "low": ONE}, "low.npi is used twice", "remove one line"),
    (
        {"top": 'use "low.npi"\nworld w is scratchpad:\n    row A of bit\n', "low": ONE},
        "a second world w; low.npi declares pad",
        "remove it",
    ),
    (
        {
            "top": 'use "a.npi"\nuse "b.npi"\nprogram X:\n    GO\n',
            "a": ONE,
            "b": 'use "a.npi"\nprogram GO:\n    pass\n',
        },
        "GO can mean a.GO or b.GO",
        "write which: a.GO",
    ),
    (
        {"top": 'use "low.npi"\nuse "d/low.npi"\n', "low": ONE, "d__low": "program B:\n    pass\n"},
        "d/low.npi and low.npi have the same name",
        "rename one of the files",
    ),
]


@pytest.mark.parametrize(("texts", "message", "fix"), USES, ids=range(len(USES)))
def test_wrong_use_has_its_message(tmp_path: Path, texts: dict[str, str], message: str, fix: str) -> None:
    write(tmp_path, **texts)
    with pytest.raises(LanguageError) as caught:
        dsl.load(tmp_path / "top.npi")
    assert message in caught.value.message
    assert fix in caught.value.fix
    held = {path.relative_to(tmp_path).as_posix(): path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.npi")}
    with pytest.raises(LanguageError) as in_memory:
        dsl.loads(held["top.npi"], path="top.npi", texts=held)
    assert [(e.message, e.fix) for e in in_memory.value.errors] == [(e.message, e.fix) for e in caught.value.errors]


def test_files_held_in_memory_stand_in_place_of_those_in_the_folder(tmp_path: Path) -> None:
    top = 'use "deep/low.npi"\nprogram X:\n    GO\n'
    write(tmp_path, top=top, deep__low=ONE.replace("GO", "WENT"))
    programs = dsl.loads(top, path=str(tmp_path / "top.npi"), folder=tmp_path, texts={"deep/low.npi": ONE})
    assert programs.sources == (("deep/low.npi", ONE), ("top.npi", top))
    assert dsl.loads(top, path="top.npi", texts={"deep/low.npi": ONE}).digest == programs.digest
    with pytest.raises(LanguageError, match="there is no program or primitive GO"):
        dsl.load(tmp_path / "top.npi")


def test_an_error_in_a_used_file_names_that_file(tmp_path: Path) -> None:
    write(tmp_path, low=PAD + "program GO:\n    ACT(PP, LEFT)\n", top='use "low.npi"\n')
    with pytest.raises(LanguageError, match=r"low\.npi:8:9: NPI068: there is no pointer or parameter PP"):
        dsl.load(tmp_path / "top.npi")


def test_a_symbolic_link_cannot_lead_outside(tmp_path: Path) -> None:
    write(tmp_path, inner__top='use "low.npi"\n', low=ONE)
    (tmp_path / "inner" / "low.npi").symlink_to(tmp_path / "low.npi")
    with pytest.raises(LanguageError, match="lies outside the folder"):
        dsl.load(tmp_path / "inner" / "top.npi")


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "binary.npi").write_bytes(b"program \xff\xfe")
    with pytest.raises(ValueError, match=r"binary\.npi: not a program file: byte 8 is not UTF-8"):
        dsl.load(tmp_path / "binary.npi")
    with pytest.raises(ValueError, match=r"none\.npi: cannot be read"):
        dsl.load(tmp_path / "none.npi")
