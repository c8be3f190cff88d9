"""Proof that a discrete core runs its programs as the teacher does, for every input of every size.

The argument is an induction over the steps of a run (docs/certificates.md). A frame is one run of a program. At each
step a frame is in a *situation*: the teacher's node, the core's state code, and the observation. This module walks
every situation that a frame can be in, whatever the world holds, and compares the two decisions in each:

* a frame may begin with any observation;
* after a primitive the observation changes as ``envs.effects`` allows, and cells that were not seen hold anything;
* after a call of a program, every field that the program (or what it calls) can change holds anything.

Where the core agrees everywhere, it never takes a step that the teacher would not take, so the run is the teacher's.
Fields that neither the teacher reads nor the core's row sees (its gate is closed) cannot matter and are left out.

Shape legend: ``M`` situations, ``F`` fields, ``R`` fields that matter to a program.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import product

import torch

from dsl import compile_teacher
from dsl.program import Program, ProgramSet
from dsl.teacher import body_nodes
from envs.effects import Alternative, Anything, Copy, Effect, Keep, Set, anything, changed_fields, effect_of
from envs.spec import RETURN, SLOTS
from npi.library import Library, LibraryError
from npi.stepper import CoreStepper
from npi.train import Validation, Validator
from traces.frames import FrameSet

LARGEST = 4_000_000
"""Situations of one program; more are refused."""

SHOWN = 512
"""Counterexamples kept of one program, spread over all that were found."""


@dataclass(frozen=True)
class ProgramProof:
    """What the walk of one program found.

    Attributes:
        program: qualified name.
        situations: how many there are. wrong: in how many the core decides otherwise than the teacher.
        margin: the least distance of any decision from turning out otherwise (logits).
        fields: names of the observation fields that matter.
        examples: the paths to wrong situations as frames to learn from; ``None`` where there are none.
    """

    program: str
    situations: int
    wrong: int
    margin: float
    fields: tuple[str, ...]
    examples: FrameSet | None

    @property
    def proved(self) -> bool:
        return self.wrong == 0


def certify(library: Library, programs: ProgramSet, *, names: Collection[str] | None = None) -> list[ProgramProof]:
    """Walk every program of a file, or those of the qualified names given.

    Raises :class:`LibraryError` for a core that is not discrete.
    """
    if library.core.config.kind != "discrete":
        raise LibraryError("only a discrete core can be certified here: an lstm's state has no finite number of values")
    stepper = library.stepper(programs.table, memo=False)
    assert isinstance(stepper, CoreStepper)
    effects = call_effects(programs)
    chosen = [p for p in programs.programs if names is None or p.name in names]
    return [_Walk(stepper, programs, program, effects).run() for program in chosen]


def call_effects(programs: ProgramSet) -> dict[tuple[int, ...], Effect]:
    """The effect of every call that some body makes: exact for primitives, widened for programs."""
    calls = {p.id: {c for node in body_nodes(p) for c in map(tuple, node.call_M4.tolist())} for p in programs.programs}
    primitives = programs.table.primitives
    spec = programs.world.spec
    direct = {c: effect_of(spec, c) for made in calls.values() for c in made if 0 <= c[0] < primitives}
    touched = {p: changed_fields([direct[c] for c in made if c in direct]) for p, made in calls.items()}
    grown = True
    while grown:  # what a program changes is what its calls change: a least fixed point
        grown = False
        for program, made in calls.items():
            more = set().union(*(touched[c[0]] for c in made if c[0] >= primitives)) - touched[program]
            touched[program] |= more
            grown |= bool(more)
    inner = {c: anything(touched[c[0]]) for made in calls.values() for c in made if c[0] >= primitives}
    return direct | inner


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

    def __call__(self, turn: int) -> Validation:
        """Problems run and programs proved; paths to wrong situations come back as frames to learn from."""
        found = self.validate(turn)
        if not found.passed:
            return found
        self.proofs = [p for programs in self.sets for p in certify(self.library, programs, names=self.names)]
        return Validation(
            problems=found.problems + len(self.proofs),
            solved=found.solved + sum(proof.proved for proof in self.proofs),
            frames=tuple(proof.examples for proof in self.proofs if proof.examples is not None),
        )


class _Walk:
    """Breadth first over the situations of one program, all argument values together."""

    def __init__(
        self, stepper: CoreStepper, programs: ProgramSet, program: Program, effects: dict[tuple[int, ...], Effect]
    ) -> None:
        self.stepper, self.programs, self.program, self.effects = stepper, programs, program, effects
        self.teacher = compile_teacher(programs)
        self.sizes = [f.size for f in programs.world.spec.fields]
        read = {r.index for node in body_nodes(program) for r in node.reads if r.kind == "field"}
        gates = stepper.gate_NI[program.id, : len(self.sizes)].tolist()
        self.fields = [i for i in range(len(self.sizes)) if i in read or gates[i]]
        tokens = [s.tokens for s in program.signature.slots]
        self.arguments = torch.tensor(list(product(*tokens, *[(0,)] * (SLOTS - len(tokens)))))
        codes, nodes = 2**stepper.core.config.bits + 1, len(body_nodes(program))
        self.radix = [len(self.arguments), nodes, codes, *(self.sizes[i] for i in self.fields)]
        entries = math.prod([self.radix[0], *self.radix[3:]])
        if entries > LARGEST or math.prod(self.radix) >= 2**62:
            raise LibraryError(
                f"{program.name} sees {len(self.fields)} fields with {entries} combinations, too many to walk; train "
                "longer, so that it closes the gates that it does not need, or split the program"
            )
        self.strides = torch.tensor([math.prod(self.radix[i + 1 :]) for i in range(len(self.radix))])

    def run(self) -> ProgramProof:
        ranges = [range(self.radix[0]), (0,), (0,), *(range(n) for n in self.radix[3:])]
        wave = torch.cartesian_prod(*[torch.tensor(list(r)) for r in ranges]).view(-1, len(self.radix))
        all_keys = self.key(wave).sort().values
        waves, parents, wrong = [wave], [torch.full((len(wave),), -1)], []
        total, margin, first = len(wave), math.inf, 0
        while len(wave):
            call, node, code, bad, least = self.decide(wave)
            margin = min(margin, least)
            wrong.append(bad.nonzero()[:, 0] + first)
            found, origin = self.successors(wave, call, node, code, ~bad)
            key, index = _first_of_each(self.key(found))
            place = torch.searchsorted(all_keys, key).clamp(max=len(all_keys) - 1)
            fresh = all_keys[place] != key
            all_keys = torch.cat([all_keys, key[fresh]]).sort().values
            wave = found[index[fresh]]
            waves.append(wave)
            parents.append(origin[index[fresh]] + first)
            first, total = total, total + len(wave)
            if total > LARGEST:
                raise LibraryError(f"{self.program.name}: more than {LARGEST} situations; split the program")
        bad = torch.cat(wrong)
        return ProgramProof(
            program=self.program.name,
            situations=total,
            wrong=len(bad),
            margin=margin,
            fields=tuple(self.programs.world.spec.fields[i].name for i in self.fields),
            examples=self.frames(torch.cat(waves), torch.cat(parents), bad[_spread(len(bad))]) if len(bad) else None,
        )

    def key(self, wave: torch.Tensor) -> torch.Tensor:
        return (wave * self.strides).sum(1)

    def observe(self, wave: torch.Tensor) -> torch.Tensor:
        """obs_MF with 0 in the fields that do not matter."""
        obs_MF = torch.zeros(len(wave), len(self.sizes), dtype=torch.int64)
        obs_MF[:, self.fields] = wave[:, 3:]
        return obs_MF

    def decide(self, wave: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, float]:
        """The teacher's call and next node, the core's next code, where they differ, and the least margin."""
        obs_MF, program_M = self.observe(wave), torch.full((len(wave),), self.program.id)
        arguments_M3 = self.arguments[wave[:, 0]]
        taught = self.teacher.step(obs_MF, program_M, arguments_M3, wave[:, 1:2])
        done, margin_M = self.stepper.weigh(obs_MF, program_M, arguments_M3, wave[:, 2:3])
        returns = taught.call_B4[:, 0] == RETURN
        same = (done.call_B4 == taught.call_B4).all(1) | (returns & (done.call_B4[:, 0] == RETURN))
        return taught.call_B4, taught.hidden_BH, done.hidden_BH, ~same, float(margin_M.min())

    def successors(
        self, wave: torch.Tensor, call: torch.Tensor, node: torch.Tensor, code: torch.Tensor, go_on: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Every situation after the teacher's calls, and which situation of the wave each comes from."""
        go_on = go_on & (call[:, 0] != RETURN)
        found, origin = [wave[:0]], [torch.empty(0, dtype=torch.int64)]
        for one in torch.unique(call[go_on], dim=0).tolist():
            rows = (go_on & (call == torch.tensor(one)).all(1)).nonzero()[:, 0]
            for alternative in self.effects[tuple(one)]:
                holds = rows
                for index, value in alternative.guard:
                    if index in self.fields:
                        holds = holds[wave[holds, 3 + self.fields.index(index)] == value]
                after = torch.cat([wave[holds, :1], node[holds], code[holds], wave[holds, 3:]], 1)
                spread, source = self.spread(after, wave[holds], alternative)
                _, kept = _first_of_each(self.key(spread))
                found.append(spread[kept])
                origin.append(holds[source[kept]])
        return torch.cat(found), torch.cat(origin)

    def spread(
        self, after: torch.Tensor, before: torch.Tensor, alternative: Alternative
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """``after`` with every combination of what its changed fields may hold."""
        source = torch.arange(len(after))
        for column, index in enumerate(self.fields, start=3):
            versions, sources = [], []
            for change in alternative.changes.get(index, ()):
                for value in self.values(change, index, before[source], column):
                    version = after.clone()
                    version[:, column] = value
                    versions.append(version)
                    sources.append(source)
            if versions:
                after, source = torch.cat(versions), torch.cat(sources)
                _, kept = _first_of_each(self.key(after))
                after, source = after[kept], source[kept]
        return after, source

    def values(
        self, change: object, index: int, before: torch.Tensor, column: int
    ) -> Sequence[torch.Tensor | int]:
        match change:
            case Keep():
                return [before[:, column]]
            case Set(value):
                return [value]
            case Copy(other) if other in self.fields:
                return [before[:, 3 + self.fields.index(other)]]
            case Copy() | Anything():
                return range(self.sizes[index])
        raise AssertionError(f"unknown change {change}")

    def frames(self, situations: torch.Tensor, parents: torch.Tensor, ends: torch.Tensor) -> FrameSet:
        """The paths to some situations, as frames that end there; fields that do not matter hold what they may."""
        paths = []
        for end in ends.tolist():
            path = [end]
            while parents[path[-1]] >= 0:
                path.append(int(parents[path[-1]]))
            paths.append(path[::-1])
        steps = situations[torch.tensor([s for path in paths for s in path])]
        call_S4, *_ = self.decide(steps)
        obs_SF = self.observe(steps)
        generator = torch.Generator().manual_seed(len(steps))
        for index in set(range(len(self.sizes))) - set(self.fields):
            obs_SF[:, index] = torch.randint(self.sizes[index], (len(steps),), generator=generator)
        length = torch.tensor([len(path) for path in paths])
        first = steps[length.cumsum(0) - length]
        return FrameSet(
            self.programs.table,
            program_M=torch.full((len(paths),), self.program.id),
            arguments_M3=self.arguments[first[:, 0]],
            start_M=length.cumsum(0) - length,
            length_M=length,
            count_M=torch.ones(len(paths), dtype=torch.int64),
            origin_M3=torch.zeros(len(paths), 3, dtype=torch.int64),
            obs_SF=obs_SF.to(torch.int16),
            call_S4=call_S4.to(torch.int32),
        )


def _spread(count: int) -> torch.Tensor:
    return torch.linspace(0, count - 1, min(count, SHOWN)).round().to(torch.int64)


def _first_of_each(key: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The different keys in ascending order, and where each stands first."""
    keys, order = torch.sort(key, stable=True)
    begins = torch.ones_like(keys, dtype=torch.bool)
    begins[1:] = keys[1:] != keys[:-1]
    return keys[begins], order[begins]
