"""Universal training: one network, and a code for each of very many functions, learned together.

Every update draws functions of the pool and situations of each. A function's code is what the proposer makes of some of
its situations, plus a residual of its own; its gains are its own, too. So the network learns to obey codes, the
proposer to write them, and a new function is later learned as these were: from a proposal, by gradient on its own
parameters.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from envs.support.typed_json import typed
from npi.core.config import Settings, at_least, setting
from npi.library.tensor_files import check_tensors, shapes_of
from npi.training.loop import Evaluation, Group, Loss, Objective, Schedule, State
from npi.training.ranks import Ranks
from npi.universal.core import UniversalCore
from npi.universal.functions import Functions, hasty, loss

CHECK_EVERY = 1000
"""Updates between states that are kept on disk."""

MEAN_OF = 50
"""Updates whose mean loss is told."""

EASY = 0.1
"""How often a function that is right already is drawn, where one with a loss of a nat is drawn 1.1 times."""


@dataclass(frozen=True)
class UniversalTrainConfig(Settings):
    """How a universal core is trained.

    Attributes:
        seed: of weights and sampling.
        updates: steps of the optimiser. rate: its peak learning rate; own: that of codes and gains.
        functions: drawn in an update. situations: of each.
        decay: weight decay of the network. pull: how strongly residuals and gains are held near 0.
    """

    what = "training setting"

    seed: int = 0
    updates: int = setting(12000, at_least(1))
    rate: float = 2e-3
    own: float = 1e-2
    functions: int = setting(128, at_least(1))
    situations: int = setting(64, at_least(1))
    decay: float = 1e-3
    pull: float = 1e-3


class UniversalObjective(Objective):
    """The interpreter and the proposer of a core, and the codes of functions.

    Args:
        core: its networks change in place. training: how.
        functions: of the programs of a stream. count_N: how often each occurred there; it is drawn by the square root.
        generator: of sampling.
    """

    def __init__(
        self,
        core: UniversalCore,
        training: UniversalTrainConfig,
        functions: Functions,
        count_N: torch.Tensor,
        *,
        generator: torch.Generator,
    ) -> None:
        self.net, self.proposer = core.net, core.proposer
        self.training, self.functions, self.weight_N = training, functions, count_N.float().sqrt()
        self.generator, config = generator, core.config
        self.codes = nn.Embedding.from_pretrained(torch.zeros(len(functions), config.code), freeze=False, sparse=True)
        self.gains = nn.Embedding.from_pretrained(
            torch.zeros(len(functions), config.features), freeze=False, sparse=True
        )
        self.error_N = torch.ones(len(functions))
        self.recent: deque[float] = deque(maxlen=MEAN_OF)

    @property
    def loss(self) -> float:
        """The mean of the last updates, nats a situation."""
        return statistics.mean(self.recent) if self.recent else math.nan

    @property
    def schedule(self) -> Schedule:
        """Warm-up, then a cosine down to 2 % of the peak learning rates."""
        updates = self.training.updates

        def share(update: int) -> float:
            return min(1.0, (update + 1) / 200) * (0.02 + 0.49 * (1 + math.cos(math.pi * update / updates)))

        return Schedule(updates, CHECK_EVERY, share)

    def groups(self) -> dict[str, Group]:
        """The networks, and what is a function's own: an update moves only the functions that it draws."""
        networks = [*self.net.parameters(), *self.proposer.parameters()]
        return {
            "networks": Group(networks, self.training.rate, optimiser="adamw", weight_decay=self.training.decay),
            "own": Group(
                [self.codes.weight, self.gains.weight], self.training.own, optimiser="sparse_adam", clipped=False
            ),
        }

    def losses(self, update: int, ranks: Ranks) -> Iterator[Iterable[Loss]]:
        """One loss an update, of one process: functions are drawn by how wrong they were before."""
        assert ranks.alone, "a universal core trains in one process"
        hard_N = self.weight_N * (EASY + self.error_N.clamp(max=1.0))
        which_N = hard_N.multinomial(self.training.functions, replacement=True, generator=self.generator)
        examples = self.functions.draw(which_N, self.training.situations, generator=self.generator)
        code_NC, gain_NG = self.codes(which_N), self.gains(which_N)
        with hasty(code_NC.device.type):
            proposed_NC = self.proposer(examples.seen, examples.outcome, examples.value)
        loss_N = loss(self.net, examples, proposed_NC.float() + code_NC, gain_NG)
        self.error_N[which_N] = self.error_N[which_N].lerp(loss_N.detach(), 0.5)
        held = code_NC.square().mean() + gain_NG.square().mean()
        self.recent.append(loss_N.detach().mean().item())
        yield [Loss(loss_N.mean() + self.training.pull * held)]

    def evaluate(self, update: int) -> Evaluation:
        """Nothing is held out of this loss; held-out programs are learned as rows afterwards."""
        return Evaluation({"loss": self.loss})

    def state_dict(self) -> State:
        """What is drawn next."""
        return State({"generator": self.generator.get_state(), "errors": self.error_N}, {"recent": list(self.recent)})

    def load_state_dict(self, state: State) -> None:
        self.generator.set_state(state.tensors["generator"])
        check_tensors({"errors": state.tensors["errors"]}, shapes_of({"errors": self.error_N}))
        self.error_N = state.tensors["errors"]
        self.recent.extend(typed(tuple[float, ...], state.facts["recent"]))
