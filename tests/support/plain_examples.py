"""The tasks of the example programs in plain Python, and a mistake for each file that its tasks must notice."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import cycle, groupby, permutations
from typing import Any, cast

import networkx as nx

from envs.spec import BLANK
from tests.support.graphs import digraph, follows

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
