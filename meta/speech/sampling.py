"""Speech of a core in machine code (:mod:`meta.speech.machine_code`): conditioning by PyTorch, samples one by one.

Shape legend: ``T`` samples, ``L`` frames, ``F`` features of a frame, ``P`` parameters of a row, ``K`` numbers of the
conditioning, ``X`` codes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from envs.speech.audio import CODES, SILENCE
from envs.speech.phones import FRAMES
from envs.stepper import Draw
from meta.speech import machine_code
from meta.speech.core import SpeechCore
from meta.speech.wavenet import WaveNet
from meta.speech.wavernn import HALF, WaveRNN

wavenet_codes: Callable[..., None] = machine_code.wavenet
wavernn_codes: Callable[..., None] = machine_code.wavernn


class Spoken(NamedTuple):
    """code_T (int64), and the logits by which they were drawn where they were asked for: T × X of a WaveNet, T × 2 × 16
    of a WaveRNN."""

    code_T: np.ndarray
    logits: np.ndarray


@torch.no_grad()
def speak(
    core: SpeechCore,
    frame_LF: torch.Tensor,
    row_P: torch.Tensor,
    *,
    seed: int = 0,
    temperature: float = 1.0,
    given_T: np.ndarray | None = None,
    logits: bool = False,
) -> Spoken:
    """What a core says to some frames by a row: the same codes as repeated steps with draws of the same seed.

    Args:
        temperature: below 1, likelier codes are drawn more often than they are likely.
        given_T: codes to take in place of those that are drawn; their logits are found all the same.
    """
    step = core.config.sampling_rate // FRAMES
    T = len(frame_LF) * step
    device = next(core.parameters()).device
    length_1, row_1P = torch.tensor([len(frame_LF)], device=device), row_P.detach()[None].to(device)
    condition_1LK = core.conditioner(frame_LF[None].to(device).float(), length_1, row_1P)
    uniform_T2 = Draw(seed, torch.zeros(T, dtype=torch.int64), torch.arange(T)).uniform(2).numpy()  # type: ignore[arg-type]
    given = np.full(T, -1, np.int64) if given_T is None else np.ascontiguousarray(given_T, np.int64)
    code_T = np.zeros(T, np.int64)
    if isinstance(core, WaveNet):
        found = np.zeros((T if logits else 0, CODES), np.float32)
        parts = wavenet_parts(core, condition_1LK, row_1P, temperature)
        uniform_T = np.ascontiguousarray(uniform_T2[:, 0])
        wavenet_codes(*parts, SILENCE, uniform_T, given, step, code_T, found)
    else:
        assert isinstance(core, WaveRNN)
        found = np.zeros((T if logits else 0, 2, HALF), np.float32)
        parts = wavernn_parts(core, condition_1LK, row_1P, temperature)
        wavernn_codes(*parts, SILENCE, uniform_T2, given, step, code_T, found)
    return Spoken(code_T, found)


def wavenet_parts(
    core: WaveNet, condition_1LK: torch.Tensor, row_1P: torch.Tensor, temperature: float
) -> tuple[np.ndarray, ...]:
    """The arrays that :func:`meta.speech.machine_code.wavenet` takes, in its order."""
    layers = core.gated_layers
    added_LDG = torch.stack([layer.conditioned(condition_1LK, row_1P)[0] + layer.bias for layer in layers], 1)
    older_DRG, newer_DRG = (torch.stack([layer.gate.weight[:, :, tap].T for layer in layers]) for tap in (0, 1))
    out_DRO = torch.stack([layer.out.weight.T for layer in layers])
    out_bias_DO = torch.stack([layer.out.bias for layer in layers])
    tensors = (
        core.code.weight, older_DRG, newer_DRG, added_LDG, out_DRO, out_bias_DO, core.hidden.weight.T, core.hidden.bias,
        core.logits.weight.T / temperature, core.logits.bias / temperature,
    )  # fmt: skip
    return np.array(core.config.dilations), *map(plain, tensors)


def wavernn_parts(
    core: WaveRNN, condition_1LK: torch.Tensor, row_1P: torch.Tensor, temperature: float
) -> tuple[np.ndarray, ...]:
    """The arrays that :func:`meta.speech.machine_code.wavernn` takes, in its order."""
    again = dict(core.recurrence.named_parameters())
    code, rest = core.config.code, condition_1LK.shape[2] + row_1P.shape[1]
    of_code_GX, of_frame_GX = again["weight_ih_l0"].split([code, rest], 1)
    frame_LX = torch.cat([condition_1LK[0], row_1P.expand(condition_1LK.shape[1], -1)], 1)
    tensors = (
        core.code.weight @ of_code_GX.T, frame_LX @ of_frame_GX.T + again["bias_ih_l0"], again["weight_hh_l0"].T,
        again["bias_hh_l0"], core.coarse_hidden.weight.T, core.coarse_hidden.bias, core.coarse.weight.T / temperature,
        core.coarse.bias / temperature, core.fine_hidden.weight.T, core.fine_hidden.bias, core.known.weight,
        core.fine.weight.T / temperature, core.fine.bias / temperature,
    )  # fmt: skip
    return tuple(map(plain, tensors))


def plain(tensor: torch.Tensor) -> np.ndarray:
    """A float32 array in the order of its axes."""
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), np.float32)
