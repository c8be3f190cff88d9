"""Mistakes that a new user makes, and what the tool prints: can the file be fixed from the message alone?

Each file is fixed by one replacement. Every word that the replacement brings in must stand in what is printed, or in
the file already: so the message has said it. What is printed is in ``tests/golden/mistakes``, to be read.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import dsl
from npi.cli.main import main
from tests.support.paths import PROGRAMS


@dataclass(frozen=True)
class Mistake:
    """A program file of the project with one thing written as a new user might, and what a fix would write."""

    file: str
    right: str
    wrong: str


MISTAKES = {
    "mistyped_program": Mistake("addition", "        ADD1\n", "        AD1\n"),
    "missing_colon": Mistake("addition", "    if IN1 + IN2 + CARRY >= 10:", "    if IN1 + IN2 + CARRY >= 10"),
    "single_equals": Mistake("bubblesort", "    expect A == sorted(items)", "    expect A = sorted(items)"),
    "forgotten_carry": Mistake("addition", "(IN1 + IN2 + CARRY) mod 10", "IN1 + IN2 + CARRY"),
    "row_for_pointer": Mistake("bubblesort", "    ACT(P2, RIGHT)\n    while", "    ACT(A, RIGHT)\n    while"),
    "pointer_as_condition": Mistake(
        "bubblesort", "    while not last(P1):\n        BSTEP", "    while P1:\n        BSTEP"
    ),
    "else_if": Mistake("examples/compare", "    elif A > B:", "    else if A > B:"),
    "number_without_digits": Mistake("addition", "    IN2 = digits(b)\n    run ADD", "    IN2 = b\n    run ADD"),
    "wrong_pointer_in_a_loop": Mistake(
        "bubblesort", "    while not first(P1):\n        LSHIFT", "    while not first(P1):\n        ACT(P2, LEFT)"
    ),
    "forgotten_argument": Mistake("addition", "    ACT(CARRY, WRITE, 1)", "    ACT(CARRY, WRITE)"),
}


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+|[^\w\s]", text))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_can_be_fixed_from_its_message(
    name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    golden: Callable[[str, str], None],
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")  # a long temporary path must not break lines
    mistake = MISTAKES[name]
    right = (PROGRAMS / f"{mistake.file}.npi").read_text(encoding="utf-8")
    assert right.count(mistake.right) >= 1, "the file has changed: choose another place"
    wrong = right.replace(mistake.right, mistake.wrong, 1)
    path = tmp_path / Path(f"{mistake.file}.npi").name
    path.write_text(wrong, encoding="utf-8")
    main(["check", "--no-run", str(path)])
    out, err = capsys.readouterr()
    found = dsl.diagnose(wrong, path=str(path), folder=tmp_path)
    assert [*found.errors, *found.warnings] != []
    printed = err or "".join(line + "\n" for line in out.splitlines() if "NPI" in line or line.startswith("    "))
    new = words(mistake.right) - words(mistake.wrong)
    assert new <= words(printed) | words(wrong), "the message does not say what to write"
    diff = "".join(f"- {line}\n" for line in mistake.wrong.strip("\n").split("\n"))
    diff += "".join(f"+ {line}\n" for line in mistake.right.strip("\n").split("\n"))
    golden(f"mistakes/{name}.txt", f"{diff}\n{printed.replace(str(tmp_path) + '/', '')}")
    assert dsl.diagnose(right, path=str(path), folder=tmp_path).errors == ()
