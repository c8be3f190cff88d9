"""Frames of programs where any observation follows any call: what a text decides, without a world."""

from __future__ import annotations

import torch

from dsl import compile_teacher
from dsl.program import ProgramSet
from envs.spec import RETURN, ProgramTable
from envs.stepper import Observation, Stepper
from traces.recording.unique_frames import FrameSet

LONGEST = 200
"""Steps after which a frame that has not returned is drawn anew."""


def drawn_frames(
    programs: ProgramSet, program: int, count: int, *, generator: torch.Generator, teacher: Stepper | None = None
) -> FrameSet:
    """So many frames of one program; each argument, and each field at each step, is any of its values alike often.

    Args:
        teacher: of the programs, where it was compiled before.

    Raises ``ValueError`` where most frames do not return within :data:`LONGEST` steps.
    """
    teacher = compile_teacher(programs) if teacher is None else teacher
    parts: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    for _ in range(20):
        if len(parts) < count:
            parts += _batch(teacher, programs.table, program, count, generator)
    if len(parts) < count:
        raise ValueError(f"program {program} does not return within {LONGEST} steps, whatever it sees")
    parts = parts[:count]
    length_M = torch.tensor([len(call) for _, _, call in parts])
    origin_M = torch.arange(count)
    return FrameSet(
        programs.table,
        program_M=torch.full((count,), program),
        arguments_M3=torch.stack([arguments for arguments, _, _ in parts]),
        start_M=length_M.cumsum(0) - length_M,
        length_M=length_M,
        count_M=torch.ones(count, dtype=torch.int64),
        origin_M3=torch.stack([origin_M * 0, origin_M, origin_M * 0], 1),
        obs_SF=torch.cat([obs for _, obs, _ in parts]).to(torch.int16),
        call_S4=torch.cat([call for _, _, call in parts]).to(torch.int32),
    )


def _batch(
    teacher: Stepper, table: ProgramTable, program: int, count: int, generator: torch.Generator
) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """arguments_3, obs_TF and call_T4 of frames that returned in time."""
    arguments_B3 = torch.zeros(count, 3, dtype=torch.int64)
    for place, slot in enumerate(table.signatures[program].slots):
        arguments_B3[:, place] = torch.tensor(slot.tokens)[
            torch.randint(len(slot.tokens), (count,), generator=generator)
        ]
    hidden_BH = torch.zeros(count, teacher.width, dtype=teacher.dtype)
    program_B = torch.full((count,), program)
    sizes_F = torch.tensor([field.size for field in table.world.fields])
    obs, calls = [], []
    returned_B = torch.full((count,), -1)
    while len(obs) < LONGEST and bool((returned_B < 0).any()):
        obs_BF = (torch.rand(count, len(sizes_F), generator=generator) * sizes_F).long()
        decision = teacher.step(Observation(obs_BF), program_B, arguments_B3, hidden_BH)
        hidden_BH = torch.where((returned_B < 0)[:, None], decision.hidden_BH, hidden_BH)
        call_B4 = decision.call_B4
        returned_B[(returned_B < 0) & (call_B4[:, 0] == RETURN)] = len(obs)
        hidden_BH[returned_B >= 0] = 0
        obs.append(obs_BF)
        calls.append(call_B4)
    obs_TBF, call_TB4 = torch.stack(obs), torch.stack(calls)
    ended = [(b, t + 1) for b, t in enumerate(returned_B.tolist()) if t >= 0]
    return [(arguments_B3[b], obs_TBF[:t, b], call_TB4[:t, b]) for b, t in ended]
