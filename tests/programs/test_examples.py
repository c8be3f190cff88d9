"""Program files in ``examples``, ``composition`` and ``recursive``: right by their tasks and by plain Python."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from itertools import cycle, groupby, permutations
from pathlib import Path
from typing import Any, cast

import networkx as nx
import pytest
import torch

from benchmarks.universal.human_programs import CHAINS
from dsl import compile_teacher, load, loads
from dsl.callgraph.layout import call_graph
from dsl.program import ProgramSet
from dsl.tasks.task import Problem, Task
from envs.scratchpad.config import NOWHERE
from envs.spec import BLANK
from npi.core.config import CoreConfig, TrainConfig
from npi.library.library import Library
from npi.running.evaluate import run_problems, score_sizes
from npi.training.dataset import Dataset
from npi.training.validation import TaskValidator
from tests.support.graphs import digraph, follows
from tests.support.paths import PROGRAMS
from tests.support.reference_interpreter import interpret
from tests.support.tiny import objective_on, solved
from traces.generation.generate import TeacherError, record_problems
from traces.machine.lockstep import Budget, Status
from traces.recording.batch import TraceBatch
from traces.recording.unique_frames import check_rule, unique_frames

EXAMPLES, COMPOSITION, RECURSIVE = (
    sorted((PROGRAMS / name).glob("*.npi")) for name in ("examples", "composition", "recursive")
)
PATHS = {path.stem: path for path in (*EXAMPLES, *COMPOSITION, *RECURSIVE)}

Shown = Mapping[str, object]
"""Row → its content as a list, ``under P`` → what lies under a pointer, ``at P`` → its column."""


def digits(number: int, base: int = 10) -> list[int]:
    found = [number % base]
    while number := number // base:
        found.insert(0, number % base)
    return found


def zeros_off(row: object) -> list[int]:
    """A row of digits without the zeros in front."""
    while len(row) > 1 and row[0] == 0:
        row = row[1:]
    return row


def binary(row: object) -> int:
    assert isinstance(row, list)
    return int("".join(map(str, row)), 2)


def replaced(text: list[int], old: int, new: int) -> list[int]:
    return [new if item == old else item for item in text]


def winner(votes: list[str]) -> str:
    lead = votes.count("a") - votes.count("b")
    return "a" if lead > 0 else "b" if lead < 0 else BLANK


def order(a: int, b: int) -> str:
    return "<" if a < b else ">" if a > b else "="


def closes(text: list[str]) -> bool:
    """Whether brackets are balanced."""
    missing: list[str] = []
    for bracket in text:
        if bracket in "([":
            missing.append({"(": ")", "[": "]"}[bracket])
        elif not missing or missing.pop() != bracket:
            return False
    return not missing


def occurrences(text: list[str], word: list[str]) -> list[int]:
    """Where the word begins in the text; both have one character an item."""
    return [i for i in range(len(text)) if "".join(text).startswith("".join(word), i)]


def signed(sign: str, number: int) -> int:
    return number if sign == "plus" else -number


def ways(v: Mapping[str, Any]) -> dict[int, int]:
    """The length of the shortest way from vertex 0 to each vertex that can be reached."""
    return dict(nx.single_source_shortest_path_length(digraph(v["g"]), 0))


def ways_by_parents(parents: list[Any]) -> dict[int, int]:
    """The length of the way from vertex 0 to each vertex that has a parent; the parent of 0 is 0."""
    found: dict[int, int] = {}
    for vertex in (vertex for vertex, parent in enumerate(parents) if parent != BLANK):
        here, steps = vertex, 0
        while here != 0:
            here, steps = parents[here], steps + 1
        found[vertex] = steps
    return found


def depth_first(parents: list[Any], graph: Any) -> bool:
    """Whether the parents are edges that lead from vertex 0 to all that can be reached."""
    found = {(parent, vertex) for vertex, parent in enumerate(parents) if vertex and parent != BLANK}
    reached = {0} | nx.descendants(digraph(graph), 0)
    return found <= set(digraph(graph).edges) and {0} | nx.descendants(nx.DiGraph([(0, 0), *found]), 0) == reached


def enciphered(text: list[int], key: list[int]) -> list[int]:
    return [(item + added) % 10 for item, added in zip(text, cycle(key), strict=False)]


def neighbours(times: list[str]) -> list[list[int]]:
    """So many additions behind 0 and 1."""
    one, two = 0, 1
    for _ in times:
        one, two = two, one + two
    return [digits(one), digits(two)]


def last_man(count: int) -> int:
    """Who is left of a ring in which every second goes."""
    ring = list(range(count))
    while len(ring) > 1:
        ring = [*ring[2:], ring[0]]
    return ring[0]


def next_of(items: list[int]) -> list[int]:
    """The least arrangement above this one; of a short list by trying all, else by the rule of the last rise."""
    if len(items) <= 6:
        return list(min((p for p in permutations(items) if list(p) > items), default=sorted(items)))
    rises = [i for i in range(len(items) - 1) if items[i] < items[i + 1]]
    if not rises:
        return sorted(items)
    rest = sorted(items[rises[-1] :])
    larger = rest.pop(bisect_right(rest, items[rises[-1]]))
    return [*items[: rises[-1]], larger, *rest]


def roman(text: list[str]) -> int:
    worth = [{"I": 1, "V": 5, "X": 10}[letter] for letter in text]
    return sum(-a if a < b else a for a, b in zip(worth, [*worth[1:], 0], strict=True))


def generations(cells: list[int], times: int) -> list[int]:
    """Rule 110: the bits of 110 say what becomes of each of the eight patterns."""
    for _ in range(times):
        padded = [0, *cells, 0]
        cells = [110 >> (4 * padded[i] + 2 * padded[i + 1] + padded[i + 2]) & 1 for i in range(len(cells))]
    return cells


def runs(text: list[str]) -> list[tuple[str, int]]:
    """Letters and lengths of the runs, at most nine each."""
    lengths = [(letter, len([*run])) for letter, run in groupby(text)]
    return [(letter, min(9, left)) for letter, length in lengths for left in range(length, 0, -9)]


def primes(numbers: list[str]) -> list[int]:
    """All below two more than there are items."""
    return [n for n in range(2, len(numbers) + 2) if all(n % k for k in range(2, n))]


def weighed(end: Shown) -> int:
    """What the weights on both pans weigh."""
    added, taken = (int("".join(map(str, cast("list[int]", end[pan]))), 3) for pan in ("ADD", "TAKE"))
    return added - taken


RIGHT: Mapping[str, Callable[[dict[str, Any], Shown], bool]] = {
    "anagram.compare": lambda v, end: end["ANSWER"] == ["yes" if Counter(v["one"]) == Counter(v["two"]) else "no"],
    "anagram.rearranged": lambda v, end: end["ANSWER"] == ["yes" if v["word"][-1] == v["last"] else "no"],
    "bellmanford.search": lambda v, end: {i: d for i, d in enumerate(end["DISTANCE"]) if d != BLANK} == ways(v),
    "binary.add": lambda v, end: binary(end["OUT"]) == v["a"] + v["b"],
    "binarysearch.search": lambda v, end: end["ANSWER"] == ["yes" if v["key"] in v["items"] else "no"],
    "binarysearch.single": lambda v, end: end["ANSWER"] == ["yes" if v["key"] == v["items"][0] else "no"],
    "brackets.check": lambda v, end: end["ANSWER"] == ["yes" if closes(v["text"]) else "no"],
    "brackets.nested": lambda v, end: end["ANSWER"] == ["yes"] and len(end["TEXT"]) == 2 * len(v["half"]),
    "brackets.ending": lambda v, end: end["ANSWER"] == ["yes" if closes(end["TEXT"]) else "no"],
    "breadthfirst.search": lambda v, end: ways_by_parents(end["PARENT"]) == ways(v),
    "cipher.cipher": lambda v, end: end["CODE"] == enciphered(v["text"], v["key"][: v["letters"]]),
    "cipher.caesar": lambda v, end: end["CODE"] == enciphered(v["text"], [v["shift"]]) and end["BACK"] == v["text"],
    "compare.compare": lambda v, end: end["under ANSWER"] == order(v["a"], v["b"]),
    "compare.near": lambda v, end: end["under ANSWER"] == order(v["a"] + 1, v["a"] + v["step"]),
    "copy.copy": lambda v, end: end["OUT"] == v["word"] == end["IN"],
    "count.count": lambda v, end: end["COUNT"] == digits(sum(letter == "a" for letter in v["text"]), 2),
    "depthfirst.search": lambda v, end: depth_first(end["PARENT"], v["g"]),
    "divide.divide": lambda v, end: binary(end["OUT"]) == v["quotient"] and binary(end["A"]) == v["remainder"],
    "double.double": lambda v, end: end["OUT"] == digits(v["a"] + v["a"]),
    "fibonacci.addition": lambda v, end: end["X"] == digits(v["x"] + v["y"]),
    "fibonacci.fibonacci": lambda v, end: (
        [end["X"], end["Y"]][:: 1 - 2 * (len(v["times"]) % 2)] == neighbours(v["times"])
    ),
    "flag.order": lambda v, end: end["A"] == sorted(v["items"]),
    "floyd.beginning": lambda v, end: end["at SLOW"] == len(v["tail"]),
    "floyd.closed": lambda v, end: end["at SLOW"] == 0,
    "gcd.gcd": lambda v, end: end["A"] == end["B"] == ["|"] * math.gcd(len(v["a"]), len(v["b"])),
    "gcd.dozen": lambda v, end: end["A"] == end["B"] == ["|"] * math.gcd(len(v["a"]), 12),
    "gray.gray": lambda v, end: binary(end["GRAY"]) == v["a"] ^ v["a"] >> 1 and end["BACK"] == digits(v["a"], 2),
    "hanoi.hanoi": lambda v, end: end["C"] == [*range(len(v["disks"]))][::-1] and end["A"] == end["B"] == [],
    "increment.increment": lambda v, end: end["A"] == digits(v["a"] + 1, 2),
    "increment.overflow": lambda v, end: end["A"] == [1] + [0] * len(v["ones"]),
    "insertionsort.sort": lambda v, end: end["OUT"] == sorted(v["items"]) and end["IN"] == v["items"],
    "josephus.play": lambda v, end: end["QUEUE"] == [last_man(len(v["men"]))],
    "kmp.search": lambda v, end: end["FOUND"] == occurrences(v["text"], v["word"][: v["letters"]]),
    "kmp.repeated": lambda v, end: end["FOUND"] == occurrences(v["part"] * 4, v["part"] + v["part"][: v["letters"]]),
    "longestrun.longest": lambda v, end: len(end["BEST"]) == max(map(len, "".join(map(str, v["bits"])).split("0"))),
    "merge.merge": lambda v, end: end["OUT"] == sorted(v["a"] + v["b"]),
    "mergesort.sort": lambda v, end: end["A"] == sorted(v["items"]),
    "minimum.minimum": lambda v, end: end["LEAST"] == [sorted(v["items"])[0]],
    "multiply.multiply": lambda v, end: zeros_off(end["OUT"]) == digits(v["a"] * v["b"]),
    "negate.negate": lambda v, end: (
        binary(end["A"]) == -v["a"] % 2 ** len(end["A"]) and len(end["A"]) == v["a"].bit_length()
    ),
    "negate.even": lambda v, end: binary(end["A"]) == -8 * binary(v["bits"]) % 2 ** len(end["A"]),
    "nextpermutation.next": lambda v, end: (
        end["A"] == next_of([*v["front"], v["pivot"], *sorted([*v["tail"], v["pivot"] + 1], reverse=True)])
    ),
    "nextpermutation.after": lambda v, end: end["A"] == next_of(v["items"]),
    "nextpermutation.last": lambda v, end: end["A"] == sorted(v["items"]),
    "palindrome.palindrome": lambda v, end: end["ANSWER"] == ["yes" if v["word"] == v["word"][::-1] else "no"],
    "palindrome.same": lambda v, end: end["ANSWER"] == ["yes"] and end["WORD"] == [],
    "parity.parity": lambda v, end: end["ODD"] == [v["bits"].count(1) % 2],
    "pascal.line": lambda v, end: (
        end["LINE"] == [math.comb(len(v["times"]), k) % 2 for k in range(len(v["times"]) + 1)]
    ),
    "power.power": lambda v, end: end["OUT"] == digits(2 ** len(v["ones"])),
    "replace.replace": lambda v, end: end["TEXT"] == replaced(v["text"], v["old"], v["new"]),
    "reverse.reverse": lambda v, end: end["OUT"] == v["word"][::-1],
    "roman.read": lambda v, end: zeros_off(end["SUM"]) == digits(roman(v["text"])),
    "roman.tens": lambda v, end: end["SUM"] == digits(10 * len(v["ones"]) + 9),
    "rotate.rotate": lambda v, end: end["A"] == v["back"] + v["front"],
    "rotate.few": lambda v, end: end["A"] == v["items"][v["shift"] :] + v["items"][: v["shift"]],
    "rule110.once": lambda v, end: end["CELLS"] == generations(v["cells"], 1),
    "rule110.growth": lambda v, end: end["CELLS"] == generations([*v["zeros"], 1], len(v["times"])),
    "runlength.code": lambda v, end: [*zip(end["LETTER"], end["LENGTH"], strict=True)] == runs(v["text"]),
    "runlength.long": lambda v, end: (
        [*zip(end["LETTER"], end["LENGTH"], strict=True)] == runs([*v["a"], *v["b"], *v["c"]])
    ),
    "search.search": lambda v, end: end["FOUND"] == occurrences(v["text"], v["word"][: v["letters"]]),
    "search.beginning": lambda v, end: end["FOUND"] == occurrences(v["text"], v["text"][: v["letters"]]),
    "seven.divide": lambda v, end: [int("".join(map(str, end["OUT"]))), end["REST"][0]] == [*divmod(v["a"], 7)],
    "sieve.sieve": lambda v, end: [i for i, mark in enumerate(end["NUMBERS"]) if mark == "o"] == primes(v["numbers"]),
    "squareroot.root": lambda v, end: len(end["ROOT"]) == math.isqrt(len(v["a"])),
    "subtract.subtract": lambda v, end: zeros_off(end["OUT"]) == digits(v["a"] - v["b"]),
    "todecimal.convert": lambda v, end: end["OUT"] == digits(v["a"]),
    "turing.check": lambda v, end: end["STATE"] == ["yes" if len(v["as"]) == len(v["bs"]) == len(v["cs"]) else "no"],
    "turing.mixed": lambda v, end: end["STATE"] == ["no"],
    "turing.nearly": lambda v, end: end["STATE"] == ["no"],
    "vote.elect": lambda v, end: end["under STACK"] == winner(v["votes"]),
    "weights.weigh": lambda v, end: weighed(end) == v["a"],
    "keep.next": lambda v, end: end["under BEST"] == min(v["items"][:2]),
    "least.least": lambda v, end: end["under BEST"] == min(v["items"]),
    "select.select": lambda v, end: end["under FRONT"] == min(v["items"]),
    "median.median": lambda v, end: end["under FRONT"] == sorted(v["items"])[len(v["items"]) // 2],
    "order.order": lambda v, end: end["A"] == sorted(v["items"]),
    "columns.left": lambda v, end: end["A"] == digits(v["a"]) and end["under A"] == [BLANK, *end["A"]][-2],
    "columns.right": lambda v, end: end["A"] == digits(v["a"]) and end["under A"] == BLANK,
    "plus.plus": lambda v, end: zeros_off(end["OUT"]) == digits(v["a"] + v["b"]),
    "minus.minus": lambda v, end: zeros_off(end["OUT"]) == digits(v["a"] - v["b"]),
    "calculate.calculate": lambda v, end: zeros_off(end["OUT"]) == digits(v["a"] + signed(v["sign"], v["b"])),
    "fetch.fetch": lambda v, end: zeros_off(end["A"]) == digits(v["r"]) and end["OUT"] == [],
    "chain.chain": lambda v, end: (
        zeros_off(end["OUT"]) == digits(v["a"] + signed(v["one"], v["b"]) + signed(v["two"], v["c"]))
    ),
    "addition.add": lambda v, end: end["OUT"] == digits(v["a"] + v["b"]),
    "bubblesort.sort": lambda v, end: end["A"] == sorted(v["items"]),
    "quicksort.sort": lambda v, end: end["A"] == sorted(v["items"]),
    "topological.sort": lambda v, end: follows(cast("list[int]", end["ORDER"]), v["g"]),
}
"""Each task in plain Python: from the inputs and what the pad shows at the end to right or wrong."""

SPOILED: Mapping[str, tuple[str, str]] = {
    "anagram": ('ACT(LETTER, WRITE, "x")', "pass"),
    "bellmanford": ("not END or before(NEW, OLD)", "not END"),
    "binary": ("div 2", "mod 2"),
    "binarysearch": ("MIDDLE < key", "MIDDLE > key"),
    "brackets": ("TEXT == STACK", "TEXT != STACK"),
    "breadthfirst": ("if not PARENT", "if PARENT"),
    "cipher": ("(CODE - K) mod 10", "(CODE + K) mod 10"),
    "compare": ("elif A > B", "elif A == B"),
    "copy": ("ACT(OUT, WRITE, IN)", 'ACT(OUT, WRITE, "a")'),
    "count": ('TEXT == "a"', 'TEXT != "a"'),
    "depthfirst": ("ACT(VERTEX, FOLLOW, PARENT)", "pass"),
    "divide": ("ACT(PLACE, RIGHT)", "ACT(PLACE, LEFT)"),
    "double": ("(2 * IN + CARRY) mod 10", "(2 * IN) mod 10"),
    "fibonacci": ("ADD(B, A)", "ADD(A, B)"),
    "flag": ("LOOK == 1", "LOOK == 2"),
    "floyd": ("ACT(FAST, TO, FIRST)", "pass"),
    "gcd": ("CUT(B, A)", "CUT(A, B)"),
    "gray": ("(IN + BEFORE) mod 2", "IN"),
    "hanoi": ("SMALLER(over, to, from)", "SMALLER(over, from, to)"),
    "increment": ("ACT(A, WRITE, 0)", "ACT(A, WRITE, 1)"),
    "insertionsort": ("LAST > ITEM", "LAST < ITEM"),
    "josephus": ("ACT(TAIL, SAVE, MAN)", "ACT(TAIL, SAVE, NEXT)"),
    "kmp": ("LETTER != p and BACK", "LETTER == p and BACK"),
    "longestrun": ("ACT(RUN, TO, FIRST)", "pass"),
    "merge": ("A <= B", "A >= B"),
    "mergesort": ("ONE <= TWO", "ONE >= TWO"),
    "minimum": ("ITEMS < LEAST", "ITEMS > LEAST"),
    "multiply": (">= 10", "> 10"),
    "negate": ("ACT(A, WRITE, 1 - A)", "pass"),
    "nextpermutation": ("HIGH <= PIVOT", "HIGH < PIVOT"),
    "palindrome": ("while FRONT and FRONT == BACK", "while FRONT and FRONT != BACK"),
    "parity": ("BITS == 1", "BITS == 0"),
    "pascal": ("(ONE + LEFTONE) mod 2", "LEFTONE"),
    "power": ("ACT(CARRY, WRITE, 1)", "pass"),
    "replace": ("TEXT == old", "TEXT != old"),
    "reverse": ("ACT(OUT, RIGHT)", "ACT(OUT, LEFT)"),
    "roman": ("SUM + 10 - v", "SUM"),
    "rotate": ("ACT(HIGH, FOLLOW, CUT)", "ACT(HIGH, TO, LAST)"),
    "rule110": ("BEFORE + CELL + NEXT == 3", "BEFORE + CELL + NEXT == 2"),
    "runlength": ("LENGTH < 9", "LENGTH < 8"),
    "search": ("LETTER == READ", "LETTER != READ"),
    "seven": ("(10 * REST + A) mod 7", "(REST + A) mod 7"),
    "sieve": ("ACT(MULTIPLE, TO, PRIME)", "pass"),
    "squareroot": ("while STEP and MARK", "while STEP and not MARK"),
    "subtract": ("A < B + BORROW", "A < B"),
    "todecimal": ("ACT(CARRY, WRITE, BITS)", "ACT(CARRY, WRITE, 0)"),
    "turing": ('TAPE == "b" or TAPE == "z"', 'TAPE == "a" or TAPE == "z"'),
    "vote": ("STACK != VOTES", "STACK == VOTES"),
    "weights": ("A + CARRY > 1", "A + CARRY > 2"),
    "keep": ("LOOK < BEST", "LOOK > BEST"),
    "least": ("not last(LOOK)", "not last(BEST)"),
    "select": ("ACT(FRONT, SWAP, BEST)", "ACT(BEST, TO, FRONT)"),
    "median": ("ACT(BACK, LEFT)", "ACT(FRONT, LEFT)"),
    "order": ("        SELECT", "        pass"),
    "columns": ("ACT(p, d)", "ACT(p, LEFT)"),
    "plus": (">= 10", "> 10"),
    "minus": ("A < B + CARRY", "A < B"),
    "calculate": ('== "minus"', '== "plus"'),
    "fetch": ("ACT(B, WRITE, C)", "ACT(B, WRITE, OUT)"),
    "chain": ("ACT(SIGN, RIGHT)", "ACT(SIGN, LEFT)"),
}
"""For each file a mistake that its own tasks must notice."""

LONGEST = {"multiply": 8, "insertionsort": 40, "mergesort": 30, "divide": 8, "hanoi": 6, "binarysearch": 100}
LONGEST |= dict.fromkeys([path.stem for path in COMPOSITION], 9) | dict.fromkeys([path.stem for path in RECURSIVE], 25)
"""Sizes at which the teacher is still quick, where the largest test size is not."""


@cache
def opened(stem: str) -> ProgramSet:
    return load(PATHS[stem])


def tasks() -> list[tuple[str, Task]]:
    return [(stem, task) for stem in PATHS for task in opened(stem).tasks]


def name_of(value: object) -> str:
    return value.name if isinstance(value, Task) else str(value)


def problems_of(task: Task, *, each: int, longest: int | None = None) -> list[Problem]:
    """Problems of every training size, and of one far beyond where it is given."""
    generator = torch.Generator().manual_seed(20)
    found = [p for n in task.train_sizes for p in task.draw(n, each, generator=generator, spread=True)]
    return found + (task.draw(longest, 20, generator=generator, spread=True) if longest else [])


def shown(task: Task, reading: Mapping[str, list[int]]) -> Shown:
    """A reading in symbols."""

    def symbols(row: str, indices: list[int]) -> list[int | str]:
        if task.rows[row].places:
            return [BLANK if index == NOWHERE else index for index in indices]
        values = [task.rows[row].values[index] for index in indices]
        return [int(value) if value.isdigit() else value for value in values]

    found: dict[str, object] = {row: symbols(row, reading[row]) for row in task.rows}
    for pointer, row in task.pointers.items():
        found[f"under {pointer}"] = symbols(row, reading[f"under({pointer})"])[0]
        found[f"at {pointer}"] = reading[f"at({pointer})"][0]
    return found


def listed(values: Mapping[str, object]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def test_every_task_is_in_the_table() -> None:
    assert {f"{stem}.{task.name}" for stem, task in tasks()} == set(RIGHT)
    assert {path.stem for path in (*EXAMPLES, *COMPOSITION)} == set(SPOILED)
    assert len(EXAMPLES) >= 10


@pytest.mark.parametrize(("stem", "task"), tasks(), ids=name_of)
def test_teacher_is_right_by_the_task_and_by_plain_python(stem: str, task: Task) -> None:
    """Red for any wrong program, and for a task that accepts a wrong result or refuses a right one."""
    problems = problems_of(task, each=200, longest=LONGEST.get(stem, max(task.test_sizes)))
    programs = opened(stem)
    outcome = run_problems(compile_teacher(programs), programs, problems)
    assert set(outcome.status_N.tolist()) == {int(Status.DONE)}
    right = RIGHT[f"{stem}.{task.name}"]
    for problem, reading in zip(problems, outcome.read(programs.world), strict=True):
        end = shown(task, reading)
        assert right(listed(problem.values), end), (problem.values, end)
        assert task.judge(problem, reading), (problem.values, end)


def run_teacher(programs: ProgramSet) -> list[TraceBatch]:
    """Traces of every task; a result that the task does not expect, or no result, raises ``TeacherError``."""
    return [record_problems(programs, t, problems_of(t, each=20), budget=Budget(steps=5000)) for t in programs.tasks]


@pytest.mark.parametrize("stem", SPOILED)
def test_tasks_notice_a_mistake(stem: str) -> None:
    """Red for an expectation that holds whatever the program does."""
    text = PATHS[stem].read_text(encoding="utf-8")
    old, new = SPOILED[stem]
    assert text.count(old) == 1, f"{old} occurs {text.count(old)} times in {stem}.npi"
    spoiled = loads(text.replace(old, new), path=f"{stem}.npi", folder=PATHS[stem].parent)
    with pytest.raises(TeacherError):
        run_teacher(spoiled)


@pytest.mark.parametrize("stem", PATHS)
def test_what_the_pad_shows_decides_every_call(stem: str) -> None:
    """Red for a body that depends on something that its observations do not tell; also for an unseen program."""
    programs = opened(stem)
    frames = unique_frames(run_teacher(programs))
    check_rule(frames)
    assert set(frames.program_M.tolist()) == {program.id for program in programs.programs}


@pytest.mark.parametrize("path", RECURSIVE, ids=lambda path: path.stem)
def test_recursive_programs_have_no_loops_and_short_frames(path: Path) -> None:
    """Red where a program loops: then a run of it becomes longer with the input."""
    assert "while" not in path.read_text(encoding="utf-8")
    (task,) = opened(path.stem).tasks
    drawn = task.draw(14, 3, generator=torch.Generator().manual_seed(0), spread=False)
    frames = unique_frames([record_problems(opened(path.stem), task, drawn)])
    check_rule(frames)
    assert int(frames.length_M.max()) <= 9


def test_hanoi_never_lays_a_disk_on_a_smaller_one() -> None:
    program_set = opened("hanoi")
    problem = program_set.task("hanoi").parse([",".join("o" * 5)])
    events, _ = interpret(program_set, problem.layout, problem.program, problem.arguments)
    pegs: dict[str, list[int]] = {"A": [4, 3, 2, 1, 0], "B": [], "C": []}
    move = program_set.table.id("MOVE")
    moves = [[program_set.world.spec.tokens[t] for t in event.call[1:3]] for event in events if event.call[0] == move]
    for one, two in moves:
        disk = pegs[one].pop()
        assert not pegs[two] or pegs[two][-1] > disk
        pegs[two].append(disk)
    assert pegs == {"A": [], "B": [], "C": [4, 3, 2, 1, 0]}
    assert len(moves) == 2**5 - 1


def test_places_stay_finite_to_see() -> None:
    """However long the input, a pointer on a row of places shows one of two values."""
    assert {field.size for field in opened("breadthfirst").world.spec.fields} == {2}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_files_are_short_and_documented(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    programs = opened(path.stem)
    assert lines[0].startswith("# ")
    assert 15 <= len(lines) <= 85
    assert max(map(len, lines)) <= 120
    assert programs.warnings == ()
    assert all(program.signature.doc for program in programs.programs)
    beyond = 1.5 if path.stem == "hanoi" else 5  # each disk doubles the moves
    assert all(max(task.test_sizes) >= beyond * max(task.train_sizes) for task in programs.tasks)


def test_every_file_is_learned_after_those_that_it_uses() -> None:
    """Red for a file that no chain learns, or learns too early."""
    assert sorted(stem for chain in CHAINS for stem in chain) == [path.stem for path in COMPOSITION]
    for chain in CHAINS:
        for number, stem in enumerate(chain):
            used = [Path(name).stem for name, _ in opened(stem).sources[:-1]]
            assert set(used) <= set(chain[:number])


@pytest.mark.parametrize(("stem", "depth"), [("order", 6), ("chain", 5)])
def test_calls_go_several_levels_deep(stem: str, depth: int) -> None:
    assert nx.dag_longest_path_length(call_graph(opened(stem))) == depth


def test_an_example_is_learned_and_works_at_ten_times_its_sizes() -> None:
    """Red where the trainer, or the dataset that the tasks give, gets worse."""
    programs = opened("increment")
    dataset = Dataset.from_programs(programs, traces=32, seed=0)
    library = Library.create(CoreConfig(), [dataset.table], sets=[programs], sources=[dataset.source], seed=0)
    config = TrainConfig(seed=0, updates=200)
    validate = TaskValidator(library, [programs], config)
    assert solved(objective_on(library, [dataset], config, validate=validate))
    for task in programs.tasks:
        stepper = library.stepper(dataset.table)
        for score in score_sizes(stepper, programs, task, name=task.name, sizes=(10, 100), seed=1):
            assert score.right == score.count
