"""Whole frames, unrolled: a core finds by itself what it carries from step to step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch

from envs.support.typed_json import typed
from npi.core.config import TrainConfig
from npi.core.recurrent import RecurrentCore
from npi.library.tensor_files import check_tensors, shapes_of
from npi.program_memory import ProgramMemory
from npi.training.curriculum import Curriculum, WorldFrames, WorldSteps
from npi.training.input_gates import set_gates
from npi.training.loop import Loss, State
from npi.training.loss import Rules, frame_loss, score, take_share
from npi.training.ranks import Ranks
from npi.training.supervision import FIRST, Supervision
from traces.recording.batch import check_range


class UnrolledFrames(Supervision):
    """The loss of frames that a curriculum draws; gates are set by the frames.

    Args:
        generator: of sampling.
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
        self.generator = generator
        self.noise = torch.Generator(device=memory.keys_NK.device).manual_seed(config.seed + 1)
        self.curriculum = Curriculum((), frames=config.frames, cut=config.cut)
        self.use(sources)

    @property
    def errors(self) -> dict[int, float]:  # type: ignore[override]
        return self.curriculum.errors

    def use(self, sources: Sequence[WorldFrames], steps: Sequence[WorldSteps] = ()) -> None:
        assert not steps, "steps have no frames to be unrolled"
        errors = self.errors
        set_gates(self.core, self.memory, sources)
        self.curriculum = Curriculum(sources, frames=self.config.frames, cut=self.config.cut)
        for group in self.curriculum.groups:
            group.error = errors.get(group.row, 1.0)

    def losses(self, update: int, ranks: Ranks) -> Iterator[Iterable[Loss]]:
        device = self.memory.keys_NK.device
        drawn = take_share(self.curriculum.draw(generator=self.generator), ranks).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            loss, wrong_B = frame_loss(
                self.core, self.memory, self.rules, drawn, noise=self.config.noise, generator=self.noise
            )
        yield [Loss(loss)]
        self.curriculum.note(drawn.program_D, drawn.flags(wrong_B, ranks))

    def check(self, ranks: Ranks) -> tuple[dict[int, int], bool]:
        found, right = self._look(ranks, FIRST)
        return self._look(ranks, None) if right else (found, right)

    def _look(self, ranks: Ranks, limit: int | None) -> tuple[dict[int, int], bool]:
        """Decide so many frames of a program at most, in their order."""
        found, right = dict[int, int](), True
        for number, source in enumerate(self.curriculum.sources):
            index = torch.cat([x.index_M[:limit] for x in self.curriculum.groups if x.source == number])
            wrong = self._wrong(source, index, ranks)
            self.curriculum.hard[number] = wrong
            for row in source.frames.program_M[wrong].tolist():
                found[row] = found.get(row, 0) + 1
            slack = self.config.slack if source.frames.table.world.rendered else 0.0
            right = right and len(wrong) <= slack * len(index)
        return found, right

    def _wrong(self, source: WorldFrames, index_M: torch.Tensor, ranks: Ranks) -> torch.Tensor:
        """Which of the frames named are wrong, in the order in which one rank finds them: by length."""
        mine = wrong_frames(self.core, self.memory, self.rules, source, ranks.share(index_M))
        if ranks.alone:
            return mine
        flags = torch.zeros(len(source.frames), dtype=torch.int64)
        flags[mine] = 1
        wrong = index_M[ranks.sum(flags)[index_M] > 0]
        return wrong[source.frames.length_M[wrong].argsort(stable=True)]

    def state_dict(self) -> State:
        """Generators, gates and the curriculum."""
        tensors = {"generator": self.generator.get_state(), "noise": self.noise.get_state()}
        tensors["gates"] = self.memory.gates_NF.detach()
        tensors |= {f"hard.{number}": hard for number, hard in enumerate(self.curriculum.hard)}
        return State(tensors, {"errors": [group.error for group in self.curriculum.groups]})

    def load_state_dict(self, state: State) -> None:
        tensors = state.tensors
        self.generator.set_state(tensors["generator"])
        self.noise.set_state(tensors["noise"])
        errors = typed(tuple[float, ...], state.facts["errors"])
        for group, error in zip(self.curriculum.groups, errors, strict=True):
            group.error = error
        hard = {f"hard.{number}": len(source.frames) for number, source in enumerate(self.curriculum.sources)}
        kinds = dict(shapes_of({"gates": self.memory.gates_NF}))
        kinds |= dict.fromkeys(hard, (torch.int64, (None,)))
        check_tensors({name: tensors[name] for name in kinds}, kinds)
        for name, frames in hard.items():
            check_range(name, tensors[name].numpy(), 0, frames - 1)
        self.curriculum.hard = [tensors[name] for name in hard]
        with torch.no_grad():
            self.memory.gates_NF.copy_(tensors["gates"])


@torch.no_grad()
def wrong_frames(
    core: RecurrentCore, memory: ProgramMemory, rules: Rules, source: WorldFrames, index_M: torch.Tensor
) -> torch.Tensor:
    """Which of the frames named have a wrong call (indices into the source), each frame whole and without noise."""
    device = memory.keys_NK.device
    tables, found = core.tables(memory), []
    for index, batch in source.chunks(index_M):
        (scores,) = score(core, tables, rules, [batch.to(device)])
        found.append(index[scores.wrong_B.cpu()])
    return torch.cat(found) if found else index_M
