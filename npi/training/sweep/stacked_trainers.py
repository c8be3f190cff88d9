"""Trainers of several seeds as one: their numbers stacked, their losses computed at once, one step of AdamW for all.

``torch.func`` makes of a module for one seed a function of all of them: :func:`torch.func.functional_call` runs the
module with numbers that it is handed, and :func:`torch.func.vmap` goes over the seeds. While trainers are stacked, the
tensors of each one's core, rows and optimiser are views of the stacked ones, so whatever looks at a trainer (a check, a
checkpoint, a library that is written) sees it as it is.

Shapes: as in :mod:`npi.training.sweep.packed_frames`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional

from npi.core.discrete import DiscreteTrunk
from npi.core.recurrent import RecurrentCore
from npi.program_memory import ProgramMemory
from npi.training.loss import Rules, score_calls, score_ends
from npi.training.sweep.packed_frames import Drawn, Inputs, Packed, Steps, pack
from npi.training.trainer import Trainer, adamw, learning_rate


class SeedLoss(nn.Module):
    """The loss of one seed's packed frames, and which of them are wrong: :func:`npi.training.trainer.frame_loss` on
    columns.

    Nothing in it depends on values, so ``vmap`` can go over it.
    """

    def __init__(self, core: RecurrentCore, memory: ProgramMemory, rules: Rules) -> None:
        super().__init__()
        self.core, self.memory, self.rules = core, memory, rules
        self.inputs = Inputs.of(core)

    def forward(self, steps: Steps, counts: Sequence[int], frame_K: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss (mean over a program's frames, summed over programs) and wrong_B."""
        tables = self.core.tables(self.memory)
        row_K = steps.row_B[frame_K]
        trunk = self.core.trunk
        assert isinstance(trunk, DiscreteTrunk)
        hidden_KH = trunk.unroll_packed(
            self.encode(steps.number_KI, self.inputs.weights(tables), row_K),
            tables.cond_NC,
            row_K,
            counts=counts,
            drawn_Kb=steps.drawn_Kb,
        )
        nll_K, wrong_K = score_ends(self.core, hidden_KH, steps.ends_K)
        found = [_of_frames(frame_K, nll_K, wrong_K, steps.real_K, counts[0])]
        for world, (place_C, call_C4, real_C) in enumerate(steps.calls):
            hidden_CH = functional.embedding(place_C, hidden_KH)
            nll_C, wrong_C = score_calls(self.core, tables, self.rules, world, hidden_CH, row_K[place_C], call_C4)
            found.append(_of_frames(frame_K[place_C], nll_C, wrong_C, real_C, counts[0]))
        nll_2B = torch.stack(found).sum(0)
        return (nll_2B[0] * steps.share_B).sum(), nll_2B[1] > 0

    def encode(self, number_KI: torch.Tensor, weight_NR: torch.Tensor, row_K: torch.Tensor) -> torch.Tensor:
        """x_KX, the weighted sums of :meth:`npi.core.encoder.WorldAdapter.encode`, as one product of matrices."""
        table_RX = torch.cat([self.core.adapter(world).table for world in range(len(self.core.worlds))])
        weight_KI = weight_NR[row_K[:, None], number_KI]
        present_KR = weight_KI.new_zeros(len(number_KI), len(table_RX)).scatter(1, number_KI, weight_KI)
        return present_KR @ table_RX


def _of_frames(
    frame_K: torch.Tensor, nll_K: torch.Tensor, wrong_K: torch.Tensor, real_K: torch.Tensor, frames: int
) -> torch.Tensor:
    """Summed over the real steps of each frame: nats, and how many are wrong, 2 × B."""
    both_2K = torch.where(real_K, torch.stack([nll_K, wrong_K.to(nll_K.dtype)]), 0.0)
    return both_2K.new_zeros(2, frames).index_add(1, frame_K, both_2K)


class StackedTrainers:
    """Trainers whose updates are taken as one, until :meth:`release`.

    Args:
        trainers: of one configuration but for the seed, all after the same number of updates.
    """

    def __init__(self, trainers: Sequence[Trainer]) -> None:
        self.trainers = list(trainers)
        self.config = trainers[0].config
        assert len({trainer.progress.update for trainer in trainers}) == 1, "their learning rates differ"
        modules = [SeedLoss(trainer.core, trainer.memory, trainer.rules) for trainer in trainers]
        self.model = modules[0]
        self.numbers: dict[str, torch.Tensor] = stack_module_state(modules)[0]
        learned = {id(parameter) for parameter in trainers[0].parameters}
        names = [name for name, parameter in self.model.named_parameters() if id(parameter) in learned]
        for name in self.numbers.keys() - set(names):
            self.numbers[name].requires_grad_(False)
        self.parameters = [self.numbers[name] for name in names]
        self.optimizer = adamw(self.parameters, self.config)
        for seed, module in enumerate(modules):
            for name, parameter in module.named_parameters():
                parameter.data = self.numbers[name].detach()[seed]
        for name, stacked in zip(names, self.parameters, strict=True):
            self._stack_moments(stacked, [dict(module.named_parameters())[name] for module in modules])

    def _stack_moments(self, stacked: torch.Tensor, alone: Sequence[torch.Tensor]) -> None:
        """Adam's state of a stacked tensor, from those of the tensors that it is made of, which become its views."""
        states = [t.optimizer.state[p] or _unmoved(p) for t, p in zip(self.trainers, alone, strict=True)]
        steps = {float(state["step"]) for state in states}
        assert len(steps) == 1, f"optimisers after {steps} steps cannot take the next one together"
        whole = {name: torch.stack([state[name] for state in states]) for name in ("exp_avg", "exp_avg_sq")}
        whole["step"] = states[0]["step"].clone()
        self.optimizer.state[stacked] = whole
        for seed, (trainer, parameter) in enumerate(zip(self.trainers, alone, strict=True)):
            views = {name: tensor[seed] for name, tensor in whole.items() if name != "step"}
            trainer.optimizer.state[parameter] = views | {"step": whole["step"]}

    def update(self) -> None:
        """One optimiser step of every trainer, on frames and noise that each draws as in a run of its own."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, self.trainers[0].progress.update)
        packed = self._draw()
        device = packed.frame_K.device
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            loss_S, wrong_SB = vmap(self._loss, in_dims=(0, 0, None, None))(
                self.numbers, packed.steps, packed.counts, packed.frame_K
            )
        loss_S.sum().backward()
        clip_each(self.parameters, 1.0)
        self.optimizer.step()
        found = zip(self.trainers, loss_S.tolist(), packed.rows, wrong_SB.cpu(), strict=True)
        for trainer, loss, row_B, wrong_B in found:
            trainer.take(loss, row_B, wrong_B[: len(row_B)])

    def release(self) -> None:
        """Give every trainer tensors of its own again."""
        for trainer in self.trainers:
            for parameter in (*trainer.core.parameters(), *trainer.memory.parameters()):
                parameter.data = parameter.data.clone()
            for state in trainer.optimizer.state.values():
                state |= {name: tensor.clone() for name, tensor in state.items()}

    def _draw(self) -> Packed:
        bits = self.model.core.config.bits
        drawn = [
            Drawn.of(t.curriculum.draw(generator=t.generator), bits=bits, noise=t.config.noise, generator=t.noise)
            for t in self.trainers
        ]
        device = self.trainers[0].memory.keys_NK.device
        return pack(drawn, self.model.inputs, worlds=len(self.model.core.worlds), device=device)

    def _loss(
        self, numbers: dict[str, torch.Tensor], steps: Steps, counts: Sequence[int], frame_K: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return functional_call(self.model, numbers, (steps, counts, frame_K))


def clip_each(parameters: Sequence[torch.Tensor], most: float) -> None:
    """Scale each seed's gradients so that their norm is at most ``most``, as ``clip_grad_norm_`` does for one."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm_S = torch.stack([gradient.flatten(1).square().sum(1) for gradient in gradients]).sum(0).sqrt()
    scale_S = (most / (norm_S + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient *= scale_S.view(-1, *[1] * (gradient.dim() - 1))


def _unmoved(parameter: torch.Tensor) -> dict[str, torch.Tensor]:
    """Adam's state before its first step."""
    zeros = torch.zeros_like(parameter)
    return {"step": zeros.new_zeros((), dtype=torch.float32), "exp_avg": zeros, "exp_avg_sq": zeros}
