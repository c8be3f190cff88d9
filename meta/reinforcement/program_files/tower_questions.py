"""Program files with a program for each of some questions about the blocks of a tower.

Questions of training are about pairs of blocks; those of ``programs/learning/welded.npi`` are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from envs.physics.welds import question_of

TRAINING_PAIRS = ((0, 1), (2, 3), (0, 2), (1, 4))
"""Blocks that questions of training are about, from 0."""


def program_file(groups: Iterable[Sequence[int]], *, actuator: str = "direct", steps: int = 150) -> str:
    """The text; the program about blocks 1 and 2 is ``AMONG_1_2``."""
    parts = [f'world tower is towers(actuator: "{actuator}")\n']
    for group in groups:
        named = "_".join(str(1 + block) for block in group)
        parts.append(f"""
program AMONG_{named} "Find out: {question_of(group)}":
    maximise reward over {steps} steps
    core "meta-rl"

task among_{named}:
    QUESTION = ["{question_of(group)}"]
    run AMONG_{named}
    expect RIGHT == [1]
    train
    test
""")
    return "".join(parts)
