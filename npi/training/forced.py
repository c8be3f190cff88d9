"""Steps with the state forced: each is learned by itself, the state before it set to the code of its place.

The teacher knows where in the text of its program a step is, so the core need not find a state of its own: every place
has a code, and the loss is that of the call (NPI section 3.2) and a logistic loss on the bits of the code of the place
that follows (teacher forcing: Williams and Zipser 1989, section 3). In a place the core sees what the text reads there,
and nothing else. Steps that are alike in program, place and what is read are one example, and all examples right
implies all frames right.

Codes count the places in the order of the text: what follows is mostly the next number, so that a body of 2,000 calls
is learned by learning to count. Among random codes it is not learned.

Shape legend: ``E`` examples, ``D`` drawn ones, ``S`` steps of frames, ``I`` inputs (fields, then slots), ``K`` bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch.nn import functional

from envs.spec import RETURN
from envs.support.typed_json import typed
from npi.core import gates
from npi.core.config import TrainConfig
from npi.core.discrete import DiscreteTrunk
from npi.core.recurrent import RecurrentCore
from npi.library.tensor_files import check_tensors, shapes_of
from npi.program_memory import ProgramMemory
from npi.training.curriculum import WorldFrames, WorldSteps
from npi.training.examples import Codes, Examples
from npi.training.loop import Loss, Schedule, State
from npi.training.loss import Rules, step_scores
from npi.training.places import Decide, Reads
from npi.training.questions import Questions, Turns, questions_of
from npi.training.ranks import Ranks
from npi.training.supervision import FIRST, Supervision, learning_rate_share
from traces.recording.placed_steps import PlacedSteps

MARGIN = 0.1
"""An example is right where every number that decides leads by this much, well above what a proof asks for."""

MANY = 0.05
"""A share of wrong examples from which on the learning rate is at its peak."""

NEAR = 1e-3
"""Nats of an example from which on it is near to being wrong."""

FEWER = 8
"""So many times fewer examples than usual are looked at before the usual ones, where they show pictures."""

CHUNK = 16384
"""Examples that are checked side by side."""


@dataclass(frozen=True)
class Emphasis:
    """What training attends to.

    Attributes:
        repeats: an example that was wrong is drawn so often, as far as all of them make up a quarter of an update.
        negligible: nats of an example that an update leaves out: towards the end most are, and their gradients are next
            to nothing.
        least_rate: the least share of the peak learning rate.
    """

    repeats: int
    negligible: float
    least_rate: float


SYMBOLS = Emphasis(repeats=4, negligible=0.01, least_rate=0.3)
"""Among symbols the last wrong ones want large steps."""

PICTURES = Emphasis(repeats=16, negligible=0.01, least_rate=0.05)
"""Of pictures a few stay wrong whatever the rate is, and it must fall for the others to come to rest."""


class ForcedStates(Supervision):
    """Examples of each world, whose gates and codes are those of their places.

    Args:
        generator: of sampling.

    Attributes:
        codes: of the places of each row. questions: what is asked of pictures, by world.
        covered_E: which examples questions cover; the others are drawn by themselves.
        key_E: a hash of each example. wrong_E, near_E: which were wrong, or near to it, when they were last looked at.
        share_E: the sum of shares of a draw up to each example; a program's share is the root of how many it has.
    """

    def __init__(
        self,
        core: RecurrentCore,
        memory: ProgramMemory,
        rules: Rules,
        config: TrainConfig,
        sources: Sequence[WorldFrames],
        *,
        generator: torch.Generator,
    ) -> None:
        super().__init__(core, memory, rules, config)
        assert isinstance(core.trunk, DiscreteTrunk), "only a discrete state has codes"
        self.generator, self.codes = generator, Codes(core.config.bits)
        self.errors, self.key_E, self.wrong_E = {}, np.zeros(0, np.uint64), torch.zeros(0, dtype=torch.bool)
        self.turns = Turns()
        self.use(sources)

    def use(self, sources: Sequence[WorldFrames], steps: Sequence[WorldSteps] = ()) -> None:
        """Raises ``ValueError`` for a program of more places than there are codes."""
        device = self.memory.keys_NK.device
        right, self.examples, keys = self.key_E[~self.wrong_E.numpy()], dict[int, Examples](), []
        self.questions, covered = dict[int, list[Questions]](), []
        for world in sorted({source.world for source in sources}):
            found, texts = [one.steps for one in steps if one.world == world], dict[int, Decide]()
            for source in (one for one in sources if one.world == world):
                assert source.places is not None, "frames are placed before they are learned from with forced states"
                self._give_codes(world, source.places.reads)
                found.append(PlacedSteps.of(source.frames, source.places.before_S, source.places.after_S))
                if source.places.decide is not None:
                    texts = dict.fromkeys(source.places.reads, source.places.decide) | texts
            examples, key_E = self.codes.examples(found)
            asked = texts if self.config.questions else {}
            self.questions[world], covered_E = questions_of(examples, self.core.worlds[world], asked, self.codes)
            self.examples[world] = examples.to(device)
            keys.append(key_E)
            covered.append(covered_E)
        self.row_E = torch.cat([part.row_E for part in self.examples.values()]).cpu()
        self.key_E = np.concatenate(keys)
        self.wrong_E = torch.from_numpy(~np.isin(self.key_E, right))  # what is new counts as wrong
        self.near_E = torch.ones(len(self.row_E), dtype=torch.bool)
        self.covered_E = torch.cat(covered)
        self.share_E = torch.bincount(self.row_E).double().rsqrt()[self.row_E].where(~self.covered_E, 0).cumsum(0)
        self.errors = {row: self.errors.get(row, 1.0) for row in self.row_E.unique().tolist()}
        count_E = torch.cat([part.count_E for part in self.examples.values()]).cpu()
        different, every = torch.bincount(self.row_E), torch.bincount(self.row_E, weights=count_E.double()).long()
        self.steps = {row: (int(different[row]), int(every[row])) for row in self.errors}

    def _give_codes(self, world: int, reads: Mapping[int, Reads]) -> None:
        """Number the places of programs that have no codes yet, and open their gates by place."""
        for row, read in reads.items():
            if row in self.codes:
                continue
            seen_SI = self.codes.give(row, read, self.core.worlds[world], self.memory.infos[row].name)
            if self.core.words:
                with torch.no_grad():
                    self.memory.gates_NF[row] = gates.masks(seen_SI, self.core.words).flatten()

    @property
    def emphasis(self) -> Emphasis:
        """By what the worlds show."""
        return PICTURES if any(self.core.worlds[world].rendered for world in self.examples) else SYMBOLS

    @property
    def schedule(self) -> Schedule:
        """The rate falls as usual, and with the share of examples that were wrong: the last ones are not learned at the
        cost of others."""
        config = self.config
        least = self.emphasis.least_rate

        def share(update: int) -> float:
            wrong = float(self.wrong_E.float().mean())
            falling = learning_rate_share(config, update) * min(1.0, (wrong / MANY) ** 0.5)
            return max(falling, least * min(1.0, (update + 1) / max(1, config.warmup)))

        return Schedule(config.updates, config.check_every, share)

    # --- learning ----------------------------------------------------------------------------------------------------

    def losses(self, update: int, ranks: Ranks) -> Iterator[Iterable[Loss]]:
        device = self.memory.keys_NK.device
        drawn_D = self._draw()
        mine = ranks.share(drawn_D)
        share_N = 1.0 / torch.bincount(self.row_E[drawn_D], minlength=len(self.memory)).clamp(min=1)
        losses = []
        with torch.autocast(device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            if len(drawn_D):
                with torch.no_grad():
                    all_nll_D, wrong_D = self._scores(mine)
                weighed = mine[
                    (all_nll_D > self.emphasis.negligible).cpu()
                ]  # others are computed, and not gone back through
                nll_D, _ = self._scores(weighed)
                losses.append(Loss((nll_D * share_N.to(device)[self.row_E[weighed].to(device)]).sum()))
            losses += [self._asked(world, group, ranks) for world, some in self.questions.items() for group in some]
        yield losses
        if len(drawn_D):
            self._remember(drawn_D, mine, all_nll_D, wrong_D, ranks)
            self._note(self.row_E[drawn_D], self.wrong_E[drawn_D])
        if asked := self.row_E[self.covered_E].unique().tolist():
            self.turns.note(max(self.errors[row] for row in asked))

    def _asked(self, world: int, group: Questions, ranks: Ranks) -> Loss:
        """The loss of as many questions as an update takes examples; each rank shows its share of the pictures."""
        pictures = max(1, self.config.examples // self.config.questions)
        drawn = group.draw(pictures, self.config.questions, self.turns.count, generator=self.generator)
        count = len(drawn) // pictures
        mine_D = (count * ranks.share(torch.arange(pictures))[:, None] + torch.arange(count)).flatten()
        mine = drawn.take(mine_D).to(self.memory.keys_NK.device)
        nll_D, wrong_D = self._decided(world, mine)
        flags_D = torch.zeros(len(drawn), dtype=torch.int64).index_add(0, mine_D, wrong_D.long().cpu())
        self._note(drawn.row_E, ranks.sum(flags_D) > 0)
        share_N = 1.0 / torch.bincount(drawn.row_E, minlength=len(self.memory)).clamp(min=1)
        return Loss((nll_D * share_N.to(nll_D.device)[mine.row_E]).sum())

    def _draw(self) -> torch.Tensor:
        """All examples, or as many as an update takes: those that were wrong several times, those that were near to it
        up to half of the others, and the rest of every program."""
        count = self.config.examples
        own = (~self.covered_E).nonzero()[:, 0] if self.covered_E.any() else torch.arange(len(self.row_E))
        if len(own) <= count:
            return own
        wrong = own[self.wrong_E[own]]
        again = min(count // 4, self.emphasis.repeats * len(wrong))
        hard = wrong[torch.randint(max(1, len(wrong)), (again,), generator=self.generator)]
        near = own[self.near_E[own]]
        some = min((count - again) // 2, len(near))
        close = near[torch.randint(max(1, len(near)), (some,), generator=self.generator)]
        number_D = torch.rand(count - again - some, dtype=torch.float64, generator=self.generator) * self.share_E[-1]
        usual = torch.searchsorted(self.share_E, number_D).clamp(max=len(self.share_E) - 1)
        return torch.cat([usual, close, hard]).sort().values

    def _remember(
        self, index_D: torch.Tensor, mine_D: torch.Tensor, nll_D: torch.Tensor, wrong_D: torch.Tensor, ranks: Ranks
    ) -> None:
        """Which of the examples named are wrong or near to it; each rank has looked at its own."""
        flags_E2 = torch.zeros(len(self.row_E), 2, dtype=torch.int64)
        flags_E2[mine_D] = torch.stack([wrong_D, nll_D > NEAR], 1).cpu().long()
        found_D2 = ranks.sum(flags_E2)[index_D] > 0
        self.wrong_E[index_D], self.near_E[index_D] = found_D2.unbind(1)

    def _note(self, row_D: torch.Tensor, wrong_D: torch.Tensor, keep: float = 0.9) -> None:
        """Blend what an update found wrong into the running errors."""
        rows = max(self.errors) + 1
        seen_N = torch.bincount(row_D, minlength=rows).tolist()
        wrong_N = torch.bincount(row_D[wrong_D], minlength=rows).tolist()
        for row, error in self.errors.items():
            if seen_N[row]:
                self.errors[row] = keep * error + (1 - keep) * wrong_N[row] / seen_N[row]

    def _scores(self, index_D: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """nll_D of calls and next bits of the examples named (of all worlds, in order), and which are wrong."""
        found, first = [], 0
        for world, every in self.examples.items():
            inside = (index_D >= first) & (index_D < first + len(every))
            found.append(self._decided(world, every.take(index_D[inside].to(every.row_E.device) - first)))
            first += len(every)
        nll, wrong = zip(*found, strict=True)
        return torch.cat(nll), torch.cat(wrong)

    def _decided(self, world: int, part: Examples) -> tuple[torch.Tensor, torch.Tensor]:
        """nll_D of calls and next bits of examples of a world, and which are wrong."""
        tables, trunk = self.core.tables(self.memory), self.core.trunk
        assert isinstance(trunk, DiscreteTrunk)
        x_DX = self.core.adapter(world).encode(part.obs_EF, part.arguments_E3, part.seen_EI)
        hidden, value_DK = trunk.advance(x_DX, tables.cond_NC[part.row_E], part.code_E[:, None])
        nll_D, wrong_D = step_scores(
            self.core, tables, self.rules, world, hidden, part.row_E, part.call_E4, margin=MARGIN
        )
        goes_D = part.call_E4[:, 0] != RETURN
        bits_DK = ((part.after_E[:, None] - 1) & trunk.places) != 0
        lead_DK = torch.where(bits_DK, value_DK, -value_DK)
        nll_D = nll_D + functional.softplus(-lead_DK).sum(1) * goes_D
        return nll_D, wrong_D | (goes_D & (lead_DK < MARGIN).any(1))

    def check(self, ranks: Ranks) -> tuple[dict[int, int], bool]:
        found, right = dict[int, int](), True
        for index_D in self._looks():
            found, right = self._look(index_D, ranks)
            if not right:
                break
        return found, right

    def _looks(self) -> Iterator[torch.Tensor]:
        """What a check looks at, one after the other while it is right: pictures take long, and are few at first."""
        few, first = self._first(FIRST // FEWER), self._first(FIRST)
        if self.emphasis is PICTURES and 0 < len(few) < len(first):
            yield few
        yield first
        if len(first) < len(self.row_E):
            yield torch.arange(len(self.row_E))

    def _first(self, count: int) -> torch.Tensor:
        """At most so many examples of each row, in their order, and some of those that were wrong."""
        order = self.row_E.argsort(stable=True)
        row_E = self.row_E[order]
        some = order[torch.arange(len(order)) - torch.searchsorted(row_E, row_E) < count]
        return torch.cat([some, self.wrong_E.nonzero()[: 4 * count, 0]]).unique()

    @torch.no_grad()
    def _look(self, index_D: torch.Tensor, ranks: Ranks) -> tuple[dict[int, int], bool]:
        """Decide the examples named."""
        mine = ranks.share(index_D)
        scores = [self._scores(index) for index in mine.split(CHUNK)]
        nll_D, wrong_D = (torch.cat(parts) for parts in zip(*scores, strict=True))
        self._remember(index_D, mine, nll_D, wrong_D, ranks)
        right, first, wrong_D = True, 0, index_D[self.wrong_E[index_D]]
        for world, part in self.examples.items():
            inside = [int(((d >= first) & (d < first + len(part))).sum()) for d in (index_D, wrong_D)]
            slack = self.config.slack if self.core.worlds[world].rendered else 0.0
            right = right and inside[1] <= slack * inside[0]
            first += len(part)
        counts = torch.bincount(self.row_E[wrong_D]).tolist()
        return {row: count for row, count in enumerate(counts) if count}, right

    def state_dict(self) -> State:
        """The generator, and which examples were wrong or near to it."""
        rows = sorted(self.errors)
        return State(
            {"generator": self.generator.get_state(), "wrong": self.wrong_E, "near": self.near_E},
            {"errors": [[row, self.errors[row]] for row in rows], "turns": asdict(self.turns)},
        )

    def load_state_dict(self, state: State) -> None:
        self.generator.set_state(state.tensors["generator"])
        own = {"wrong": self.wrong_E, "near": self.near_E}
        check_tensors({name: state.tensors[name] for name in own}, shapes_of(own))
        self.wrong_E, self.near_E = (state.tensors[name] for name in own)
        self.errors = dict(typed(tuple[tuple[int, float], ...], state.facts["errors"]))
        self.turns = typed(Turns, state.facts["turns"])
