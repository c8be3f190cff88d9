"""Long and hostile texts: what checking one costs grows with its length, and what it would multiply is refused."""

import cProfile
import pstats
import tracemalloc

import pytest

import dsl
from dsl.check.bodies import MOST_STATEMENTS
from dsl.errors.error import WINDOW
from envs.scratchpad.config import MAX_PARTS

WORLD = "world pad is scratchpad:\n    row A of digit\n"
GO = "program GO:\n    ACT(A, RIGHT)\n"

TEXTS = {
    "comments": lambda n: "# nothing\n" * n,
    "newlines": lambda n: "\n" * n,
    "junk": lambda n: WORLD + "".join(f"xyz{k} fgh 12 $\n" for k in range(n)),
    "programs": lambda n: WORLD + "".join(f"program P{k}:\n    while A > 0:\n        ACT(A, LEFT)\n" for k in range(n)),
    "names that nobody has": lambda n: (
        WORLD + "".join(f"program P{k}:\n    if A > 0:\n        Q{k}\n    ACT(B, LEFT)\n" for k in range(n))
    ),
    "heads without bodies": lambda n: WORLD + "program P:\n" * n,
    "a chain of calls": lambda n: (
        WORLD + "".join(f"program P{k}:\n    P{k + 1}\n" for k in range(n)) + f"program P{n}:\n    ACT(A, LEFT)\n"
    ),
    "inputs": lambda n: (
        WORLD + GO + f"task t({', '.join(f'a{k}: bit' for k in range(n))}):\n    run GO\n    expect 1 == 2\n"
    ),
    "parameters in one line": lambda n: WORLD + f"program GO({', '.join(['a: digit'] * n)}):\n    ACT(A, LEFT)\n",
    "tasks": lambda n: (
        WORLD
        + GO
        + "".join(f"task t{k}(a: digit):\n    A = [a]\n    run GO\n    expect under(A) == 0\n" for k in range(n))
    ),
}


def calls(text: str) -> int:
    """Calls of functions that a check takes."""
    profile = cProfile.Profile()
    profile.runcall(dsl.diagnose, text)
    return pstats.Stats(profile).total_calls


@pytest.mark.parametrize("name", TEXTS)
def test_checking_grows_with_the_text(name: str) -> None:
    """Red where something looks at all names once for each mistake."""
    calls(TEXTS[name](1))
    few, many = (calls(TEXTS[name](count)) for count in (70, 280))
    assert many < 5 * few


@pytest.mark.parametrize("name", ["newlines", "parameters in one line"])
def test_memory_grows_with_the_text(name: str) -> None:
    """Red where each mistake carries the whole line, and where an empty line takes memory of its own."""
    peaks = []
    for size in (1000, 2000):
        text = TEXTS[name](size)
        dsl.diagnose(text)
        tracemalloc.start()
        dsl.diagnose(text)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2.6 * peaks[0], "four times, where each mistake carries the line"
    assert peaks[1] < 600 * len(text)


def test_what_would_be_written_out_for_ever_is_refused() -> None:
    loops = "".join("    " * depth + f"for x{depth} in 0, 1, 2, 3, 4, 5, 6, 7, 8, 9:\n" for depth in range(1, 10))
    (error,) = dsl.diagnose(WORLD + "program GO:\n" + loops + "    " * 10 + "ACT(A, LEFT)\n").errors
    assert (error.code, error.line) == ("NPI097", 3)
    assert f"{10**9:,} statements" in error.message
    text = WORLD + f"program GO:\n    for x in {', '.join(['1'] * (MOST_STATEMENTS // 10))}:\n        ACT(A, LEFT)\n"
    assert dsl.diagnose(text).errors == ()


@pytest.mark.parametrize("parts", ["rows", "pointers", "orders"])
def test_worlds_whose_tables_would_fill_the_memory_are_refused(parts: str) -> None:
    names = ", ".join(f"P{k}" for k in range(MAX_PARTS if parts != "orders" else 50))
    lines = {
        "rows": f"    row {names} of bit\n",
        "pointers": f"    row A of bit\n    pointer {names} on A\n",
        "orders": f"    row A of bit\n    pointer {names} on A\n    order {names}\n",
    }
    (error,) = dsl.diagnose("world pad is scratchpad:\n" + lines[parts] + "program GO:\n    GO\n").errors
    assert (error.code, error.line) == ("NPI044", 1)
    assert "more than 1,000" in error.message


def test_a_long_line_is_shown_around_the_mistake() -> None:
    text = WORLD + "program GO:\n    ACT(A, LEFT" + " " * 30_000 + ", B, RIGHT)\n"
    (error,) = dsl.diagnose(text).errors
    head, shown, caret, _ = error.text().split("\n")
    assert len(head) < 300
    assert len(shown) < 1.1 * WINDOW
    wide = WORLD + "program GO:\n    ACT(" + "A" * 50_000 + ", LEFT)\n"
    (error,) = dsl.diagnose(wide).errors
    assert len(error.text()) < 5 * WINDOW
    assert error.text().split("\n")[2].index("^") == error.text().split("\n")[1].index("A" * 100)
