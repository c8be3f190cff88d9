"""More wrong programs and what is said of them, where one code has several messages."""

import pytest

import dsl

PAD = "world pad is scratchpad:\n    row A, B of digit\nprogram P:\n    ACT(A, LEFT)\n    ACT(B, WRITE, 1)\n"
TASK = PAD + "task t(a: number, b: number):\n    A = digits(a)\n    B = digits(b)\n    run P\n"

TABLE = [
    # a name with letters that names do not have
    (PAD + "program ZÄHL:\n    P\n", "NPI006", "the letter 'Ä' in a name", "names have the letters a to z and A to Z"),
    (PAD + "program Q:\n    Ω\n", "NPI006", "the letter 'Ω' in a name", 'quote it where a symbol is meant: "Ω"'),
    (PAD + "program Q:\n    P §\n", "NPI006", "the character '§' means nothing here", "remove it, or quote it"),
    # two inputs of different sizes, and one whose sizes are in two lines
    (
        TASK + "    expect A == B\n    train a of 1..3\n    train b of 1..5\n",
        "NPI109", "a second train line", "all inputs of a problem are drawn with one size: train a, b of 1..20",
    ),
    (
        TASK + "    expect A == B\n    train a, b of 1..3\n    train a, b of 5\n",
        "NPI109", "a second train line", "join them: 1..20, 100",
    ),
    # a function that is like none, and one that is like one
    (TASK + "    expect lenght(A) == a\n", "NPI119", "there is no function lenght", "did you mean len"),
    (TASK + "    expect h(a) == 3\n", "NPI119", "there is no function h", "the nearest are "),
    # only the start of a row is wrong: its pointers and what stands on it are not missed
    (
        "world list is scratchpad:\n    row A of 0..9 at left\n    pointer P, Q on A\nprogram X:\n    if P > 1:\n"
        "        ACT(Q, LEFT)\ntask t(a: list of 0..9):\n    A = a\n    run X\n    expect len(A) == at(P)\n",
        "NPI049", "this row has pointers of its own, and a start", "write the start behind each pointer",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "message", "fix"), TABLE, ids=range(len(TABLE)))
def test_one_mistake_is_told_in_these_words(text: str, code: str, message: str, fix: str) -> None:
    found = dsl.diagnose(text).errors
    assert {error.code for error in found} == {code}
    assert found[-1].message == message
    assert found[-1].fix.startswith(fix) or fix in found[-1].fix


def test_a_world_that_cannot_be_made_is_told_at_the_row_that_makes_it_so() -> None:
    world = 'world pad is scratchpad:\n    row B of bit\n    row A of "TO" or 0..1\n    jump TO\n'
    text = world + "program X:\n    ACT(B, LEFT)\n"
    (error,) = dsl.diagnose(text).errors
    assert (error.code, error.line) == ("NPI044", 4)


def test_an_expectation_without_a_value_says_so() -> None:
    task = dsl.loads(
        TASK + "    expect index(digits(a), 7) == 0 and number(A) == index(digits(b), 8)\n    train a, b of 2\n"
    )
    (task,) = task.tasks
    assert task.expected(task.parse(["12", "34"])) == (
        "index(digits(a), 7) == 0 (it has no value: 7 is not in the list), "
        "number(A) = nothing (it has no value: 8 is not in the list)"
    )
    assert task.expected(task.parse(["17", "38"])) == "index(digits(a), 7) == 0, number(A) = 1"


def test_a_task_that_reads_the_world_in_one_line_is_not_warned_of() -> None:
    blind = TASK + "    expect a == a\n    expect b < 1\n    train a, b of 1\n"
    assert [warning.code for warning in dsl.diagnose(blind).warnings if warning.code == "NPI205"] == ["NPI205"]
    seeing = blind.replace("b < 1", "number(A) == b")
    assert "NPI205" not in {warning.code for warning in dsl.diagnose(seeing).warnings}


EPISODES = "world arms is bandit(arms: 2)\nprogram P:\n    maximise reward over 3 steps\n"


def test_a_task_is_warned_of_where_it_leaves_an_episode_to_be_0() -> None:
    sized = "task t(a: number):\n    run P\n    expect TRIAL == [3] and a >= 0\n    train a of 1\n"
    laid = sized.replace("number):", "number, episode: 0..9):\n    EPISODE = digits(episode)")
    drawn = "task t:\n    run P\n    expect TRIAL == [3]\n    train\n"
    found = [dsl.diagnose(EPISODES + task).warnings for task in (sized, laid, drawn)]
    assert [[warning.code for warning in warnings] for warnings in found] == [["NPI206"], [], []]


FAR = 'world w is scratchpad:\n    row S of "far" or 0..9\nprogram P:\n'


@pytest.mark.parametrize(
    "body",
    [
        'if S != "far" and S < 9:\n        ACT(S, LEFT)',
        'if S == "far" or S > 3:\n        ACT(S, LEFT)',
        'if S == "far":\n        pass\n    elif S > 3:\n        ACT(S, LEFT)',
        'if S != "far":\n        ACT(S, WRITE, (S + 1) mod 10)',
        'if (0 if S == "far" else S) > 3:\n        ACT(S, LEFT)',
    ],
)
def test_a_symbol_that_a_condition_keeps_away_needs_no_number(body: str) -> None:
    assert dsl.diagnose(FAR + f"    {body}\n").errors == ()


@pytest.mark.parametrize("condition", ["S < 9", 'S < 9 and S != "far"', 'S == "far" and S > 3', 'S != "far" or S > 3'])
def test_a_symbol_that_none_keeps_away_is_told_with_its_place(condition: str) -> None:
    (error,) = dsl.diagnose(FAR + f"    if {condition}:\n        ACT(S, LEFT)\n").errors
    place = condition.rindex("S >") if "S >" in condition else condition.index("S <")
    assert (error.code, error.line, error.column) == ("NPI085", 4, 8 + place)
    assert error.message == "far is not a number, and numbers are needed here when S = far"
