"""Layout of program files: the same tree, the same comments, the same groups of lines, and a second time no change."""

import re
import stat
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl.errors.error import LanguageError
from dsl.formatting.formatter import WIDTH, format_file, format_text
from dsl.formatting.printer import format_tree
from dsl.text import syntax as s
from dsl.text.parse import parse
from npi.cli.main import main
from tests.dsl.text.test_parse import trees
from tests.support.paths import ROOT

PROGRAMS = sorted((ROOT / "programs").rglob("*.npi"))

REMARKS = ["#", "# why", "#close", "## head", "#!odd", '# "quoted" (', "# é\x85 ", "#\ttab"]

PIECE = re.compile(r'"(?:\\.|[^"\\\n])*"|#[^\n]*|\n|[ \t]+|[^\s"#]+')
"""Strings, comments, line ends, spaces, other text: enough to find what is a comment without the parser."""


def comments(text: str) -> list[str]:
    """The comments of a text in order, apart from the spaces around them."""
    return ["#" + piece[1:].strip() for piece in PIECE.findall(text) if piece.startswith("#")]


def noisy(tree: s.File, random: Random) -> str:
    """A text of a tree with comments, empty lines, other indentation and spaces, and brackets over several lines."""
    step, lines = random.randint(1, 5), []
    for line in format_tree(tree).split("\n"):
        while random.random() < 0.2:
            blank, remark = random.choice(["", "  "]), " " * random.choice([0, 2, 4, 7]) + random.choice(REMARKS)
            lines.append(random.choice([blank, remark]))
        depth = (len(line) - len(line.lstrip(" "))) // 4
        lines.append(" " * (depth * step) + mangled(line.strip(" "), random))
        if random.random() < 0.3:
            lines[-1] += " " * random.randint(0, 9) + random.choice(REMARKS)
    return random.choice(["\n", "\r\n"]).join(lines)


def mangled(line: str, random: Random) -> str:
    """A line with other spaces; inside brackets also with line ends and comments."""
    found, level = "", 0
    for piece in re.findall(r'"(?:\\.|[^"\\])*"|[ ]+|\w+|\.\.|[=!<>]=|.', line):
        level += (piece in "([") - (piece in ")]")
        found += random.choice([" ", "  ", "\t"]) if piece.isspace() else piece
        if level and piece in "([,":
            found += random.choice(["", "", "", " ", "\n", " # in\n  ", "\n# own\n\n    "])
    return found


@settings(max_examples=120)
@given(trees, st.integers(0, 2**32))
def test_meaning_and_comments_stay_and_a_second_time_changes_nothing(tree: s.File, seed: int) -> None:
    # red when a comment is dropped in tidy.read_items, or a depth is computed from what was written only
    text = noisy(tree, Random(seed))
    found = format_text(text)
    assert parse(found) == tree == parse(text)
    assert comments(found) == comments(text)
    assert format_text(found) == found
    assert not re.search(r"[ \t]\n|\n\n\n|^\n|\n\n$", found)


@settings(max_examples=100)
@given(trees)
def test_a_written_tree_is_formatted_already(tree: s.File) -> None:
    # two ways to the canonical form: from the tree, and from the tokens
    text = format_tree(tree)
    if all(len(line) <= WIDTH for line in text.split("\n")):
        assert format_text(text) == text


@settings(max_examples=250)
@given(st.text(st.sampled_from('program A:\n    ifwhle()[]"=<.,+#0') | st.characters(), max_size=60))
def test_any_text_is_read_and_formatted_or_refused(text: str) -> None:
    try:
        tree = parse(text)
    except LanguageError:
        with pytest.raises(LanguageError):
            format_text(text)
    else:
        assert parse(format_text(text)) == parse(format_tree(tree)) == tree


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_shipped_programs_are_formatted(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert format_text(text) == text
    assert parse(format_tree(parse(text))) == parse(text)
    wild = re.sub(r"^ +", lambda found: " " * (len(found[0]) // 2), text, flags=re.MULTILINE)
    wild = re.sub(r"^( *ACT\()", r"\1 ", wild, flags=re.MULTILINE)
    assert parse(format_text(wild)) == parse(text)
    assert comments(format_text(wild)) == comments(text)


CASES = {
    "spaces": ("program  A( p :pointer )  'd' :\n  B . C( 1 ,-2 )\n".replace("'", '"'), None),
    "a sign and a difference": (
        "program A:\n  while - P-3 == -(4) -items:\n    B\n",
        "program A:\n    while -P - 3 == -(4) - items:\n        B\n",
    ),
    "brackets that are not needed stay": (
        "task t:\n expect ((a)+(b*c))==d\n",
        "task t:\n    expect ((a) + (b * c)) == d\n",
    ),
    "one empty line between parts, one at most in a body, none at its begin": (
        "\n\nuse 'a'\nuse 'b'\nprogram A:\n\n\n    B\n\n\n    C\n\n\n\nprogram D:\n    E\n\n\n".replace("'", '"'),
        "use 'a'\nuse 'b'\n\nprogram A:\n    B\n\n    C\n\nprogram D:\n    E\n".replace("'", '"'),
    ),
    "a comment goes with what follows": (
        "program A:\n# of B\n    B\n      # of C\n    C\n# of D\nprogram D:\n    E\n",
        "program A:\n    # of B\n    B\n    # of C\n    C\n\n# of D\nprogram D:\n    E\n",
    ),
    "a comment at the end of a block stays in it": (
        "program A:\n  while B:\n    C\n    # inner\n  # outer\n# top\n\nprogram D:\n  E\n  # end",
        "program A:\n    while B:\n        C\n        # inner\n    # outer\n# top\n\nprogram D:\n    E\n    # end\n",
    ),
    "comments in one column stay in one column": (
        "program A:\n  B( 1 )    # one\n  CCCCCC    # two\n  D # three\n",
        "program A:\n    B(1)    # one\n    CCCCCC  # two\n    D  # three\n",
    ),
    "comments that were pushed away are pushed together": (
        "program A:\n B #one\n CC#two\n",
        "program A:\n    B   # one\n    CC  # two\n",
    ),
    "comments far to the right stay there": (
        "program A:\n    B             # one\n\n    while C:      # two\n        D         # three\n",
        "program A:\n    B             # one\n\n    while C:      # two\n        D         # three\n",
    ),
    "brackets are joined": (
        "program A:\n    B(1,\n\n      2,\n  3\n )\n",
        "program A:\n    B(1, 2, 3)\n",
    ),
    "comments inside brackets keep them apart": (
        "program A:\n    B(1, # one\n      # alone\n      2)  # end\n    C\n",
        "program A:\n    B(1,  # one\n            # alone\n            2)  # end\n    C\n",
    ),
    "line ends of Windows": ("program A:\r\n    B  # b\r\n\r\n    C", "program A:\n    B  # b\n\n    C\n"),
    "nothing": ("", ""),
    "only comments": ("\n\n  # a\n\n\n#b\n\n", "# a\n\n# b\n"),
}


@pytest.mark.parametrize("name", CASES)
def test_layout(name: str) -> None:
    text, expected = CASES[name]
    if expected is None:
        expected = 'program A(p: pointer) "d":\n    B.C(1, -2)\n'
    assert format_text(text) == expected
    assert format_text(expected) == expected


def test_long_lines_are_broken_inside_brackets() -> None:
    items = ", ".join(["100"] * 40)
    text = f"task t(a: list of 0..9):\n    A = [{items}]\n    expect sum(a) == 1\n"
    rows = format_text(text).splitlines()
    assert all(len(row) <= WIDTH for row in rows)
    assert rows[1].startswith("    A = [100, 100") and rows[2].startswith("            100, ")  # noqa: PT018
    assert len(rows) == 4
    assert parse(format_text(text)) == parse(text)
    assert format_text(format_text(text)) == format_text(text)


UGLY = "program A:   \n  B( 1 )# b\n"
NEAT = "program A:\n    B(1)  # b\n"


def test_files_are_written_and_keep_their_mode(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    ugly, neat, link = folder / "ugly.npi", folder / "neat.npi", tmp_path / "link.npi"
    ugly.write_text(UGLY)
    neat.write_text(NEAT)
    ugly.chmod(0o640)
    link.symlink_to(ugly)
    before = neat.stat()
    assert main(["fmt", str(link), str(neat)]) == 0
    assert ugly.read_text() == NEAT
    assert stat.S_IMODE(ugly.stat().st_mode) == 0o640
    assert link.is_symlink()
    assert (neat.stat().st_mtime_ns, neat.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert capsys.readouterr().out == f"{link}\n"
    assert sorted(path.name for path in folder.iterdir()) == ["neat.npi", "ugly.npi"]


def test_check_and_diff_write_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.npi"
    file.write_text(UGLY)
    assert main(["fmt", "--check", str(tmp_path)]) == 1
    assert capsys.readouterr().out == f"{file}\n"
    assert main(["fmt", "--diff", str(file)]) == 0
    out = capsys.readouterr().out
    assert "-  B( 1 )# b" in out
    assert "+    B(1)  # b" in out
    assert main(["fmt", "--check", "--diff", str(file)]) == 1
    assert file.read_text() == UGLY
    file.write_text(NEAT)
    assert main(["fmt", "--check", str(file)]) == 0


def test_a_file_that_does_not_parse_is_left_and_the_others_are_done(tmp_path, capsys) -> None:
    (tmp_path / "a.npi").write_text("program A\n    B\n")
    (tmp_path / "b.npi").write_text(UGLY)
    assert main(["fmt", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert "a.npi:1:10: " in err
    assert "does not end in a colon" in err
    assert (tmp_path / "a.npi").read_text() == "program A\n    B\n"
    assert (tmp_path / "b.npi").read_text() == NEAT
    assert main(["fmt", str(tmp_path / "none.npi")]) == 2
    (tmp_path / "empty").mkdir()
    assert main(["fmt", str(tmp_path / "empty")]) == 2


def test_a_file_of_windows_keeps_its_line_ends() -> None:
    layout = "program A:\n    B  # b\n\n    C\n"
    windows = layout.replace("\n", "\r\n")
    assert format_file(layout) == layout
    assert format_file(windows) == windows
    assert format_file(windows.replace("    C", "  \r\n    C")) == windows
    assert format_file(windows.replace("\r\n", "\n", 1)) == layout, "mixed ones are made one"
