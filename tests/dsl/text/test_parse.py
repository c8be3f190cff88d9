"""Text → tree → text: every tree that can be written is read back the same, and wrong text says why."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dsl
from dsl.errors.error import LanguageError, Source
from dsl.errors.examples import EXAMPLES
from dsl.formatting.printer import format_tree
from dsl.text import syntax as s
from dsl.text.parse import parse, parse_all
from dsl.text.recovery import LOST
from dsl.text.syntax import nodes
from tests.support.big_programs import big_text
from tests.support.paths import ROOT

PROGRAMS = sorted((ROOT / "programs").glob("*.npi"))

names = st.sampled_from(["A", "B1", "_c", "LEFT", "number_", "iff", "first"])
symbols = st.sampled_from(["", "(", '"', "\\", '\\"', "#", " x ", "é", "blank", "\x85"])
comparisons = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
operators = comparisons | st.sampled_from(["+", "-", "*", "div", "mod", "and", "or"])


def tuples(elements: st.SearchStrategy, least: int = 0, most: int = 3) -> st.SearchStrategy:
    return st.lists(elements, min_size=least, max_size=most).map(tuple)


leaves = (
    st.builds(s.Name, names)
    | st.builds(s.Number, st.integers(0, 999))
    | st.builds(s.Text, symbols)
    | st.builds(s.Blank)
)
expressions = st.recursive(
    leaves,
    lambda inner: (
        st.builds(s.Binary, operators, inner, inner)
        | st.builds(s.Unary, st.sampled_from(["-", "not"]), inner)
        | st.builds(s.Choice, inner, inner, inner)
        | st.builds(s.Apply, names, tuples(inner))
        | st.builds(s.Items, tuples(inner))
    ),
    max_leaves=6,
)
bounds = st.tuples(st.integers(-9, 9), st.integers(-9, 9))
domains = st.builds(
    s.Domain,
    tuples(
        st.builds(s.Name, names)
        | bounds.map(lambda b: s.DomainRange(*b))
        | st.builds(s.Text, symbols)
        | st.builds(s.Blank),
        least=1,
    ),
)
calls = st.builds(s.Call, names | st.tuples(names, names).map(".".join), tuples(expressions))
statements = st.recursive(
    calls | st.builds(s.Pass) | st.builds(s.Return),
    lambda inner: (
        st.builds(s.While, expressions, tuples(inner, 1))
        | st.builds(s.For, names, tuples(expressions, 1), tuples(inner, 1))
        | st.builds(s.If, tuples(st.builds(s.Arm, expressions, tuples(inner, 1)), 1), tuples(inner))
    ),
    max_leaves=4,
)
signals = st.builds(
    s.Signal,
    st.sampled_from(["maximise", "minimise", "imitate"]),
    names,
    st.none() | st.integers(0, 999),
    st.none() | symbols,
)
programs = st.builds(
    s.Program, names, tuples(st.builds(s.Param, names, domains)), symbols, tuples(statements, 1) | signals
)
starts = st.none() | st.sampled_from(["left", "right"])
worlds = st.builds(
    s.World,
    names,
    names,
    tuples(st.builds(s.Setting, names, st.integers(0, 99) | symbols)),
    tuples(
        st.builds(s.Row, tuples(names, 1), domains, starts)
        | st.builds(s.Pointer, tuples(names, 1), names, starts, st.booleans())
        | st.builds(s.Listing, st.sampled_from(["order", "jump"]), tuples(names, 1))
    ),
)
kinds = st.builds(s.NumberKind, st.integers(2, 36)) | st.builds(s.ListKind, domains) | domains
kinds |= st.builds(s.GraphKind, st.booleans())
sizes = st.builds(
    s.Sizes,
    st.sampled_from(["train", "test"]),
    tuples(names, 1),
    tuples(st.tuples(st.integers(0, 99), st.integers(0, 99)), 1),
    st.sampled_from(["", "digits", "items"]),
)
alone = st.builds(s.Sizes, st.just("train"), st.just(()), st.just(()), st.just(""), st.integers(0, 9999)) | st.just(
    s.Sizes("test", (), (), "")
)
task_items = (
    alone
    | st.builds(s.Layout, names, expressions)
    | st.builds(s.Run, names, tuples(expressions))
    | st.builds(s.Expect, expressions)
    | sizes
)
tasks = st.builds(
    s.Task, names, tuples(st.builds(s.Input, names, kinds)), st.none() | expressions, tuples(task_items, 1)
)
trees = st.builds(s.File, tuples(st.builds(s.Use, symbols) | worlds | programs | tasks))


@settings(max_examples=150)
@given(trees)
def test_what_is_written_is_read_back(tree: s.File) -> None:
    # red when a bracket is dropped in format.bare, or a child is lost in tree.py
    assert parse(format_tree(tree)) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a + b * c", s.Binary("+", s.Name("a"), s.Binary("*", s.Name("b"), s.Name("c")))),
        ("a - b - c", s.Binary("-", s.Binary("-", s.Name("a"), s.Name("b")), s.Name("c"))),
        ("a or b and not c", s.Binary("or", s.Name("a"), s.Binary("and", s.Name("b"), s.Unary("not", s.Name("c"))))),
        ("not a == b", s.Unary("not", s.Binary("==", s.Name("a"), s.Name("b")))),
        ("-a mod 3", s.Binary("mod", s.Unary("-", s.Name("a")), s.Number(3))),
        ("a + b >= 10", s.Binary(">=", s.Binary("+", s.Name("a"), s.Name("b")), s.Number(10))),
        ("a if b else c if d else e", s.Choice(s.Name("a"), s.Name("b"), s.Choice(*map(s.Name, "cde")))),
        ('A == "\\"" or A == "\\\\"', s.Binary("or", *(s.Binary("==", s.Name("A"), s.Text(t)) for t in ('"', "\\")))),
    ],
)
def test_binding_is_as_in_python(text: str, tree: s.Expression) -> None:
    item = parse(f"task t:\n    expect {text}\n").of(s.Task)[0].items[0]
    assert item.condition == tree


WORDS = {s.If: "if", s.While: "while", s.For: "for", s.Pass: "pass", s.Return: "return", s.Program: "program"}
WORDS |= {s.Task: "task", s.World: "world", s.Row: "row", s.Use: "use", s.Run: "run", s.Expect: "expect"}


def beginning(node: s.Node) -> str:
    """What stands where a node begins; nothing where its kind does not say."""
    if isinstance(node, s.Call | s.Apply):
        return node.name
    return node.text if isinstance(node, s.Name) else WORDS.get(type(node), "")


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_each_node_begins_where_its_text_does_also_behind_mistakes(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").split("\n")
    cut = lines.index("", 12) + 1
    mistakes = ["program BROKEN:", "    while 1 == 1:", "", "program OTHER:", "    B C"]
    broken = [*lines[:cut], *mistakes, *lines[cut:]]
    for text in (lines, broken):
        found = parse_all(Source("", "\n".join(text)))
        assert len(found.errors) == (text is broken) * 2
        named = [node for node in nodes(found.tree) if beginning(node) not in ("", LOST)]
        assert len(named) > 12
        assert all(text[node.line - 1][node.column - 1 :].startswith(beginning(node)) for node in named)


def test_what_begins_with_a_bracket_begins_at_the_bracket() -> None:
    tree = parse("program A:\n    if ((B + C) * 2 == (D)) and not (E):\n        F((1), [2])\n")
    columns = [node.column for node in nodes(tree) if isinstance(node, s.Binary)]
    assert columns == [8, 9, 9, 10], "and, ==, *, +"
    assert [node.column for node in nodes(tree) if isinstance(node, s.Name)] == [10, 14, 25, 38]


def diagnosed(text: str) -> tuple[dsl.Diagnosis, float]:
    """What is said of a text, and the CPU seconds that it takes."""
    began = time.process_time()
    return dsl.diagnose(text), time.process_time() - began


def test_a_file_of_eight_times_the_lines_takes_eight_times_as_long() -> None:
    """A quadratic step would take 64 times as long; the test leaves a factor of two for load and caches."""
    short, long = big_text(300), big_text(2_400)
    assert 7.5 < long.count("\n") / short.count("\n") < 8.5
    seconds = min(diagnosed(short)[1] for _ in range(3))
    both = [diagnosed(long) for _ in range(2)]
    assert both[0][0].errors == ()
    assert min(longer for _, longer in both) < 16 * seconds


def test_a_long_file_with_many_mistakes_takes_no_longer_than_twice() -> None:
    text = big_text(800)
    lines = text.split("\n")
    broken = [*range(20, 760, 50)]
    for number in broken:
        lines[number] = lines[number] + " )"
    right = min(diagnosed(text)[1] for _ in range(2))
    found, wrong = diagnosed("\n".join(lines))
    assert wrong < 2 * right
    assert len(found.errors) >= len(broken) - 4, "but for those in remarks and empty lines"
    assert {error.line - 1 for error in found.errors} <= set(broken)


HINTS = [(hint, text) for hint, wrong in EXAMPLES.items() for text in wrong]


@pytest.mark.parametrize(("hint", "text"), HINTS, ids=range(len(HINTS)))
def test_known_mistakes_have_their_hint(hint: tuple[str, str], text: str) -> None:
    with pytest.raises(LanguageError) as caught:
        parse(text)
    assert (caught.value.message, caught.value.fix, caught.value.code) == hint


OTHER = [
    ("progam A:\n    pass\n", 1, 1, "a line that begins with progam", "did you mean program?"),
    ("program A:\n    whlie B:\n        C\n", 2, 5, "a line that begins with whlie", "did you mean while?"),
    ("task t:\n    tran a of 1\n", 2, 5, "a line that begins with tran", "did you mean train?"),
    ("program A:\n    ACT(P, LEFT\n    B\n", 2, 8, "a bracket that is not closed", "close it with ) or ]"),
    ("program A:\n\tpass\n", 2, 1, "a tab in the indentation", "indent with spaces, four a level"),
    ('program A "x:\n    pass\n', 1, 11, "a quoted symbol that does not end", 'close it with "'),
    ("program A:\n    if B & C:\n        pass\n", 2, 10, "the character '&' means nothing here", "remove it, or quote"),
    ("program A:\n    pass\n  pass\n", 3, 3, "this line is indented by 2 spaces", "indent it by 0 or 4 spaces"),
    ("program A:\n    B\n        C\n", 3, 9, "this line is indented deeper", "indent it by 4 spaces"),
    ("    program A:\n", 1, 5, "this line is indented deeper", "indent it by 0 spaces"),
    ("program A:\n    B(1,)\n", 2, 9, "unexpected )", "what can stand here: "),
]


@pytest.mark.parametrize(("text", "line", "column", "message", "fix"), OTHER, ids=range(len(OTHER)))
def test_other_mistakes_say_where_and_what(text: str, line: int, column: int, message: str, fix: str) -> None:
    with pytest.raises(LanguageError) as caught:
        parse(text, path="x.npi")
    error = caught.value
    assert error.message.startswith(message)
    assert error.fix.startswith(fix)
    assert (error.file, error.line, error.column) == ("x.npi", line, column)
