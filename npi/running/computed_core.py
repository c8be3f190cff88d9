"""A discrete core computed at every step by the machine in machine code; no decision is kept.

The arrays are the core's own parameters, folded where a product does not depend on what is observed: the keys with the
layer that is compared with them, the second layer's bias with each row's scale and shift.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch.nn import functional

from envs.spec import SLOTS
from envs.stepper import Decision, Draw, Observation
from npi.core.discrete import DiscreteTrunk
from npi.running.core_stepper import CoreStepper
from traces.machine.compiled import PADDING, STATE_PART, Network


class ComputedCore:
    """A :class:`CoreStepper` of a discrete core on the CPU with its network as arrays; same decisions.

    What was folded is that of the core when the network is first asked for.

    Raises ``ValueError`` where the core is of another kind, on another device, or sees pictures.
    """

    width = 1
    dtype = torch.int64

    def __init__(self, stepper: CoreStepper) -> None:
        if not self.fits(stepper):
            raise ValueError(
                "the core is not computed in machine code: it is not discrete, not on the CPU, or sees pictures"
            )
        self.stepper, self.table = stepper, stepper.table

    @staticmethod
    def fits(stepper: CoreStepper) -> bool:
        """Whether the core is discrete, on the CPU, and sees no pictures."""
        discrete, on_cpu = isinstance(stepper.core.trunk, DiscreteTrunk), stepper.words_NSW.device.type == "cpu"
        return discrete and on_cpu and not stepper.table.world.rendered

    def step(
        self,
        seen: Observation,
        program_B: torch.Tensor,
        arguments_B3: torch.Tensor,
        hidden_BH: torch.Tensor,
        *,
        ended_B: torch.Tensor | None = None,
        draw: Draw | None = None,
    ) -> Decision:
        """By the core in torch, which every machine can run."""
        return self.stepper.step(seen, program_B, arguments_B3, hidden_BH)

    @cached_property
    @torch.no_grad()
    def native_network(self) -> Network:
        """What :mod:`traces.machine.compiled_kernel` computes decisions from."""
        stepper, core = self.stepper, self.stepper.core
        trunk, adapter = core.trunk, core.adapter(stepper.world)
        assert isinstance(trunk, DiscreteTrunk)
        scale1, shift1, scale2, shift2, remembers = trunk.split(stepper.cond_NC)
        sign_VK = (torch.arange(2**STATE_PART)[:, None] >> torch.arange(STATE_PART)) % 2 * 2.0 - 1
        states = [sign_VK[:, : len(part)] @ part for part in trunk.state.weight.T.split(STATE_PART)]
        keys_NK, find = torch.cat(stepper.rows.keys)[stepper.columns].double(), core.find
        keys = (keys_NK @ find.weight.double()).float(), (keys_NK @ find.bias.double()).float()
        heads = [(core.end.weight, core.end.bias), (trunk.bit.weight, trunk.bit.bias), keys]
        heads.append((adapter.arguments.weight, adapter.arguments.bias))
        weight_RH, bias_R = (torch.cat(parts) for parts in zip(*heads, strict=True))
        film_N4H = torch.stack([scale1, shift1, scale2, shift2 + trunk.middle.bias * scale2], 1)
        rows = [weight_RH, film_N4H.flatten(0, 1), trunk.middle.weight.T, *states, adapter.table]
        row_XW = functional.pad(torch.cat(rows), (0, PADDING))
        row_XW[: len(bias_R), -PADDING] = bias_R
        open_NSI = torch.stack([adapter.input_weights(words).bool() for words in stepper.words_NSW])
        sees_NS1 = remembers.bool()[:, None].expand(*open_NSI.shape[:2], 1)
        choices = [(stepper.reach_NN == 0)[:, None], stepper.slots_N3V == 0]
        lists = [row.nonzero()[:, 0].tolist() for n in range(len(self.table)) for part in choices for row in part[n]]
        ends = np.cumsum([0, *map(len, lists)])
        return Network(
            bits=trunk.bits,
            open_NSI=torch.cat([sees_NS1, open_NSI], 2).numpy(),
            offset_I=(adapter.offsets + len(row_XW) - len(adapter.table)).numpy(),
            row_XW=row_XW.numpy(),
            span_N42=np.stack([ends[:-1], ends[1:]], 1).reshape(-1, 1 + SLOTS, 2),
            choice_R=np.concatenate(lists).astype(np.int64),
        )
