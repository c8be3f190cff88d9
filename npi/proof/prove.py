"""Proof that a discrete core runs its programs as the teacher does, for every input of every size.

The argument is an induction over the steps of a run (docs/certificates.md). A frame is one run of a program. At each
step a frame is in a *situation*: the teacher's node, the core's state code, and the observation. This module walks
every situation that a frame can be in, whatever the world holds, and compares the two decisions in each:

* a frame may begin with any observation;
* after a primitive the observation changes as ``envs.scratchpad.transitions`` allows, and cells that were not seen hold
anything;
* after a call of a program, every field that the program (or what it calls) can change holds anything.

Where the core agrees everywhere, it never takes a step that the teacher would not take, so the run is the teacher's.
Fields that neither the teacher reads nor the core's row sees (its gate is closed) cannot matter and are left out.

The walk itself is ``npi.proof.situation_walk``; a certificate of what it found is ``npi.proof.certificate``, and
``npi.proof.check_certificate`` checks one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch

import npi
from dsl.program import ProgramSet
from envs.scratchpad.transitions import rules_of
from npi.library.library import Library, LibraryError
from npi.proof.call_effects import call_effects, changed_by, domain_rules, domains, with_callees
from npi.proof.certificate import TOLERANCE, Certificate, CertifiedFile, CertifiedProgram, table_rows
from npi.proof.history_walk import HistoryWalk
from npi.proof.situation_walk import Walk
from npi.proof.world_audit import audit
from npi.running.core_stepper import CoreStepper
from npi.training.trainer import Validation, Validator
from npi.universal.core import UniversalCore
from npi.universal.prove_rows import prove_row
from traces.recording.unique_frames import FrameSet


@dataclass(frozen=True)
class ProgramProof:
    """What the walk of one program found.

    Attributes:
        program: qualified name.
        situations: how many there are. wrong: in how many the core decides otherwise than the teacher.
        margin: by how much the call of the teacher leads at least (logits).
        fields: names of the observation fields that matter.
        changes: names of those that the program, or what it calls, can change.
        walked: the situations, int16 or int32: three argument tokens, the teacher's node, the state code, ``fields``.
        examples: the paths to wrong situations as frames to learn from; ``None`` where there are none.
        trouble: why it could not be walked; empty where it was.
        where: the first situation in which the core is wrong, in words, as far as the walk tells.
    """

    program: str
    situations: int
    wrong: int
    margin: float
    fields: tuple[str, ...]
    changes: tuple[str, ...]
    walked: torch.Tensor
    examples: FrameSet | None
    trouble: str = ""
    where: str = ""

    @property
    def proved(self) -> bool:
        return self.wrong == 0 and not self.trouble


PICTURED = "its world shows pictures, and there is no list of all pictures to walk: measure it with npi eval"
"""Why such programs have no proof."""


SIGNALLED = "it has a signal in place of a body, or calls such a program, and nothing says what that does"
"""Likewise."""


def _unwalked(program: str, trouble: str) -> ProgramProof:
    return ProgramProof(program, 0, 0, 0.0, (), (), torch.empty(0, 0, dtype=torch.int16), None, trouble)


def certify(library: Library, programs: ProgramSet, *, names: Collection[str] | None = None) -> list[ProgramProof]:
    """Walk every program of a file, or those of the qualified names given.

    A proof of one program is worth what those of its callees are: see :func:`with_callees`.

    Of an ``lstm`` every history is walked, which programs with loops and with many fields have too many of; their
    proofs tell of the trouble; so do those of programs in a world that shows pictures.

    Of a universal core all decisions are compared with the text's, for any observations whatever: a row and a text are
    two finite machines (:mod:`npi.universal.proof`). A decision by less than the tolerance counts as wrong.
    """
    if not all(bool(part.isfinite().all()) for part in (*library.core.parameters(), *library.memory.parameters())):
        raise LibraryError("some numbers of the library are not finite, so nothing can be proved; train it again")
    if isinstance(library.core, UniversalCore):
        return _prove_rows(library, library.core, programs, names)
    if programs.signals:
        return [_unwalked(p.name, SIGNALLED) for p in programs.programs if names is None or p.name in names]
    if programs.world.spec.pictures:
        return [_unwalked(p.name, PICTURED) for p in programs.programs if names is None or p.name in names]
    stepper = library.stepper(programs.table, memo=False)
    assert isinstance(stepper, CoreStepper)
    changes, fields = changed_by(programs), programs.world.spec.fields
    effects = call_effects(programs, changes)
    rules = (*rules_of(programs.world.spec), *domain_rules(programs, domains(programs)))
    kind = Walk if library.core.config.kind == "discrete" else HistoryWalk
    proofs = []
    for program in programs.programs:
        if names is None or program.name in names:
            try:
                walk = kind(stepper, programs, program, effects, rules)
                found = walk.run()
            except LibraryError as error:
                if kind is Walk:
                    raise
                proofs.append(_unwalked(program.name, str(error)))
                continue
            proofs.append(
                ProgramProof(
                    program=program.name,
                    situations=len(found.situations),
                    wrong=len(found.wrong),
                    margin=found.margin,
                    fields=tuple(fields[i].name for i in walk.fields),
                    changes=tuple(fields[i].name for i in sorted(changes[program.id])),
                    walked=found.situations,
                    examples=found.examples,
                )
            )
    return proofs


def _prove_rows(
    library: Library, core: UniversalCore, programs: ProgramSet, names: Collection[str] | None
) -> list[ProgramProof]:
    """The proofs of a universal core's rows; they list no situations, and rest on nothing that the world does."""
    rows, proofs = library.program_rows(programs.table), []
    for program in programs.programs:
        if (names is None or program.name in names) and program.signal is None:  # what a host runs has no text
            try:
                found = prove_row(core, library.memory, rows[program.id], program, programs.table)
            except ValueError as error:
                proofs.append(_unwalked(program.name, str(error)))
                continue
            none = torch.empty(0, 0, dtype=torch.int16)
            proof = found.proof
            proofs.append(ProgramProof(program.name, proof.decisions, proof.wrong or found.close, found.margin,
                                       found.fields, (), none, None, where=proof.where))  # fmt: skip
    return proofs


class Certifier:
    """A validator that asks another one first and, where that is satisfied, for a proof of every program.

    Args:
        validate: runs the tasks.
        library: whose core and rows are walked, as they are at the time of each call.
        sets: the program files.
        names: qualified names of the programs to prove; all by default.
    """

    def __init__(
        self,
        validate: Validator,
        library: Library,
        sets: Sequence[ProgramSet],
        *,
        names: Collection[str] | None = None,
    ) -> None:
        self.validate, self.library, self.sets, self.names = validate, library, sets, names
        self.proofs: list[ProgramProof] = []
        self.rounds = 0  # walks that found something wrong
        self.audited = 0  # steps of the teacher on which the worlds were seen to do what they declare

    def __call__(self, turn: int) -> Validation:
        """Problems run and programs proved; paths to wrong situations come back as frames to learn from."""
        found = self.validate(turn)
        if not found.passed:
            return found
        if not self.audited:
            self.audited = sum(audit(programs) for programs in self.sets)
        self.proofs = [p for programs in self.sets for p in certify(self.library, programs, names=self.names)]
        self.rounds += any(not proof.proved for proof in self.proofs)
        return Validation(
            problems=found.problems + len(self.proofs),
            solved=found.solved + sum(proof.proved for proof in self.proofs),
            frames=tuple(proof.examples for proof in self.proofs if proof.examples is not None),
            spared=found.spared,
        )


def prove(library: Library, names: Collection[str] | None = None) -> list[tuple[ProgramSet, list[ProgramProof]]]:
    """Walk the programs of these names, each from the first file that has it, and what they call in that file."""
    sets = library.sets if names is None else library.texts_of(names)
    wanted = set(names) if names is not None else {p.name for programs in sets for p in programs.programs}
    found = []
    for programs in sets:
        mine = wanted & {p.name for p in programs.programs}
        wanted -= mine
        if mine:
            found.append((programs, certify(library, programs, names=with_callees(programs, mine))))
    return found


def check_certifiable(library: Library) -> None:
    """Raise :class:`LibraryError` for an ``lstm``, whose states a checker cannot list, and for a universal core.

    The whole proof of a universal core's rows takes less than reading a list of their situations would.
    """
    if isinstance(library.core, UniversalCore):
        raise LibraryError(
            "rows of a universal core are proved anew in moments wherever the library is, so no certificate is written "
            "of them: leave out --out, and run npi certify again where proof is wanted"
        )
    if library.core.config.kind != "discrete":
        raise LibraryError("a certificate lists the states of a core, and an lstm's have no finite number of values")


def certificate_of(library: Library, proofs: Sequence[tuple[ProgramSet, Sequence[ProgramProof]]]) -> Certificate:
    """The certificate of proofs that were just made; all of them must hold.

    Raises :class:`LibraryError` for a core without such certificates (:func:`check_certifiable`).
    """
    check_certifiable(library)
    files = []
    for programs, found in proofs:
        assert all(proof.proved for proof in found), "only what is proved is certified"
        files.append(
            CertifiedFile(
                file=programs.sources[-1][0],
                digest=programs.digest,
                rows=table_rows(library, programs),
                domains=domains(programs),
                programs=tuple(CertifiedProgram(p.program, p.margin, p.fields, p.changes, p.walked) for p in found),
            )
        )
    return Certificate(npi.__version__, library.core.digest(), TOLERANCE, tuple(files))
