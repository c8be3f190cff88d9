"""Every program of a size without parameters, by going through all decisions of a draw: what random draws must find."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dsl.generator.programs import Stuck
from dsl.generator.sampling import NAME, Examiner, GeneratedProgram, attempt, examined
from dsl.generator.vocabulary import Vocabulary


class Script:
    """Decides in every possible way, one after the other: the leaves of the tree of decisions, depth first.

    ``while True: draw(script)`` and ``if not script.advance(): break`` see what every sequence of decisions draws.
    """

    def __init__(self) -> None:
        self.path: list[int] = []
        self.options: list[int] = []
        self.position = 0

    def below(self, count: int) -> int:
        if self.position == len(self.path):
            self.path.append(0)
            self.options.append(count)
        self.position += 1
        return self.path[self.position - 1]

    def index(self, weights: Sequence[int]) -> int:
        possible = [number for number, weight in enumerate(weights) if weight]
        return possible[self.below(len(possible))]

    def advance(self) -> bool:
        """Go on to the next sequence of decisions; false where there is none."""
        del self.path[self.position :], self.options[self.position :]  # a draw that was given up
        self.position = 0
        while self.path and self.path[-1] + 1 == self.options[-1]:
            self.path.pop()
            self.options.pop()
        if self.path:
            self.path[-1] += 1
        return bool(self.path)


def enumerate_programs(vocabulary: Vocabulary, size: int) -> Iterator[GeneratedProgram]:
    """Every behaviour without parameters that :func:`dsl.generator.sampling` can draw at this size, once each.

    It goes through all decisions of a draw, whose number grows some hundredfold with each size: worlds of one or two
    pointers and few symbols, and sizes up to 3, take seconds to minutes.
    """
    examiner, script, seen = Examiner(vocabulary), Script(), set(vocabulary.hashes)
    while True:
        try:
            found = examined(attempt(vocabulary, size, script, NAME, parameters=False), examiner)
        except Stuck:
            found = None
        if found is not None and found.hash not in seen:
            seen.add(found.hash)
            yield found
        if not script.advance():
            return
