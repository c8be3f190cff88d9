"""Questions about pictures: what every program would do where a picture is seen, which the programs' texts answer.

A picture takes far longer to encode than a step takes to decide, and the runs of traces ask a picture for little: what
the few programs did that read it, with one target. With forced states each step is learned by itself, so that a picture
can be asked whatever an example asks of its own: an update encodes some pictures, and asks each what some programs do
at some place of their texts, with the other inputs that some example shows there. The text answers (a teacher labels
what it did not itself come to: DAgger, Ross et al. 2011), so programs are learned before every picture, also before
those that none of their own runs has shown.

Questions come little by little: at first each program is asked with one choice of its other inputs, one target say, and
with twice as many whenever few answers are wrong (Elman 1993, starting small). From all at once a core does not learn
for long: what a picture shows tells nothing before it is compared with the target, and neither does the target.

Shape legend: ``U`` pictures, ``Q`` questions, ``W`` fields that pictures stand for, ``D`` a draw: some
questions to each of some pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from envs.spec import WorldSpec
from npi.training.examples import Codes, Examples
from npi.training.places import Decide

FEW = 0.1
"""A share of wrong answers of every program below which more is asked."""

SETTLED, PATIENCE = 10, 400
"""Updates before which no more is asked, since the running share follows the last ones, and after which more is asked
however many are wrong."""


MANY = 100
"""So many times as many questions as a picture is asked: they are drawn without a look at which were drawn before."""


@dataclass
class Turns:
    """How much is asked: questions of the first so many turns, for so many updates now."""

    count: int = 1
    updates: int = 0

    def note(self, wrong: float) -> None:
        """After an update: ``wrong`` is the running share of the program that errs most."""
        self.updates += 1
        if (wrong < FEW and self.updates >= SETTLED) or self.updates >= PATIENCE:
            self.count, self.updates = min(2 * self.count, 2**30), 0


@dataclass(frozen=True)
class Questions:
    """What is asked of the pictures of one world that one text's programs read.

    Attributes:
        columns: the fields that the pictures stand for. picture_UW: their values, of each different picture.
        asked: each different question, as an example whose picture, call and next place are another's.
        share_Q: how often each is asked; a program's share is the root of how many questions it has.
        turn_Q: when each is asked first: 0 for one of each place, 1 for another one, and so on.
        decide: the text, by rows. codes: of the places of its rows.
    """

    columns: Sequence[int]
    picture_UW: torch.Tensor
    asked: Examples
    share_Q: torch.Tensor
    turn_Q: torch.Tensor
    decide: Decide
    codes: Codes

    def draw(self, pictures: int, questions: int, turns: int, *, generator: torch.Generator) -> Examples:
        """So many pictures, each asked so many different questions (all where there are fewer) of the first turns,
        picture by picture."""
        of_U = torch.randint(len(self.picture_UW), (pictures,), generator=generator)
        share_Q = self.share_Q.where(self.turn_Q < turns, 0)
        there = int(share_Q.count_nonzero())
        questions = min(questions, there)
        if there > MANY * questions:  # hardly one twice
            ask_D = torch.multinomial(share_Q, pictures * questions, replacement=True, generator=generator)
        else:
            ask_D = torch.multinomial(share_Q.expand(pictures, -1), questions, generator=generator).flatten()
        return self.answered(ask_D, of_U.repeat_interleave(questions))

    def answered(self, ask_D: torch.Tensor, of_D: torch.Tensor) -> Examples:
        """Questions about pictures, by their numbers, as examples."""
        found = self.asked.take(ask_D)
        found.obs_EF[:, self.columns] = self.picture_UW[of_D]
        place_D = self.codes.place(found.row_E, found.code_E)
        call_D4, next_D = self.decide(found.row_E, place_D, found.obs_EF, found.arguments_E3)
        return replace(found, call_E4=call_D4, after_E=self.codes.code(found.row_E, next_D))


def questions_of(
    examples: Examples, spec: WorldSpec, texts: Mapping[int, Decide], codes: Codes
) -> tuple[list[Questions], torch.Tensor]:
    """What the examples of a world ask of its pictures, and which of them (bool_E) that covers.

    Args:
        texts: by row, those of programs that have one; the others' examples are not covered.
    """
    covered_E, found = torch.zeros(len(examples), dtype=torch.bool), list[Questions]()
    if not spec.rendered:
        return found, covered_E
    for columns, of_E in _by_pictures(examples, spec):
        for decide in dict.fromkeys(texts.values()):
            rows = torch.tensor([row for row, own in texts.items() if own is decide])
            mine_E = of_E & torch.isin(examples.row_E, rows)
            if mine_E.any():
                covered_E |= mine_E
                found.append(_questions(examples.take(mine_E.nonzero()[:, 0]), columns, decide, codes))
    return found, covered_E


def _by_pictures(examples: Examples, spec: WorldSpec) -> Iterator[tuple[list[int], torch.Tensor]]:
    """The fields of the pictures that examples read, and which examples (bool_E) read just these."""
    pictures = [[spec.field(name) for name in picture.fields] for picture in spec.rendered]
    reads_EP = torch.stack([examples.seen_EI[:, columns].any(1) for columns in pictures], 1)
    for reads_P in reads_EP.unique(dim=0):
        columns = sorted({c for p in reads_P.nonzero()[:, 0].tolist() for c in pictures[p]})
        if columns:
            yield columns, (reads_EP == reads_P).all(1)


def _questions(examples: Examples, columns: Sequence[int], decide: Decide, codes: Codes) -> Questions:
    own_EF = examples.obs_EF.clone()
    own_EF[:, columns] = 0
    asked_E = torch.cat([examples.row_E[:, None], examples.code_E[:, None], own_EF, examples.arguments_E3], 1)
    _, which_E = asked_E.unique(dim=0, return_inverse=True)
    first_Q = torch.full((int(which_E.max()) + 1,), len(examples)).scatter_reduce(
        0, which_E, torch.arange(len(examples)), "amin"
    )
    asked = replace(examples.take(first_Q), obs_EF=own_EF[first_Q])
    share_Q = torch.bincount(asked.row_E).double().rsqrt()[asked.row_E]
    picture_UW = examples.obs_EF[:, columns].unique(dim=0)
    return Questions(columns, picture_UW, asked, share_Q, _turns(asked), decide, codes)


def _turns(asked: Examples) -> torch.Tensor:
    """turn_Q: at each place questions have turns from 0 on, in an order of the other inputs that all places share."""
    other_QX = torch.cat([asked.seen_EI.long(), asked.obs_EF, asked.arguments_E3], 1)
    different_OX, which_Q = other_QX.unique(dim=0, return_inverse=True)
    order_O = torch.randperm(len(different_OX), generator=torch.Generator().manual_seed(len(different_OX)))
    turn_Q = torch.zeros(len(asked), dtype=torch.int64)
    for place_2 in torch.stack([asked.row_E, asked.code_E], 1).unique(dim=0):
        mine = ((asked.row_E == place_2[0]) & (asked.code_E == place_2[1])).nonzero()[:, 0]
        turn_Q[mine[order_O[which_Q[mine]].argsort()]] = torch.arange(len(mine))
    return turn_Q
