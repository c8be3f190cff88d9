"""Program files with a program for each of many rules of Harlow's task: tasks enough that rows have to say which.

A rule is one that the world knows, and of each trial whether the other side pays than it says (hidden part ``TURNS``,
:mod:`envs.episodic.harlow`). In the first trial that is not to be known, so it never does there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product


@dataclass(frozen=True)
class Rule:
    """A rule: one of the world's, and of each trial but the first whether the other side pays."""

    of: str
    turns: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Of its program: O for other, S for the same."""
        return f"{self.of.upper()}_{''.join('SO'[turn] for turn in self.turns)}" if self.turns else self.of.upper()


def turned(of: str, trials: int) -> list[Rule]:
    """The rules of all turns."""
    return [Rule(of, turns) for turns in product((0, 1), repeat=trials - 1)]


def program_file(rules: Iterable[Rule], *, trials: int = 6) -> str:
    """The text of a file with a program and a task for each rule, on a line without crosses."""
    head = f"world table is harlow(trials: {trials})\n"
    return "\n".join([head, *(_program(rule, trials) for rule in rules)])


def _program(rule: Rule, trials: int) -> str:
    turns = ", ".join(map(str, (0, *rule.turns)))
    return f"""program {rule.name} "Choose what pays, by a rule that only rewards tell":
    maximise reward over {trials} steps
    core "meta-rl"

task {rule.name.lower()}(episode: number):
    EPISODE = digits(episode)
    RULE = ["{rule.of}"]
    TURNS = [{turns}]
    run {rule.name}
    expect TRIAL == [{trials}] and sum(RIGHT) >= {trials - 1}
    train episode of 8 digits
    test episode of 9 digits
"""
