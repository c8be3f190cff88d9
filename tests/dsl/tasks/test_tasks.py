"""Tasks: what is drawn, laid out, judged, and said to people; numbers of any length."""

import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import dsl
from dsl.tasks.values import digits_of, number_from_digits, show
from tests.support.paths import PROGRAMS

PAD = """world pad is scratchpad:
    row IN, OUT of digit
    row A of 0..9
    pointer P on A
    row S of "(" or ")" or blank at left
program X(p: IN or P, v: 0..3):
    ACT(p, RIGHT)
program GO:
    ACT(P, RIGHT)
"""


def make(*lines: str, inputs: str = "", where: str = "") -> dsl.Task:
    inner = "".join(f"    {line}\n" for line in lines)
    return dsl.loads(f"{PAD}task t({inputs}){where}:\n{inner}").tasks[0]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def add() -> dsl.Task:
    return dsl.load(PROGRAMS / "addition.npi").task("add")


@pytest.fixture(scope="module")
def sort() -> dsl.Task:
    return dsl.load(PROGRAMS / "bubblesort.npi").task("sort")


@given(st.integers(0, 10**700), st.sampled_from([2, 3, 10, 16, 36]))
def test_digits_and_number_are_inverse(number: int, base: int) -> None:
    digits = digits_of(number, base)
    assert all(0 <= digit < base for digit in digits)
    assert digits[0] > 0 or digits == [0]
    assert sum(digit * base**place for place, digit in enumerate(reversed(digits))) == number
    assert number_from_digits(digits, base) == number


@pytest.mark.parametrize("number", [0, 9, 10, 99, 10**511, 10**512 - 1, 10**512, 10**513, 7**3000])
def test_digits_at_the_edges_of_chunks(number: int) -> None:
    text = str(number)
    assert digits_of(number) == [int(character) for character in text]


def test_long_numbers_leave_pythons_limit_alone(add: dsl.Task) -> None:
    limit = sys.get_int_max_str_digits()
    (problem,) = add.draw(20_000, 1, generator=seeded(), spread=False)
    assert sys.get_int_max_str_digits() == limit
    a, b = problem.values["a"], problem.values["b"]
    assert isinstance(b, int)
    assert 10**19_999 <= a < 10**20_000
    total = a + b
    out = []
    while total:  # digit chunks by an independent way
        total, chunk = divmod(total, 10**500)
        out = [*map(int, str(chunk).zfill(500)), *out]
    while out[0] == 0:
        out = out[1:]
    assert add.judge(problem, {"OUT": out})
    out[777] = (out[777] + 1) % 10
    assert not add.judge(problem, {"OUT": out})
    assert f"({len(out)} digits)" in add.expected(problem)


def test_numbers_end_in_the_last_column(add: dsl.Task) -> None:
    problem = add.parse(["96", "125"])
    assert problem.layout == {"IN1": [10, 9, 6], "IN2": [1, 2, 5]}
    assert problem.values == {"a": 96, "b": 125}
    assert problem.size == 3
    table = dsl.load(PROGRAMS / "addition.npi").table
    assert (table.signatures[problem.program].name, problem.arguments) == ("addition.ADD", (0, 0, 0))


def test_lists_begin_in_the_first_column(sort: dsl.Task) -> None:
    assert sort.parse(["3,1,2"]).layout == {"A": [3, 1, 2]}
    assert sort.parse(["[3, 1, 2]"]).values == {"items": (3, 1, 2)}
    assert sort.parse(["312"]).values == {"items": (3, 1, 2)}
    assert sort.parse(["7"]).values == {"items": (7,)}


def test_test_problems_have_exactly_their_size(add: dsl.Task) -> None:
    for size in (1, 2, 7):
        for problem in add.draw(size, 200, generator=seeded(size), spread=False):
            assert [len(str(problem.values[name])) for name in "ab"] == [size, size]
            assert problem.size == size
    single = {problem.values["a"] for problem in add.draw(1, 300, generator=seeded(), spread=False)}
    assert single == set(range(10)), "0 is a number of one digit"


def test_training_problems_have_one_input_of_their_size(add: dsl.Task) -> None:
    problems = add.draw(6, 2000, generator=seeded(), spread=True)
    lengths = [tuple(len(str(problem.values[name])) for name in "ab") for problem in problems]
    assert all(max(pair) == 6 for pair in lengths)
    # a is the exact one half the time, and of the other half it keeps the size half the time or draws it: 1/6 of 1/2
    share = sum(a == 6 for a, _ in lengths) / len(lengths)
    assert abs(share - (1 / 2 + 1 / 4 + 1 / 4 / 6)) < 0.04
    assert {min(pair) for pair in lengths} == {1, 2, 3, 4, 5, 6}


def test_drawing_depends_on_the_generator_alone(add: dsl.Task, sort: dsl.Task) -> None:
    before = torch.get_rng_state()
    one, two, other = (add.draw(5, 20, generator=seeded(s), spread=True) for s in (1, 1, 2))
    assert one == two
    assert one != other
    sort.draw(5, 3, generator=seeded(), spread=False)
    assert torch.equal(torch.get_rng_state(), before)


def test_sizes_are_those_of_the_text(add: dsl.Task, sort: dsl.Task) -> None:
    assert add.train_sizes == tuple(range(1, 21))
    assert add.test_sizes == (1, 10, 100, 1000)
    assert sort.test_sizes == (5, 20, 60, 120)
    task = make("run GO", "expect 1 == 1", "test a of 3, 1..2, 2", inputs="a: number, k: 0..3")
    assert (task.train_sizes, task.test_sizes) == ((), (3, 1, 2))
    assert make("run GO", "expect 1 == 1", inputs="k: 0..3").train_sizes == (1,)


@pytest.mark.parametrize(
    ("lines", "train", "test", "traces"),
    [
        ((), (1,), (1,), 0),
        (("test",), (), (1,), 0),
        (("train",), (1,), (), 0),
        (("train 40 traces",), (1,), (), 40),
        (("train 40 traces", "test"), (1,), (1,), 40),
    ],
)
def test_tasks_without_sizes(lines: tuple[str, ...], train: object, test: object, traces: int) -> None:
    task = make("run GO", "expect 1 == 1", *lines, inputs="k: 0..3")
    assert (task.train_sizes, task.test_sizes, task.traces) == (train, test, traces)


def test_the_name_of_a_row_stands_for_its_symbols() -> None:
    task = make("S = [s]", "run GO", 'expect S == [s] and k != "("', inputs="s: S, k: 0..3 or S")
    assert task.inputs[0].symbols == ("(", ")")
    assert task.inputs[1].symbols == ("0", "1", "2", "3", "(", ")")


def test_where_keeps_what_it_says() -> None:
    task = make("IN = digits(a - b)", "run GO", "expect 1 == 1", inputs="a: number, b: number", where=" where a >= b")
    for problem in task.draw(2, 50, generator=seeded(), spread=True):
        assert problem.values["a"] >= problem.values["b"]  # type: ignore[operator]
    with pytest.raises(ValueError, match=r"do not satisfy its condition \(a >= b\)"):
        task.parse(["1", "2"])
    never = make("run GO", "expect 1 == 1", inputs="a: number", where=" where a < 0")
    with pytest.raises(ValueError, match="0 problems satisfy its condition"):
        never.draw(2, 5, generator=seeded(), spread=False)


def test_scalars_and_arguments() -> None:
    task = make("run X(IN, k)", "expect at(IN) == 1", inputs="k: 0..3")
    table_tokens = task.tokens
    drawn = task.draw(1, 100, generator=seeded(), spread=True)
    assert {problem.values["k"] for problem in drawn} == {0, 1, 2, 3}
    for problem in drawn:
        assert [table_tokens[token] for token in problem.arguments] == ["IN", str(problem.values["k"]), "-"]
    wide = make("run X(P, k + 1)", "expect 1 == 1", inputs="k: 0..3")
    with pytest.raises(ValueError, match="argument v of its program cannot be 4"):
        wide.parse(["3"])
    with pytest.raises(ValueError, match="input k is 7"):
        wide.parse(["7"])


def test_other_bases_and_layouts() -> None:
    task = make(
        "IN = digits(a, 2)", "OUT = digits(5)", "A = reversed(digits(a))", "run GO", "expect 1 == 1", inputs="a: number"
    )
    assert task.parse(["12"]).layout == {"IN": [1, 1, 0, 0], "OUT": [10, 10, 10, 5], "A": [2, 1]}
    task = make('S = ["(", blank, ")"]', "A = [1, k]", "run GO", "expect 1 == 1", inputs="k: 0..3")
    assert task.parse(["3"]).layout == {"S": [0, 2, 1], "A": [1, 3]}
    binary = make("IN = digits(a, 2)", "run GO", "expect 1 == 1", "test a of 4", inputs="a: number base 2")
    assert all(8 <= p.values["a"] < 16 for p in binary.draw(4, 50, generator=seeded(), spread=False))  # type: ignore[operator]
    with pytest.raises(ValueError, match=r"row IN cannot hold 12, it holds 0\.\.9 or blank"):
        make("IN = [a]", "run GO", "expect 1 == 1", inputs="a: number").parse(["12"])


def expects(condition: str, inputs: str = "a: number, items: list of 0..9") -> dsl.Task:
    return make("run GO", f"expect {condition}", inputs=inputs)


READING = {"IN": [1, 2], "OUT": [4, 10, 5], "A": [3, 1, 2], "S": [0, 1], "under(P)": [1], "at(P)": [-2], "at(IN)": [4]}
"""12 in IN, a gap in OUT, 3 1 2 in A, () in S."""

CONDITIONS = [
    ("number(IN) == a", True),
    ("number(IN) == a + 1", False),
    ("number(OUT) == 405", False),  # a gap is no number
    ("number(OUT) != 405", False),  # nor does it differ from one
    ("OUT == [4, blank, 5]", True),
    ("A == items", True),
    ("A != items", False),
    ("sorted(A) == [1, 2, 3]", True),
    ("reversed(A) == [2, 1, 3]", True),
    ("max(A) == 3 and min(A) == 1", True),
    ("max(a, 5, 40) == 40", True),
    ("sum(A) == 6", True),
    ("len(A) == 3 or 1 div 0 == 1", True),
    ("1 div 0 == 1", False),
    ("count(A, 3) == 1", True),
    ("gcd(a, 18) == 6", True),
    ("abs(3 - a) == 9", True),
    ("a div 5 == 2 and a mod 5 == 2", True),
    ("-a div 5 == -3", True),
    ("under(P) == 1 and at(P) == -2", True),
    ('S == ["(", ")"]', True),
    ("number(IN, 3) == 5", True),
    ("number(IN, 2) == 4", False),  # 2 is no digit in base 2
    ("A == ([3, 1, 2] if a > 3 else [])", True),
    ("not (a < 12)", True),
    ("[1, 2] < A", True),
    ("S < A", False),  # words and numbers have no order
    ("max([]) == 1", False),
]


@pytest.mark.parametrize(("condition", "right"), CONDITIONS)
def test_expectations(condition: str, right: bool) -> None:
    task = expects(condition)
    assert task.judge(task.parse(["12", "3,1,2"]), READING) is right


def test_all_expectations_must_hold() -> None:
    task = make("run GO", "expect A == [3, 1, 2]", "expect at(P) == 0", inputs="k: 0..3")
    problem = task.parse(["1"])
    assert not task.judge(problem, READING)
    assert task.judge(problem, {**READING, "at(P)": [0]})


def test_words_for_people(add: dsl.Task) -> None:
    problem = add.parse(["96", "125"])
    assert add.expected(problem) == "number(OUT) = 221"
    assert add.result({"OUT": [2, 2, 1]}) == "number(OUT) = 221"
    assert add.result({"OUT": []}) == "number(OUT) = nothing"
    task = make("run GO", "expect A == items and at(P) > a", inputs="a: number, items: list of 0..9")
    assert task.expected(task.parse(["1", "2"])) == "A = [2], at(P) > a"
    assert task.result(READING) == "A = [3, 1, 2], at(P) = -2"
    assert show(10**300).endswith("(301 digits)")
    assert show(-12) == "-12"
    assert show(tuple(range(400))).endswith("99, … (400 items)]")


BAD = [
    ({"a": -1, "b": 2}, "input a is -1; give a natural number"),
    ({"a": "7", "b": 2}, "input a is 7; give a natural number"),
    ({"a": True, "b": 2}, "input a is yes; give a natural number"),
    ({"a": 1}, "input b is missing; give a, b"),
    ({"a": 1, "bb": 2}, "has no input bb; did you mean b?"),
]


@pytest.mark.parametrize(("values", "message"), BAD)
def test_wrong_values_are_refused(add: dsl.Task, values: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        add.problem(values)
    assert message in str(caught.value)


WORDS = [
    (["96"], "takes 2 inputs (a, b) and is given 1; write for example: 96 96"),
    (["9x", "1"], "input a is '9x'; give a natural number, for example 96"),
    (["-1", "1"], "input a is '-1'; give a natural number"),
    (["", "1"], "input a is ''"),
    (["1", "2", "3"], "takes 2 inputs (a, b) and is given 3"),
    (["a=1", "bb=2"], "has no input bb; did you mean b?"),
    (["1", "a=2"], "input a is given twice, as 1 and as 2"),
    (["b=1", "2"], "2 comes behind b=1 and has no name; write for example a=2, or put it first"),
    (["a=1"], "takes 2 inputs (a, b) and is given 1"),
    (["a=", "b=1"], "input a is ''"),
]


@pytest.mark.parametrize(("words", "message"), WORDS)
def test_wrong_words_are_refused(add: dsl.Task, words: list[str], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        add.parse(words)
    assert message in str(caught.value)


@pytest.mark.parametrize("words", [["96", "125"], ["a=96", "b=125"], ["b=125", "a=96"], ["96", "b=125"]])
def test_inputs_can_be_named(add: dsl.Task, words: list[str]) -> None:
    assert add.parse(words) == add.problem({"a": 96, "b": 125})


def test_a_symbol_with_an_equals_sign_is_no_name() -> None:
    task = make("run GO", "expect len(A) == 1", inputs='a: list of "x" or "=" or "y", x: list of "y" or "="')
    assert task.parse(["y=x", "=y"]).values == {"a": ("y", "=", "x"), "x": ("=", "y")}
    assert task.parse(["a=y=x", "x=="]).values == {"a": ("y", "=", "x"), "x": ("=",)}


def test_an_example_can_be_run() -> None:
    task = make("run GO", "expect len(A) == a", inputs="a: 0..9, b: -9..9", where=" where a > 7 and b < -6")
    assert task.parse(task.example().split()).values["b"] < -6


@pytest.mark.parametrize(
    ("word", "message"),
    [("", "items is ()"), ("3,x", "holds 'x'; its items are 0..9"), ("3,12", "holds 12"), ("[]", "items is ()")],
)
def test_wrong_lists_are_refused(sort: dsl.Task, word: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        sort.parse([word])
    assert message in str(caught.value)


def test_wrong_sizes_are_refused(add: dsl.Task) -> None:
    with pytest.raises(ValueError, match="size 0, count 1; sizes begin at 1"):
        add.draw(0, 1, generator=seeded(), spread=False)
    assert add.draw(3, 0, generator=seeded(), spread=False) == []


SHORT = """world arms is bandit(arms: 2)
program GO:
    PULL(1)
task play(family: "easy" or "hard"):
    FAMILY = [family]
    run GO
    expect TRIAL == [1]
    train 40 traces
    test
"""


def test_a_task_of_episodes_draws_what_the_same_task_draws_that_names_them() -> None:
    # red when the episode is drawn behind the other inputs, or of other sizes
    long = SHORT.replace("(family", "(episode: number, family").replace(
        "    run", "    EPISODE = digits(episode)\n    run"
    )
    sizes = "    train episode of 8 digits\n    test episode of 9 digits\n"
    short, named = (
        dsl.loads(text).tasks[0] for text in (SHORT, long.replace("    train 40 traces\n    test\n", sizes))
    )
    assert (short.train_sizes, short.test_sizes, short.traces) == ((8,), (9,), 40)
    for size in (8, 9):
        drawn, expected = (task.draw(size, 20, generator=seeded(5), spread=True) for task in (short, named))
        assert drawn == expected
        assert {len(problem.layout["EPISODE"]) for problem in drawn} == {size}


@pytest.mark.parametrize(
    ("inputs", "line"),
    [("", "EPISODE = [7]"), ('episode: "easy" or "hard"', "FAMILY = [episode]"), ("k: number", "PRIOR = digits(k)")],
)
def test_a_task_that_says_what_it_is_of_draws_no_other_episode(inputs: str, line: str) -> None:
    head = f"task play({inputs})" if inputs else "task play"
    text = SHORT.replace('task play(family: "easy" or "hard")', head).replace("FAMILY = [family]", line)
    task = dsl.loads(text.replace("    train 40 traces\n    test\n", "")).tasks[0]
    assert [item.name for item in task.inputs] == [word.split(":")[0] for word in [inputs] if word]
