"""The opponent without attention (Duan et al. 2017, appendix, "plain LSTM").

An LSTM reads the demonstration line by line, and a network of what it says in the end and of the state, all objects in
their order, gives the payload.

Shape legend: ``B`` instances, ``T`` steps, ``L`` moments, ``K`` objects of ``F`` numbers, ``U`` units, ``X`` payload.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from envs.control.demonstrations import BODY, DEMONSTRATION, Demonstration, Sizes, objects_of, packed, unpacked
from envs.spec import SLOTS, WorldSpec
from envs.stepper import Action, Observation, Ragged
from envs.world import Episodes
from meta.imitation.attention import RowLayers
from meta.imitation.network import ImitationConfig, first_call, log_likelihood, objects_in, shows
from npi.learners.interface import Draw, LearnerCore, StepOutput, TaskInput


class RecurrentCore(LearnerCore):
    """The core; see the head of this file. ``units`` of its configuration counts fourfold.

    Args:
        objects: K, of all worlds that it acts in.
    """

    constant_hidden = True
    config: ImitationConfig

    def __init__(self, config: ImitationConfig, sizes: Sizes, objects: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.config, self.sizes, self.objects = config, sizes, objects
        self.units = 4 * config.units
        self.lstm = nn.LSTM(sizes.width(objects), self.units, batch_first=True)
        with torch.no_grad():
            for parameter in self.lstm.parameters():
                parameter.uniform_(-(self.units**-0.5), self.units**-0.5, generator=generator)
        state = sizes.body + objects * sizes.object + SLOTS + self.units
        layers = {"act0": (state, self.units), "act1": (self.units, self.units), "payload": (self.units, sizes.payload)}
        self.layers = RowLayers({"row": (self.units, config.row), **layers}, config.row, generator=generator)

    def hidden_size(self, spec: WorldSpec) -> int:
        """What the LSTM said in the end; nothing where no demonstration is observed."""
        return self.units if shows(spec) else 0

    def begin(self, task: TaskInput, given: Observation | None = None) -> torch.Tensor:
        if given is None or not shows(task.spec):
            return super().begin(task, given)
        return self.said(self.read(given))

    def read(self, given: Observation) -> Demonstration:
        """The demonstration that is observed."""
        held = given.channels[DEMONSTRATION]
        assert isinstance(held, Ragged)
        return unpacked(held, self.sizes)

    def said(self, shown: Demonstration) -> torch.Tensor:
        """The LSTM's output at the end of each demonstration, B × U."""
        spare = self.objects - shown.objects_BLKF.shape[2]
        shown = shown._replace(objects_BLKF=nn.functional.pad(shown.objects_BLKF, (0, 0, 0, spare)))
        output_BLU, _ = self.lstm(packed(shown).padded_BLX)
        return output_BLU[torch.arange(len(output_BLU), device=output_BLU.device), shown.length_B - 1]

    def inferred(self, shown: Demonstration) -> torch.Tensor:
        """row_BP of demonstrations; differentiable."""
        said_BU = self.said(shown)
        return self.layers(said_BU.new_zeros(len(said_BU), self.config.row))["row"](said_BU)

    def step(
        self, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor, *, draw: Draw | None = None
    ) -> StepOutput:
        payload_BX = self._payload(task, [seen], hidden_BH)[:, 0]
        return StepOutput(Action(first_call(payload_BX), payload_BX), hidden_BH, {"mean": payload_BX})

    def likelihood(self, step: StepOutput, action: Action) -> torch.Tensor:
        """Of a payload under normal distributions about the core's, less a constant."""
        assert action.payload_BX is not None
        return log_likelihood(step.extras["mean"], action.payload_BX)

    def unroll(self, task: TaskInput, episodes: Episodes, hidden_BH: torch.Tensor) -> dict[str, torch.Tensor]:
        """All steps at once, since each depends on its state alone."""
        mean_TBX = self._payload(task, episodes.seen[:-1], hidden_BH).transpose(0, 1)
        if episodes.actions is None:
            return {"mean": mean_TBX}
        payloads = [action.payload_BX for action in episodes.actions if action.payload_BX is not None]
        return {"mean": mean_TBX, "log_likelihood": log_likelihood(mean_TBX, torch.stack(payloads))}

    def _payload(self, task: TaskInput, seen: Sequence[Observation], hidden_BH: torch.Tensor) -> torch.Tensor:
        """payload_BTX."""
        states = []
        for one in seen:
            body_BS, (objects_BKF, _) = one.channels[BODY], objects_of(one, self.sizes)
            assert isinstance(body_BS, torch.Tensor)
            spare = self.objects - objects_BKF.shape[1]
            states.append(torch.cat([body_BS, nn.functional.pad(objects_BKF, (0, 0, 0, spare)).flatten(1)], 1))
        state_BTS = torch.stack(states, 1)
        told_BU = hidden_BH if hidden_BH.shape[1] else state_BTS.new_zeros(len(state_BTS), self.units)
        told_BTU = torch.cat([task.arguments_B3.float(), told_BU], 1)[:, None].expand(-1, len(states), -1)
        layers = self.layers(task.row_BP)
        x_BTU = nn.functional.silu(layers["act0"](state_BTS, told_BTU))
        return layers["payload"](nn.functional.silu(layers["act1"](x_BTU)))


def most_objects(specs: Sequence[WorldSpec], sizes: Sizes) -> int:
    """K of some worlds; ``ValueError`` where no demonstration tells it."""
    found = [objects_in(spec, sizes) for spec in specs if shows(spec)]
    if not found:
        raise ValueError('a core that reads: "recurrent" needs a world that shows demonstrations; train it on one')
    return max(found)
