"""Streams of programs, each of another behaviour."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from dsl.analysis.equivalence import behaviour
from dsl.check.modules import Module
from dsl.check.programs import Declared, check_program
from dsl.errors.error import Source
from dsl.formatting.printer import format_tree
from dsl.generator.programs import size_of
from dsl.generator.sampling import draw_program
from dsl.generator.trees import renamed
from dsl.generator.vocabulary import Vocabulary
from dsl.lowering.decision_tables import DecisionTable, Legality
from dsl.names.scope import Scope, param_slot
from dsl.program import Program
from dsl.text import syntax as s
from envs.spec import RETURN, Signature
from envs.support.lazy_torch import torch

PATIENCE = 300
"""Draws of one size that may one after the other bring nothing new, before the size counts as exhausted."""

NAME = "DRAWN"
"""The name of a program while it is drawn."""


@dataclass(frozen=True)
class GeneratedProgram:
    """A program that was drawn.

    Attributes:
        tree: its text as a tree; its name comes from its hash.
        text: its text alone, without the file that it belongs in (:meth:`Vocabulary.file`).
        size: :func:`~dsl.generator.size_of`.
        hash: of its behaviour (:func:`dsl.analysis.equivalence.behaviour`).
        signature: its name and arguments.
        nodes: of its decision table.
    """

    tree: s.Program
    text: str
    size: int
    hash: str
    signature: Signature
    nodes: int


@dataclass
class Tally:
    """What became of the draws of a stream: how many there were, and why some gave no program."""

    draws: int = 0
    repeated: int = 0
    excluded: int = 0
    empty: int = 0
    programs: int = 0


@dataclass
class Examiner:
    """Checks programs one by one beside what they can mention, without reading that again."""

    vocabulary: Vocabulary
    legality: Legality = field(init=False)
    visible: dict[str, tuple[int, ...]] = field(init=False)
    number: int = field(init=False)

    def __post_init__(self) -> None:
        self.legality = Legality(self.vocabulary.programs.world)
        self.number = len(self.vocabulary.programs.table)
        primitives = enumerate(self.vocabulary.face.spec.primitives)
        self.visible = {primitive.name: (number,) for number, primitive in primitives}
        self.visible.update({callee.name: (callee.number,) for callee in self.vocabulary.callees})

    def examine(self, tree: s.Program) -> Program:
        """The checked program, its id the next one behind those of the vocabulary.

        Raises:
            LanguageError: for a program that the checker refuses; drawn ones it accepts.
        """
        face, table = self.vocabulary.face, self.vocabulary.programs.table
        source = Source("generated", "")
        typed = [param_slot(param, face, source) for param in tree.params]
        signature = Signature(tree.name, tuple(slot for _, slot in typed), tree.doc)
        module = Module("generated", "generated", source, s.File((tree,)), ())
        declared = Declared(module, tree, signature, tuple(kind for kind, _ in typed))
        callables = (*table.signatures, signature)
        visible = {**self.visible, tree.name: (self.number,)}
        return check_program(
            self.number, declared, Scope(source, face, callables, visible, {}, ()), self.legality, whole=True
        )

    def behaviour(self, program: Program) -> str:
        return behaviour(program, self.vocabulary.keys)


def stream(
    vocabulary: Vocabulary,
    sizes: Mapping[int, int],
    *,
    generator: torch.Generator | np.random.Generator,
    exclude: Collection[str] = (),
    tally: Mapping[int, Tally] | None = None,
) -> Iterator[GeneratedProgram]:
    """Random programs of which no two behave alike, small ones first.

    Programs that never call anything are left out, and so are those that behave as a callee of the vocabulary does.
    A behaviour counts to the first size at which it is drawn. A size whose behaviours run out gives fewer than are
    wanted: it is left when :data:`PATIENCE` draws in a row have brought nothing new.

    Args:
        sizes: how many programs of each size.
        generator: the only source of randomness; one seed always gives one stream.
        exclude: hashes that must not appear, such as those of a held-out set.
        tally: where the draws of each size are counted.

    Raises:
        ValueError: as :func:`~dsl.generator.draw_program`.
    """
    seen = {*vocabulary.hashes}
    examiner = Examiner(vocabulary)
    for size, wanted in sorted(sizes.items()):
        counted = (tally or {}).get(size) or Tally()
        idle = 0
        while wanted > 0 and idle < PATIENCE:
            found = examined(draw_program(vocabulary, size=size, generator=generator, name=NAME), examiner)
            new = found is not None and found.hash not in seen and found.hash not in exclude
            enter(counted, found, new=new, excluded=found is not None and found.hash in exclude)
            idle = 0 if new else idle + 1
            if new and found is not None:
                seen.add(found.hash)
                wanted -= 1
                yield found


def enter(tally: Tally, found: GeneratedProgram | None, *, new: bool, excluded: bool) -> None:
    """Count a draw."""
    tally.draws += 1
    tally.empty += found is None
    tally.excluded += excluded
    tally.programs += new
    tally.repeated += found is not None and not new and not excluded


def examined(tree: s.Program, examiner: Examiner) -> GeneratedProgram | None:
    """A drawn tree as a program, named by its hash; None for one that never calls anything."""
    checked = examiner.examine(tree)
    assert checked.table is not None, "a drawn program has a body"
    if idle(checked.table):
        return None
    found = examiner.behaviour(checked)
    named = renamed(tree, f"G{found[:12].upper()}")
    signature = Signature(named.name, checked.signature.slots)
    text = format_tree(s.File((named,)))
    return GeneratedProgram(named, text, size_of(named), found, signature, len(checked.table.nodes))


def idle(table: DecisionTable) -> bool:
    """Whether a program returns at once, whatever it sees."""
    return all(bool((node.call_M4[:, 0] <= RETURN).all()) for node in table.nodes)


def held_out(vocabulary: Vocabulary, sizes: Mapping[int, int], *, seed: int = 0) -> tuple[GeneratedProgram, ...]:
    """The programs that training leaves out: a stream of its own, which the seed fixes.

    ``stream(…, exclude={p.hash for p in held_out(…)})`` has no program that behaves as one of these, whatever its
    seed. Of a size with few behaviours, hold few out.
    """
    return tuple(stream(vocabulary, sizes, generator=np.random.Generator(np.random.PCG64([seed, 1]))))


__all__ = ["Examiner", "GeneratedProgram", "Tally", "held_out", "stream"]
