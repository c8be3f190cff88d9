"""Proof that a discrete core runs its programs as the teacher does, for every input of every size.

The argument is an induction over the steps of a run (docs/certificates.md). A frame is one run of a program. At each
step a frame is in a *configuration*: the teacher's node, the core's state code, and the observation. This module walks
every configuration that a frame can be in, whatever the world holds, and compares the two decisions in each:

* a frame may begin with any observation;
* after a primitive the observation changes as ``envs.scratchpad.transitions`` allows, and cells that were not seen hold
anything;
* after a call of a program, every field that the program (or what it calls) can change holds anything. A learned call,
of a program with a signal in place of a body, changes anything: any answer is covered.

Where the core agrees everywhere, it never takes a step that the teacher would not take, so the run is the teacher's.
Fields that neither the teacher reads nor the core's row sees (its gate is closed) cannot matter and are left out.

The walk itself is ``npi.proof.configuration_walk``; a certificate of what it found is ``npi.proof.certificate``, and
``npi.proof.check_certificate`` checks one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import npi
from dsl.program import ProgramSet
from envs.scratchpad.transitions import rules_of
from npi.core.config import FORCED, LEARNED
from npi.library.kinds import ProgramProof, kind_of
from npi.library.library import Library, LibraryError
from npi.library.operations import hosting
from npi.library.program_files import named
from npi.proof.call_effects import call_effects, changed_by, domain_rules, domains, with_callees
from npi.proof.certificate import TOLERANCE, Certificate, CertifiedFile, CertifiedProgram, table_rows
from npi.proof.configuration_walk import HistoryWalk, TextWalk, Walk
from npi.proof.world_audit import audit
from npi.running.core_stepper import CoreStepper
from npi.training.validation import Validation, Validator
from traces.recording.placed_steps import PlacedSteps
from traces.recording.unique_frames import FrameSet

PICTURED = "its world shows pictures, and there is no list of all pictures to walk: measure it with npi eval"
"""Why such programs have no proof."""


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
    return kind_of(library.core).prove(library, programs, names)


def text_steps(library: Library, programs: ProgramSet, name: str) -> PlacedSteps:
    """Every step that frames of a program can make, by its text alone; the library names the world."""
    effects = call_effects(programs, changed_by(programs))
    rules = (*rules_of(programs.world.spec), *domain_rules(programs, domains(programs)))
    stepper = CoreStepper.of(library, programs.table)
    return TextWalk(stepper, programs, programs.program(name), effects, rules).steps()


def prove_decisions(
    library: Library, programs: ProgramSet, names: Collection[str] | None, *, brief: bool = False
) -> list[ProgramProof]:
    """:func:`certify` for discrete and lstm cores.

    Args:
        brief: a walk ends where it finds anything wrong.
    """
    bodies = [p for p in programs.programs if p.signal is None and (names is None or p.name in names)]
    if programs.world.spec.rendered:
        return [ProgramProof.unproved(program.name, PICTURED) for program in bodies]
    stepper = CoreStepper.of(library, programs.table)
    changes, fields = changed_by(programs), programs.world.spec.fields
    effects = call_effects(programs, changes)
    rules = (*rules_of(programs.world.spec), *domain_rules(programs, domains(programs)))
    kind = Walk if library.core.config.kind == "discrete" else HistoryWalk
    proofs = []
    for program in bodies:
        try:
            found = kind(stepper, programs, program, effects, rules).run(brief=brief)
        except LibraryError as error:
            if kind is Walk:
                raise
            proofs.append(ProgramProof.unproved(program.name, str(error)))
            continue
        proofs.append(replace(found, changes=tuple(fields[i].name for i in sorted(changes[program.id]))))
    return proofs


class Certifier:
    """A validator that asks for a proof of every program and, where all hold, another validator.

    Args:
        library: whose core and rows are walked, as they are at the time of each call.
        names: qualified names of the programs to prove; all by default.
        states: how the core comes by its states: where they are forced, all steps of a program that is not proved join
            what is learned, where they are learned, the paths to wrong configurations.
    """

    def __init__(
        self,
        validate: Validator,
        library: Library,
        sets: Sequence[ProgramSet],
        *,
        names: Collection[str] | None = None,
        states: str = LEARNED,
    ) -> None:
        self.validate, self.library, self.sets, self.names = validate, library, sets, names
        self.states = states
        self.proofs: list[ProgramProof] = []
        self.rounds = 0  # walks that found something wrong
        self.audited = 0  # steps of the teacher on which the worlds were seen to do what they declare

    def __call__(self, turn: int) -> Validation:
        """Programs proved, and problems run where all are; of others what to learn from comes back."""
        if not self.audited:
            self.audited = sum(audit(programs) for programs in self.sets)
        self.proofs, frames, steps = [], list[FrameSet](), list[PlacedSteps]()
        for programs in self.sets:
            proofs = self._proofs(programs)
            self.proofs += proofs
            for proof in (one for one in proofs if not one.proved):
                if self.states == FORCED and not proof.trouble:
                    steps.append(text_steps(self.library, programs, proof.program))
                elif proof.examples is not None:
                    frames.append(proof.examples)
        proved = sum(proof.proved for proof in self.proofs)
        self.rounds += proved < len(self.proofs)
        found = self.validate(turn) if proved == len(self.proofs) else Validation()
        return Validation(
            problems=found.problems + len(self.proofs),
            solved=found.solved + proved,
            frames=(*found.frames, *frames),
            steps=tuple(steps),
            spared=found.spared,
        )

    def _proofs(self, programs: ProgramSet) -> list[ProgramProof]:
        """Of a file; where all steps of a wrong program are learned from, it does not matter how many are wrong."""
        if self.states == FORCED:
            return prove_decisions(self.library, programs, self.names, brief=True)
        return certify(self.library, programs, names=self.names)


def prove(library: Library, names: Collection[str] | None = None) -> list[tuple[ProgramSet, list[ProgramProof]]]:
    """Walk the programs of these names, each from the first file that has it and those whose tasks run it, with what
    they call in that file.

    The worlds are audited first where the proofs rest on what they declare.

    Raises :class:`LibraryError` for a program without a text, and
    :class:`~npi.proof.world_audit.UnsoundError` for a world that does not do what it declares.
    """
    asked = set(provable(library) if names is None else names)
    wanted = set(asked)
    learned = wanted & _learned(library)
    if learned or not wanted:
        raise LibraryError(
            f"{min(learned or _learned(library), default='the library')} has no text to compare its row with: it was "
            "learned from a signal; certify the programs that call it, for which it counts as any answer"
        )
    sets = [hosting(programs, library.hosts) for programs in library.texts_of(wanted)]
    if traced := wanted - {program.name for programs in sets for program in programs.programs}:
        raise LibraryError(f"there is no program text of {min(traced)}: it was learned from traces alone")
    if kind_of(library.core).audited:
        for programs in sets:
            audit(programs)
    found = []
    for programs in sets:
        mine = wanted & {p.name for p in programs.programs}
        wanted -= mine
        mine |= asked & {programs.program(task.program).name for task in programs.tasks}  # under this file's layouts
        if mine:
            found.append((programs, certify(library, programs, names=with_callees(programs, mine))))
    return found


def provable(library: Library, words: Sequence[str] = ()) -> list[str]:
    """Qualified names of the programs that are called so, as a whole or by their bare parts, in the order of the rows.

    By default all that have a text to be compared with; learned ones have none. Raises :class:`LibraryError` for a word
    by which no program, or several, are called.
    """
    names = [info.name for info in library.memory.infos if not info.primitive]
    unwanted = set(names) - {named(word, names) for word in words} if words else _learned(library)
    return [name for name in names if name not in unwanted]


def _learned(library: Library) -> set[str]:
    """The programs with a signal in place of a body."""
    return {program.name for programs in library.sets for program in programs.signals}


def check_certifiable(library: Library) -> None:
    """Raise :class:`LibraryError` for a core of whose proofs no certificate is written."""
    if reason := kind_of(library.core).uncertified(library.core):
        raise LibraryError(reason)


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
