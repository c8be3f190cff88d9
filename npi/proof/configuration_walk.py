"""The walk over every configuration of one program: what ``npi.proof.prove`` proves with.

A configuration is (arguments, the teacher's node, the core's state code, the fields that matter). The walk begins with
every argument value and every observation, follows the teacher's calls by what ``envs.scratchpad.transitions`` allows,
and compares the core's decision with the teacher's in each configuration. A state number closer to 0 than the tolerance
may have either sign on another device or in another batch: both are followed. A call that leads by less counts as
wrong.

Shape legend: ``M`` configurations, ``F`` fields, ``S`` state bits. The columns of a wave are the position of the
arguments, the node, the code, then the fields that matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import product
from typing import NamedTuple

import torch

from dsl.analysis.learnability import longest_frame
from dsl.program import Program, ProgramSet
from dsl.teacher import body_nodes, teacher_of_bodies
from envs.scratchpad.transitions import Alternative, Anything, Copy, Effect, Keep, Rule, Set, Source, When, obeys
from envs.spec import RETURN, SLOTS
from envs.stepper import Decision, Observation
from envs.support import mixed_radix
from npi.core.discrete import DiscreteTrunk
from npi.library.kinds import ProgramProof
from npi.library.library import LibraryError
from npi.proof.certificate import TOLERANCE
from npi.running.core_stepper import CoreStepper
from npi.training.places import place_reads
from traces.recording.placed_steps import PlacedSteps
from traces.recording.unique_frames import FrameSet

MAX_CONFIGURATIONS = 4_000_000
"""Configurations of one program; more are refused."""

MAX_EXAMPLES = 512
"""Paths to wrong configurations kept of one program, spread over all that were found."""

HISTORIES = 2**14
"""Histories that a core is asked about side by side."""

Advance = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""Inputs and rows of a core → what its heads read, and the numbers that its next state is made of."""

Effects = Mapping[tuple[int, ...], Effect]
"""What each call of a file can do."""


class _Decided(NamedTuple):
    """The teacher's call and next node, the core's next state numbers, where it is wrong, and by how much it leads."""

    call_M4: torch.Tensor
    node_M1: torch.Tensor
    value_MS: torch.Tensor
    wrong_M: torch.Tensor
    margin_M: torch.Tensor


class Walk:
    """Breadth first over the configurations of one program, all argument values together."""

    def __init__(
        self, stepper: CoreStepper, programs: ProgramSet, program: Program, effects: Effects, rules: Sequence[Rule]
    ) -> None:
        self.stepper, self.programs, self.program, self.effects = stepper, programs, program, effects
        self.teacher = teacher_of_bodies(programs)
        self.sizes = [f.size for f in programs.world.spec.fields]
        read = {r.index for node in body_nodes(program) for r in node.reads if r.kind == "field"}
        read |= self.seen()
        self.fields = sorted(read)
        self.column = {index: place for place, index in enumerate(self.fields, start=3)}
        self.rules = [rule for rule in rules if set(rule.fields) <= set(self.fields)]
        tokens = [s.tokens for s in program.signature.slots]
        self.arguments = torch.tensor(list(product(*tokens, *[(0,)] * (SLOTS - len(tokens)))))
        self.count_codes(2**stepper.core.config.bits + 1)

    def seen(self) -> set[int]:
        """The fields that the core's row sees in some state."""
        codes = torch.arange(self.stepper.words_NSW.shape[1])[:, None]
        seen_I = self.stepper.seen(torch.full((len(codes),), self.program.id), codes).any(0).tolist()
        return {index for index in range(len(self.sizes)) if seen_I[index]}

    def count_codes(self, codes: int) -> None:
        """Make room in the keys of configurations for this many state codes."""
        nodes = len(body_nodes(self.program))
        self.radix = [len(self.arguments), nodes, codes, *(self.sizes[i] for i in self.fields)]
        if math.prod(self.radix) >= mixed_radix.MAX_KEYS:
            raise self.too_many()
        self.strides = torch.tensor(mixed_radix.strides(self.radix))

    def run(self, *, brief: bool = False) -> ProgramProof:
        """The proof, or what is wrong.

        Args:
            brief: stop where anything was found to be wrong, and do not count the rest.
        """
        wave = self.beginnings()
        waves, parents, wrong = [wave], [torch.full((len(wave),), -1)], []
        margin, first = math.inf, 0
        while len(wave):
            decided = self.decide(wave)
            margin = min(margin, float(decided.margin_M.min()))
            wrong.append(decided.wrong_M.nonzero()[:, 0] + first)
            if brief and len(wrong[-1]):
                break
            found, origin = self.fresh(*self.successors(wave, decided))
            waves.append(found)
            parents.append(origin + first)
            first, wave = first + len(wave), found
            if first + len(wave) > MAX_CONFIGURATIONS:
                raise self.too_many()
        bad, every = torch.cat(wrong), torch.cat(waves)
        examples = self.frames(every, torch.cat(parents), bad[_spread(len(bad))]) if len(bad) else None
        walked, names = self.named(every), [field.name for field in self.programs.world.spec.fields]
        fields = tuple(names[index] for index in self.fields)
        return ProgramProof(self.program.name, len(every), len(bad), margin, fields, walked=walked, examples=examples)

    def beginnings(self) -> torch.Tensor:
        """The configurations in which a frame can begin: all arguments with all observations that the rules allow."""
        wave = torch.zeros(self.radix[0], len(self.radix), dtype=torch.int64)
        wave[:, 0] = torch.arange(self.radix[0])
        for number, index in enumerate(self.fields, start=1):
            if len(wave) * self.sizes[index] > MAX_CONFIGURATIONS:
                raise self.too_many()
            wave = wave.repeat_interleave(self.sizes[index], 0)
            wave[:, self.column[index]] = torch.arange(len(wave)) % self.sizes[index]
            for rule in self.rules:
                if index in rule.fields and set(rule.fields) <= set(self.fields[:number]):
                    wave = wave[obeys(rule, self.sizes, self.observe(wave))]
        self.known = self.key(wave).sort().values
        return wave

    def fresh(self, found: torch.Tensor, origin: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Each configuration that was not met before once, and where it comes from."""
        key, index = _first_of_each(self.key(found))
        place = torch.searchsorted(self.known, key).clamp(max=len(self.known) - 1)
        new = self.known[place] != key
        self.known = torch.cat([self.known, key[new]]).sort().values
        return found[index[new]], origin[index[new]]

    def too_many(self) -> LibraryError:
        names = ", ".join(self.programs.world.spec.fields[i].name for i in self.fields)
        return LibraryError(
            f"{self.program.name} sees {len(self.fields)} fields ({names}): more than {MAX_CONFIGURATIONS:,} "
            "configurations; split the program"
        )

    def named(self, wave: torch.Tensor) -> torch.Tensor:
        """What does not depend on this walk: three argument tokens, node, code, the fields that matter."""
        rows = torch.cat([self.arguments[wave[:, 0]], wave[:, 1:]], 1)
        return rows.to(torch.int16 if int(rows.max()) < 2**15 else torch.int32)

    def key(self, wave: torch.Tensor) -> torch.Tensor:
        return (wave * self.strides).sum(1)

    def observe(self, wave: torch.Tensor) -> torch.Tensor:
        """obs_MF with 0 in the fields that do not matter."""
        obs_MF = torch.zeros(len(wave), len(self.sizes), dtype=torch.int64)
        obs_MF[:, self.fields] = wave[:, 3:]
        return obs_MF

    def taught(self, wave: torch.Tensor) -> Decision:
        """What the teacher decides."""
        program_M = torch.full((len(wave),), self.program.id)
        return self.teacher.step(Observation(self.observe(wave)), program_M, self.arguments[wave[:, 0]], wave[:, 1:2])

    def decide(self, wave: torch.Tensor) -> _Decided:
        """Decisions in a wave; what the core sees alike, and should decide alike, is computed once."""
        first, which = self.alike(wave)
        some = wave[first]
        found = self.judged(some, lambda x_UX, cond_UC: self.trunk.advance(x_UX, cond_UC, some[:, 2:3]))
        return _Decided(*(column[which] for column in found))

    def alike(self, wave: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """first_U of each kind of configuration, and which_M kind each is: the same code, teacher's call and next node,
        and values of what the core sees."""
        taught, fields = self.taught(wave), len(self.sizes)
        seen_MI = self.stepper.seen(torch.full((len(wave),), self.program.id), wave[:, 2:3]).long()
        tokens, table = len(self.stepper.table.world.tokens), self.stepper.table
        columns = [
            *(taught.call_B4 + torch.tensor([1, 0, 0, 0])).unbind(1), taught.hidden_BH[:, 0], wave[:, 2],
            *(self.arguments[wave[:, 0]] * seen_MI[:, fields:]).unbind(1),
            *(self.observe(wave) * seen_MI[:, :fields])[:, self.fields].unbind(1),
        ]  # fmt: skip
        sizes = [len(table) + 1, *[tokens] * SLOTS, self.radix[1], self.radix[2], *[tokens] * SLOTS, *self.radix[3:]]
        if math.prod(sizes) >= mixed_radix.MAX_KEYS:
            every = torch.arange(len(wave))
            return every, every
        key_M = mixed_radix.number(columns, sizes)
        keys, first = _first_of_each(key_M)
        return first, torch.searchsorted(keys, key_M)

    @property
    def trunk(self) -> DiscreteTrunk:
        assert isinstance(self.stepper.core.trunk, DiscreteTrunk)
        return self.stepper.core.trunk

    @cached_property
    def remembers(self) -> bool:
        """Whether the program uses its state; otherwise the code cannot matter, and is left at 0."""
        return bool(self.trunk.split(self.stepper.cond_NC[self.program.id : self.program.id + 1])[-1].any())

    @torch.no_grad()
    def judged(self, wave: torch.Tensor, advance: Advance) -> _Decided:
        """The teacher's decisions, and those of the core, which goes one step further by ``advance``."""
        core, stepper = self.stepper.core, self.stepper
        program_M, taught = torch.full((len(wave),), self.program.id), self.taught(wave)
        adapter = core.adapter(stepper.world)
        x_MX = stepper.encode(self.observe(wave), program_M, self.arguments[wave[:, 0]], wave[:, 2:3])
        hidden, value_MS = advance(x_MX, stepper.cond_NC[program_M])
        end_M = core.end_logits(hidden)
        key_MN = core.key_logits(hidden, stepper.rows)[:, stepper.columns] + stepper.reach_NN[program_M]
        callee_M = taught.call_B4[:, 0]
        returns_M = callee_M == RETURN
        wanted_M = callee_M.clamp(min=0)
        token_M3V = adapter.argument_logits(hidden) + stepper.slots_N3V[wanted_M]
        goes_M = torch.minimum(_lead(key_MN, wanted_M), _lead(token_M3V, taught.call_B4[:, 1:]).amin(1))
        margin_M = torch.where(returns_M, end_M, torch.minimum(-end_M, goes_M))
        return _Decided(taught.call_B4, taught.hidden_BH, value_MS, ~(margin_M >= TOLERANCE), margin_M)

    def codes(self, value_MS: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Every code that follows, code_N1, and from which row; several where a number's sign is in doubt."""
        origin = torch.arange(len(value_MS))
        if not self.remembers:
            return torch.zeros(len(value_MS), 1, dtype=torch.int64), origin
        code = self.trunk.code(value_MS)
        for bit, place in enumerate(self.trunk.places.tolist()):
            doubtful = (~(value_MS[origin, bit].abs() >= TOLERANCE)).nonzero()[:, 0]
            code = torch.cat([code, ((code[doubtful] - 1) ^ place) + 1])
            origin = torch.cat([origin, origin[doubtful]])
        return code, origin

    def successors(self, wave: torch.Tensor, decided: _Decided) -> tuple[torch.Tensor, torch.Tensor]:
        """Every configuration after the teacher's calls, and which configuration of the wave each comes from."""
        go_on = _goes_on(decided)
        found, origin = [wave[:0]], [torch.empty(0, dtype=torch.int64)]
        sizes = [len(self.stepper.table), *[len(self.stepper.table.world.tokens)] * SLOTS]
        call_M = torch.where(go_on, mixed_radix.number(decided.call_M4.unbind(1), sizes), -1)
        for number in call_M[go_on].unique().tolist():
            one, rows = mixed_radix.digits(number, sizes), (call_M == number).nonzero()[:, 0]
            code, source = self.codes(decided.value_MS[rows])
            rows = rows[source]
            whole = torch.cat([wave[rows, :1], decided.node_M1[rows], code, wave[rows, 3:]], 1)
            for alternative in self.effects[tuple(one)]:
                holds = torch.ones(len(rows), dtype=torch.bool)
                for index, value in alternative.guard:
                    if index in self.column:
                        holds &= whole[:, self.column[index]] == value
                spread, source = self.spread(whole[holds], alternative)
                found.append(spread)
                origin.append(rows[holds][source])
        every, source = torch.cat(found), torch.cat(origin)
        for rule in self.rules:
            good = obeys(rule, self.sizes, self.observe(every))
            every, source = every[good], source[good]
        return every, source

    def spread(self, before: torch.Tensor, alternative: Alternative) -> tuple[torch.Tensor, torch.Tensor]:
        """``before`` with every combination of what its changed fields may hold, and from which row each comes."""
        after, source = before, torch.arange(len(before))
        looks_back = any(not isinstance(way, Set | Anything) for ways in alternative.changes.values() for way in ways)
        for index in (i for i in self.fields if i in alternative.changes):
            versions, sources = [after[:0]], [source[:0]]
            for way in alternative.changes[index]:
                for value_M, holds in self.ways(way, index, before[source]):
                    version = after[holds]
                    version[:, self.column[index]] = value_M[holds]
                    versions.append(version)
                    sources.append(source[holds])
            after, source = torch.cat(versions), torch.cat(sources)
            if not looks_back:  # else a field still to change may come from one that has changed
                _, kept = _first_of_each(self.key(after))
                after, source = after[kept], source[kept]
        return after, source

    def ways(self, way: Source, index: int, before: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """The new values that a source gives, each with the rows (bool) in which it does."""
        everywhere = torch.ones(len(before), dtype=torch.bool)
        match way:
            case Keep():
                return [(before[:, self.column[index]], everywhere)]
            case Set(value):
                return [(torch.full((len(before),), value), everywhere)]
            case Copy(other) if other in self.column:
                return [(before[:, self.column[other]], everywhere)]
            case Copy() | Anything():
                return [(torch.full((len(before),), value), everywhere) for value in range(self.sizes[index])]
            case When(other, values, inner):
                if other in self.column:
                    everywhere = torch.isin(before[:, self.column[other]], torch.tensor(values))
                return [(value, holds & everywhere) for value, holds in self.ways(inner, index, before)]
        raise AssertionError(f"unknown source {way}")

    def frames(self, configurations: torch.Tensor, parents: torch.Tensor, ends: torch.Tensor) -> FrameSet:
        """The paths to some configurations, as frames that end there; fields that do not matter hold what they may."""
        paths = []
        for end in ends.tolist():
            path = [end]
            while parents[path[-1]] >= 0:
                path.append(int(parents[path[-1]]))
            paths.append(path[::-1])
        steps = configurations[torch.tensor([s for path in paths for s in path])]
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
            call_S4=self.taught(steps).call_B4.to(torch.int32),
        )


class TextWalk(Walk):
    """The walk of a text alone: all that it can come to, whatever the core decides."""

    remembers = False

    def seen(self) -> set[int]:
        return set()

    def decide(self, wave: torch.Tensor) -> _Decided:
        taught, never = self.taught(wave), torch.zeros(len(wave), dtype=torch.bool)
        return _Decided(taught.call_B4, taught.hidden_BH, never[:, None], never, torch.full((len(wave),), math.inf))

    def steps(self) -> PlacedSteps:
        """Every step that a frame of the program can make."""
        walked = self.run().walked.to(torch.int64)
        nodes, (arguments, node) = walked[:, SLOTS], (walked[:, :SLOTS], walked[:, SLOTS : SLOTS + 1])
        obs_SF = torch.zeros(len(walked), len(self.sizes), dtype=torch.int64)
        obs_SF[:, self.fields] = walked[:, SLOTS + 2 :]
        program_S = torch.full((len(walked),), self.program.id)
        taught = self.teacher.step(Observation(obs_SF), program_S, arguments, node)
        after_S = torch.where(taught.call_B4[:, 0] == RETURN, 0, taught.hidden_BH[:, 0] + 1)
        first = torch.arange(len(walked))
        assert self.program.table is not None
        if 1 in place_reads(self.program.table, len(self.sizes)):  # a frame can come back to the node where it begins
            first = torch.cat([first, (nodes == 0).nonzero()[:, 0]])
        place_S = torch.where(torch.arange(len(first)) < len(walked), nodes[first] + (nodes[first] > 0), 1)
        columns = (place_S, after_S[first], obs_SF[first].to(torch.int16), arguments[first], taught.call_B4[first])
        return PlacedSteps(self.programs.table, program_S[first], *columns, torch.zeros_like(place_S))


class HistoryWalk(Walk):
    """The walk over all histories of one program, for a core whose state is no small code (an ``lstm``).

    Two frames of such a core are alike only if everything that they saw is, so each history is a configuration of its
    own, whose number stands in the column of codes. A program whose frames are bounded (no loop in its text) has
    finitely many; they grow with every field that it sees and with every step, since an ``lstm`` has no gates that
    would close one. Cai et al. (2017) verify recursive programs so.
    """

    def beginnings(self) -> torch.Tensor:
        """As for a discrete core; :class:`LibraryError` for a program with a loop."""
        assert self.program.table is not None
        if longest_frame(self.program.table) is None:
            raise LibraryError(f"{self.program.name} has a loop: its frames have no bound, nor have its histories")
        wave = super().beginnings()
        self.state_PH = torch.zeros(1, self.stepper.width, dtype=self.stepper.dtype)  # of histories that went on
        self.parent_M = torch.zeros(len(wave), dtype=torch.int64)
        return wave

    def too_many(self) -> LibraryError:
        return LibraryError(
            f"{self.program.name} has more than {MAX_CONFIGURATIONS:,} histories over the {len(self.fields)} "
            "fields that an lstm sees; train a discrete core, whose rows see only what they need"
        )

    def codes(self, value_MS: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """One history goes on as one, whose number stands in place of the code."""
        return value_MS, torch.arange(len(value_MS))

    def named(self, wave: torch.Tensor) -> torch.Tensor:
        return super().named(wave.index_fill(1, torch.tensor([2]), 0))

    @torch.no_grad()
    def decide(self, wave: torch.Tensor) -> _Decided:
        """Decisions in a wave, whose states are those of its parents."""
        parts, states = [], [self.state_PH[:0]]
        trunk, state_PH, parent_M = self.stepper.core.trunk, self.state_PH, self.parent_M
        for index in torch.arange(len(wave)).split(HISTORIES):
            part = self.judged(
                wave[index],
                lambda x, cond, i=index: trunk.step(x, cond, state_PH[parent_M[i]]),  # type: ignore[misc]
            )
            states.append(part.value_MS[_goes_on(part)])
            parts.append(part._replace(value_MS=index[:, None]))
        decided = _Decided(*(torch.cat(column) for column in zip(*parts, strict=True)))
        self.state_PH, self.place_M = torch.cat(states), _goes_on(decided).cumsum(0) - 1
        self.count_codes(len(wave))
        return decided

    def fresh(self, found: torch.Tensor, origin: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Every history is new."""
        self.parent_M = self.place_M[origin]
        return found, origin


def _goes_on(decided: _Decided) -> torch.Tensor:
    return ~decided.wrong_M & (decided.call_M4[:, 0] != RETURN)


def _lead(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """How far the wanted entry of the last dimension is ahead of the best other; infinite where there is no other."""
    mine = logits.gather(-1, wanted[..., None])[..., 0]
    others = logits.scatter(-1, wanted[..., None], -torch.inf)
    return mine - others.amax(-1)


def _spread(count: int) -> torch.Tensor:
    return torch.linspace(0, count - 1, min(count, MAX_EXAMPLES)).round().to(torch.int64)


def _first_of_each(key: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The different keys in ascending order, and where each stands first."""
    keys, order = torch.sort(key, stable=True)
    begins = torch.ones_like(keys, dtype=torch.bool)
    begins[1:] = keys[1:] != keys[:-1]
    return keys[begins], order[begins]
