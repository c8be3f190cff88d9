"""Universal training: one network, and a code for each of very many functions, learned together.

Every update draws functions of the pool and situations of each. A function's code is what the proposer makes of some of
its situations, plus numbers of its own (its residual); its gains are its own, too. So the network learns to obey codes,
the proposer to write them, and a new function is later learned as these were: from a proposal, by gradient on its own
numbers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from npi.universal.functions import Functions, loss
from npi.universal.network import Interpreter, InterpreterConfig, Proposer

EASY = 0.1
"""How often a function that is right already is drawn, where one with a loss of a nat is drawn 1.1 times."""


@dataclass(frozen=True)
class UniversalTrainConfig:
    """How a universal core is trained.

    Attributes:
        seed: of weights and sampling.
        updates: steps of the optimiser. rate: its peak learning rate; own: that of codes and gains.
        functions: drawn in an update. situations: of each.
        decay: weight decay of the network. pull: how strongly residuals and gains are held near 0.
    """

    seed: int = 0
    updates: int = 12000
    rate: float = 2e-3
    own: float = 1e-2
    functions: int = 128
    situations: int = 64
    decay: float = 1e-3
    pull: float = 1e-3
    report_every: int = 50

    def __post_init__(self) -> None:
        for name in ("updates", "functions", "situations", "report_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"universal training's {name} must be at least 1, it is {getattr(self, name)}")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class UniversalTrainer:
    """Trains an :class:`Interpreter` and its :class:`Proposer` on functions.

    Args:
        config: the network's shape. training: how.
        functions: of the programs of a stream. weight_N: how often each is drawn, relative to others of the same loss.
    """

    def __init__(
        self,
        config: InterpreterConfig,
        training: UniversalTrainConfig,
        functions: Functions,
        weight_N: torch.Tensor,
    ) -> None:
        self.training, self.functions, self.weight_N = training, functions, weight_N
        self.generator = torch.Generator().manual_seed(training.seed)
        self.net = Interpreter(config, generator=self.generator)
        self.proposer = Proposer(config, generator=self.generator)
        self.codes = nn.Embedding.from_pretrained(torch.zeros(len(functions), config.code), freeze=False, sparse=True)
        self.gains = nn.Embedding.from_pretrained(
            torch.zeros(len(functions), config.features), freeze=False, sparse=True
        )
        shared = [*self.net.parameters(), *self.proposer.parameters()]
        self.shared = torch.optim.AdamW(shared, lr=training.rate, weight_decay=training.decay)
        self.own = torch.optim.SparseAdam([self.codes.weight, self.gains.weight], lr=training.own)
        self.error_N = torch.ones(len(functions))
        self.update = 0
        self.loss = math.nan

    def run(
        self, *, report: Callable[[int, float], None] | None = None, stop: Callable[[], bool] = lambda: False
    ) -> float:
        """Train until the updates are spent or ``stop`` says so; the CPU seconds that it took."""
        began = time.process_time()
        losses: list[float] = []
        while self.update < self.training.updates and not stop():
            losses.append(self._step())
            if self.update % self.training.report_every == 0 or self.update == self.training.updates:
                self.loss = sum(losses) / len(losses)
                losses.clear()
                if report is not None:
                    report(self.update, self.loss)
        return time.process_time() - began

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Everything that the next update depends on."""
        tensors = {f"net.{name}": part for name, part in self.net.state_dict().items()}
        tensors |= {f"proposer.{name}": part for name, part in self.proposer.state_dict().items()}
        tensors |= {"codes": self.codes.weight, "gains": self.gains.weight}
        tensors |= {"generator": self.generator.get_state(), "errors": self.error_N}
        for kind, optimizer in (("shared", self.shared), ("own", self.own)):
            for number, state in optimizer.state_dict()["state"].items():
                tensors |= {f"{kind}.{number}.{name}": torch.as_tensor(part) for name, part in state.items()}
        return tensors, {"update": self.update, "loss": self.loss if self.loss == self.loss else None}

    def restore(self, tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> None:
        """Go on from a state of a trainer of the same settings and functions."""
        self.net.load_state_dict(_part(tensors, "net."))
        self.proposer.load_state_dict(_part(tensors, "proposer."))
        with torch.no_grad():
            self.codes.weight.copy_(tensors["codes"])
            self.gains.weight.copy_(tensors["gains"])
        self.generator.set_state(tensors["generator"])
        self.error_N = tensors["errors"]
        for kind, optimizer in (("shared", self.shared), ("own", self.own)):
            found: dict[int, dict[str, Any]] = {}
            for name, part in _part(tensors, f"{kind}.").items():
                number, key = name.split(".")
                whole = kind == "own" and key == "step"  # SparseAdam counts in plain numbers
                found.setdefault(int(number), {})[key] = int(part) if whole else part
            optimizer.load_state_dict({"state": found, "param_groups": optimizer.state_dict()["param_groups"]})
        self.update = int(about["update"])
        self.loss = math.nan if about["loss"] is None else float(about["loss"])

    def _step(self) -> float:
        share = self._schedule()
        for optimizer, rate in ((self.shared, self.training.rate), (self.own, self.training.own)):
            for group in optimizer.param_groups:
                group["lr"] = rate * share
        hard_N = self.weight_N * (EASY + self.error_N.clamp(max=1.0))
        which_N = hard_N.multinomial(self.training.functions, replacement=True, generator=self.generator)
        examples = self.functions.draw(which_N, self.training.situations, generator=self.generator)
        code_NC, gain_NG = self.codes(which_N), self.gains(which_N)
        with torch.autocast(code_NC.device.type, dtype=torch.bfloat16):
            proposed_NC = self.proposer(examples.seen, examples.outcome, examples.value)
        loss_N = loss(self.net, examples, proposed_NC.float() + code_NC, gain_NG)
        self.error_N[which_N] = self.error_N[which_N].lerp(loss_N.detach(), 0.5)
        found = loss_N.mean()
        held = code_NC.square().mean() + gain_NG.square().mean()
        self.shared.zero_grad(set_to_none=True)
        self.own.zero_grad(set_to_none=True)
        (found + self.training.pull * held).backward()
        torch.nn.utils.clip_grad_norm_([*self.net.parameters(), *self.proposer.parameters()], 1.0)
        self.shared.step()
        self.own.step()
        self.update += 1
        return found.item()

    def _schedule(self) -> float:
        """The share of the peak learning rate: warm-up, then a cosine down to 2 %."""
        done = self.update / self.training.updates
        return min(1.0, (self.update + 1) / 200) * (0.02 + 0.49 * (1 + math.cos(math.pi * done)))


def _part(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): part for name, part in tensors.items() if name.startswith(prefix)}
