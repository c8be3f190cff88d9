"""Checks a certificate by itself: it shares no code with the walk that made it, only the world and the teacher.

For each program the list of configurations must hold whatever a frame can begin with, must be closed under steps, and
the core must decide in each as the teacher does. Then no run can leave it (docs/certificates.md). What a call of
another program changes must include what that program's own calls change; all of those must be certified, too. One that
was learned from a signal counts as any answer. A configuration is a row of integers: three argument tokens, the
teacher's node, the state code, the fields that matter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import torch

from dsl.program import Program, ProgramSet
from dsl.teacher import Teacher, body_nodes, teacher_of_bodies
from envs.scratchpad import transitions as e
from envs.scratchpad.config import PLACE, PadConfig
from envs.spec import BLANK, RETURN, SLOTS
from envs.stepper import Observation
from npi.core.discrete import DiscreteTrunk
from npi.core.recurrent import may_call
from npi.library.library import Library, LibraryError
from npi.proof.certificate import TOLERANCE, Certificate, CertifiedFile, CertifiedProgram
from npi.running.core_stepper import CoreStepper

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

HEAD = SLOTS + 2  # columns before the fields: argument tokens, node, code
CHUNK = 1 << 16  # configurations that are looked at side by side
MOST = 1 << 23  # that are held in memory; a proof lists half as many of a program at most


@dataclass(frozen=True)
class Finding:
    """What the check of one program came to: ``fault`` is empty where its certificate holds."""

    file: str
    program: str
    configurations: int
    margin: float
    fault: str = ""


class _Fault(Exception):
    """Why a certificate does not hold."""


def check(certificate: Certificate, library: Library, *, hashes: bool = True) -> list[Finding]:
    """Check a certificate against a library: one finding a program; without ``hashes`` core and rows may have changed
    since, and only decisions count (to try changed cores)."""
    if library.core.config.kind != "discrete":
        raise LibraryError("a certificate is for a discrete core, and this library has another kind")
    findings = []
    for file in certificate.files:
        programs = library.file(file.digest)
        fault = certificate.void(file, library, programs) if hashes or programs is None else ""
        found, callees = {p.name: (math.nan, fault) for p in file.programs}, dict[str, set[str]]()
        for certified in file.programs if programs is not None and not fault else ():
            try:
                assert programs is not None
                checker = _FileCheck(library, programs, file, max(certificate.tolerance, TOLERANCE))
                found[certified.name], callees[certified.name] = (checker.program(certified), ""), checker.callees
            except _Fault as error:
                found[certified.name] = math.nan, str(error)
        for name, called in [*callees.items()] * len(callees):  # however long the chain of calls is
            for callee in (callee for callee in called if found[callee][1] and not found[name][1]):
                found[name] = math.nan, f"it calls {callee}, whose certificate does not hold"
        findings += [Finding(file.file, p.name, len(p.configurations), *found[p.name]) for p in file.programs]
    return findings


class _FileCheck:
    def __init__(self, library: Library, programs: ProgramSet, file: CertifiedFile, tolerance: float) -> None:
        self.programs, self.file, self.tolerance, self.spec = programs, file, tolerance, programs.world.spec
        self.names, self.sizes = [f.name for f in self.spec.fields], [f.size for f in self.spec.fields]
        self.teacher: Teacher = teacher_of_bodies(programs)
        if self.spec.rendered:
            raise _Fault("its world shows pictures, and there is no list of all pictures")
        self.core = _CoreNumbers(library, programs)
        self.bodies = {program.name: program for program in programs.programs if program.signal is None}
        self.certified = {self.bodies[p.name].id: p for p in file.programs if p.name in self.bodies}
        self.callees: set[str] = set()
        self.rules = [*e.rules_of(self.spec), *self._domain_rules()]

    def _domain_rules(self) -> list[e.Rule]:
        """That pointers show what their rows are said to hold: whatever they declare, but for rows with blanks into
        which no task of the file's text lays anything: these hold blanks, and what is written."""
        found, self.held = [], dict[str, Sequence[str]]()
        if not self.file.domains:
            return []
        if self.spec.kind != "scratchpad" or self.programs.signals:
            raise _Fault("its rows are said to hold less than they declare, and what others write is not known")
        config = PadConfig.from_json(self.spec.config)
        laid = {content.row for task in self.programs.tasks for content in task.laid}
        for pointer in config.pointers:
            row = config.row_of(pointer)
            held = self.held[pointer.name] = self.file.domains.get(row.name, ())
            said = f"row {row.name} is said to hold {', '.join(held) or 'nothing'}"
            if not set(held) <= set(row.values) or (row.blank and BLANK not in held):
                raise _Fault(f"{said}; it has blanks too")
            if (row.name in laid or not row.blank or not self.programs.tasks) and set(held) != set(row.values):
                raise _Fault(f"{said}, and layouts can hold {', '.join(set(row.values) - set(held))} there")
            values = frozenset((row.values.index(value),) for value in held)
            found += [e.Rule((self.names.index(pointer.name),), values)] if pointer.sees else []
        return found

    def program(self, certified: CertifiedProgram) -> float:
        """Check one program; its least margin. Raises :class:`_Fault`."""
        program = self.bodies.get(certified.name)
        if program is None or not {*certified.fields, *certified.changes} <= set(self.names):
            raise _Fault("there is no such program with a text, or no such field in its world")
        fields = [self.names.index(name) for name in certified.fields]
        read = {r.index for node in body_nodes(program) for r in node.reads if r.kind == "field"}
        if not read | self.core.seen(program.id) <= set(fields):
            raise _Fault("a field that matters is left out")
        rows = certified.configurations.numpy().astype(np.int64)
        space = _Space(program, fields, self.sizes, 2**self.core.bits + 1, rows)
        known = np.unique(space.keys(rows))
        heads = np.array([[*tokens, 0, 0, *[0] * len(fields)] for tokens in product(*space.tokens)])
        if not self._listed(heads, e.Alternative(changes=dict.fromkeys(fields, (e.ANYTHING,))), space, known):
            raise _Fault("a frame can begin in a configuration that is not listed")
        least = math.inf
        for begin in range(0, len(rows), CHUNK):
            calls, margin, after = self._step(program, fields, rows[begin : begin + CHUNK])
            least = min(least, float(margin.min()))
            if not (margin >= self.tolerance).all():
                raise _Fault(f"in {int((~(margin >= self.tolerance)).sum())} configurations the core decides otherwise")
            for call in np.unique(calls[calls[:, 0] != RETURN], axis=0).tolist():
                mine = after[(calls == call).all(1)[after[:, -1]], :-1]
                for alternative in self._effect(certified, call):
                    if not self._listed(mine, alternative, space, known):
                        raise _Fault("a step leads to a configuration that is not listed")
        return least

    def _possible(self, observations: Ints, fields: Sequence[int]) -> Bools:
        """Which observations the rules about the last of these fields allow; one over a field left out says nothing."""
        good = np.ones(len(observations), dtype=bool)
        for rule in self.rules:
            if fields[-1] in rule.fields and set(rule.fields) <= set(fields):
                table = np.zeros([self.sizes[i] for i in rule.fields], dtype=bool)
                table[tuple(np.array(sorted(rule.allowed)).T)] = True
                good &= table[tuple(observations[:, fields.index(i)] for i in rule.fields)]
        return good

    def _step(self, program: Program, fields: Sequence[int], rows: Ints) -> tuple[Ints, npt.NDArray[np.float32], Ints]:
        """The teacher's calls, by how much the core favours them, and the rows with the node and code that follow (and
        the old fields), several where a number of the state is near 0; their last column says where each comes from."""
        observed = np.zeros((len(rows), len(self.sizes)), dtype=np.int64)
        observed[:, list(fields)] = rows[:, HEAD:]
        parts = (observed, np.full(len(rows), program.id), rows[:, :SLOTS], rows[:, SLOTS : SLOTS + 1])
        obs, *rest = (torch.from_numpy(np.ascontiguousarray(part)) for part in parts)
        taught = self.teacher.step(Observation(obs), *rest)
        calls = taught.call_B4.numpy()
        margin, value = self.core.margins(program.id, observed, rows, calls)
        origin, bits = np.arange(len(rows)), value >= 0
        for bit in range(bits.shape[1]):
            doubtful = ~(np.abs(value[origin, bit]) >= self.tolerance)
            turned = bits[doubtful]
            turned[:, bit] = ~turned[:, bit]
            origin, bits = np.concatenate([origin, origin[doubtful]]), np.concatenate([bits, turned])
        after = np.concatenate([rows[origin], origin[:, None]], axis=1)
        after[:, SLOTS] = taught.hidden_BH.numpy()[origin, 0]
        after[:, SLOTS + 1] = (1 + bits @ (1 << np.arange(bits.shape[1]))) * self.core.remembers(program.id)
        return calls, margin, after

    def _effect(self, certified: CertifiedProgram, call: Sequence[int]) -> e.Effect:
        """What a call does: the world's word for a primitive, for a program what its own certificate owns up to."""
        if call[0] < self.programs.table.primitives:
            effect, changes = e.effect_of(self.spec, call), e.changed_fields([e.effect_of(self.spec, call)])
            pointer, action, symbol = (self.spec.tokens[token] for token in call[1:])
            held = self.held.get(pointer, ()) if action in ("WRITE", "SAVE") else (symbol,)
            if self.held and (PLACE if action == "SAVE" else symbol) not in held:
                raise _Fault(f"it writes {symbol} under {pointer}, whose row is said never to hold it")
        else:
            if call[0] in self.certified:
                changes = {i for i, name in enumerate(self.names) if name in self.certified[call[0]].changes}
                self.callees.add(self.certified[call[0]].name)
            elif call[0] in {learned.id for learned in self.programs.signals}:
                changes = set(range(len(self.names)))
            else:
                raise _Fault(f"it calls {self.programs.table.signatures[call[0]].name}, which is not certified")
            effect = e.anything(changes)
        if not {self.names[index] for index in changes} <= set(certified.changes):
            raise _Fault("it can change a field and does not say so")
        return effect

    def _listed(self, rows: Ints, alternative: e.Alternative, space: _Space, known: Ints) -> bool:
        """Whether all is listed that a call which goes this way leads to; ``rows`` hold the next node and code, and the
        old fields. What is more than :data:`MOST` is looked at part by part."""
        for index, value in alternative.guard:
            if index in space.fields:
                rows = rows[rows[:, HEAD + space.fields.index(index)] == value]
        ways = [(i, alternative.changes.get(i, (e.Keep(),))) for i in space.fields]
        choices = [np.any([self._offers(s, i, rows, space.fields) for s in sources], axis=0) for i, sources in ways]
        packed = np.concatenate([rows[:, :HEAD], *choices], axis=1) if choices else rows[:, :HEAD]
        packed = np.unique(packed, axis=0)  # the head and what each field may become tell all
        found, origin, at = packed[:, :HEAD], np.arange(len(packed)), HEAD
        for place, index in enumerate(space.fields, start=1):
            if len(found) * self.sizes[index] > MOST:
                halves = np.array_split(rows, 2)
                return len(rows) > 1 and all(self._listed(half, alternative, space, known) for half in halves)
            source, new = np.nonzero(packed[origin, at : at + self.sizes[index]])
            found = np.concatenate([found[source], new[:, None]], axis=1)
            good = self._possible(found[:, HEAD:], space.fields[:place])
            found, origin, at = found[good], origin[source][good], at + self.sizes[index]
        return bool(np.isin(space.keys(found), known).all())

    def _offers(self, source: e.Source, index: int, rows: Ints, fields: Sequence[int]) -> Bools:
        """bool rows × values: what a source lets a field hold afterwards."""
        everything = np.ones((len(rows), self.sizes[index]), dtype=bool)
        match source:
            case e.Keep():
                return self._offers(e.Copy(index), index, rows, fields)
            case e.Set(value):
                return everything & (np.arange(self.sizes[index]) == value)
            case e.Copy(other) if other in fields:
                return np.equal.outer(rows[:, HEAD + fields.index(other)], np.arange(self.sizes[index]))
            case e.When(other, values, inner):
                meets = np.isin(rows[:, HEAD + fields.index(other)], values) if other in fields else np.True_
                return self._offers(inner, index, rows, fields) & np.atleast_1d(meets)[:, None]
        return everything


class _Space:
    """The configurations that a program could be in, as numbers of mixed radix."""

    def __init__(self, program: Program, fields: list[int], sizes: Sequence[int], codes: int, rows: Ints) -> None:
        slots = [slot.tokens for slot in program.signature.slots]
        self.fields = fields
        self.tokens = [*slots, *[(0,)] * (SLOTS - len(slots))]
        self.radix = [*(max(t) + 1 for t in self.tokens), len(body_nodes(program)), codes, *(sizes[i] for i in fields)]
        if len(self.radix) != rows.shape[1] or len(set(fields)) != len(fields) or math.prod(self.radix) >= 2**62:
            raise _Fault("its configurations do not have the columns that they should")
        inside = (rows >= 0).all() and (rows < np.array(self.radix)).all()
        if not inside or not all(np.isin(rows[:, i], t).all() for i, t in enumerate(self.tokens)):
            raise _Fault("a configuration is listed that there cannot be")

    def keys(self, rows: Ints) -> Ints:
        return rows @ np.array([math.prod(self.radix[i + 1 :]) for i in range(len(self.radix))], dtype=np.int64)


class _CoreNumbers:
    """The numbers from which a discrete core decides, for the programs of one file."""

    def __init__(self, library: Library, programs: ProgramSet) -> None:
        stepper = CoreStepper.of(library, programs.table)
        self.core, self.stepper, self.table, self.bits = stepper.core, stepper, programs.table, stepper.core.config.bits
        self.rows = library.rows(programs.table)
        self.may_call = may_call(library.memory, self.rows).numpy()
        numbers = [*library.core.parameters(), *(part[self.rows] for part in library.memory.parameters())]
        if not all(bool(part.isfinite().all()) for part in numbers):
            raise _Fault("there are numbers that are not finite")  # 0 times one of them would not be 0
        self.words_NSW = library.memory.gates_NF.detach()[self.rows].unflatten(1, (self.core.codes, self.core.words))

    def seen(self, callee: int) -> set[int]:
        """The fields that are not multiplied by 0 before a program sees them."""
        weights = self.core.adapter(self.stepper.world).input_weights(self.words_NSW[callee]).any(0).tolist()
        return {i for i in range(len(self.table.world.fields)) if weights[i]}

    def remembers(self, callee: int) -> bool:
        """Whether a program uses its state."""
        return not self.core.words or bool(self.words_NSW[callee, 0, 0] % 2)  # without gates, all do

    @torch.no_grad()
    def margins(self, program: int, observed: Ints, rows: Ints, calls: Ints) -> tuple[npt.NDArray[np.float32], ...]:
        """By how much the core favours these calls (below 0: it makes another), and the next state's numbers."""
        trunk, adapter = self.core.trunk, self.core.adapter(self.stepper.world)
        assert isinstance(trunk, DiscreteTrunk)
        columns = observed, rows[:, :SLOTS], rows[:, SLOTS + 1 : HEAD]
        obs, arguments, code = (torch.from_numpy(np.ascontiguousarray(x)) for x in columns)
        which = torch.full((len(rows),), program)
        words_MW = self.words_NSW[program][code[:, 0] if self.core.words else torch.zeros_like(which)]
        x_MX = adapter.encode(obs, arguments, adapter.input_weights(words_MW))
        hidden, value = trunk.advance(x_MX, self.stepper.cond_NC[which], code)
        end = self.core.end_logits(hidden).numpy()
        key = self.core.key_logits(hidden, self.stepper.rows)[:, self.stepper.columns].numpy()
        token = adapter.argument_logits(hidden).numpy()
        margin = np.where(calls[:, 0] == RETURN, end, -end)
        for callee in np.unique(calls[calls[:, 0] != RETURN, 0]).tolist():
            mine = np.flatnonzero(calls[:, 0] == callee)
            leads = [key[mine, callee] - key[mine, q] for q in np.flatnonzero(self.may_call[program]) if q != callee]
            for slot, one in enumerate(self.table.signatures[callee].slots):
                wanted, logits = calls[mine, 1 + slot], token[mine, slot]
                favoured = logits[np.arange(len(mine)), wanted]
                leads += [np.where(wanted == t, np.inf, favoured - logits[:, t]) for t in one.tokens]
            margin[mine] = np.min([margin[mine], *leads], axis=0)
            if not self.may_call[program, callee]:
                margin[mine] = -np.inf
        decided = self.stepper.step(Observation(obs), which, arguments, code).call_B4.numpy()  # as the machine runs it
        same = (decided == calls).all(1) | ((decided[:, 0] == RETURN) & (calls[:, 0] == RETURN))
        return np.where(same, margin, -np.inf), value.numpy()
