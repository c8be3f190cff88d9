"""Whether a reward makes players of the two-step task stay, by the way it came: ``python -m
benchmarks.learners.two_step_signature``.

Prints the table of ``docs/learning.md``: the interaction of reward and way over 5,000 episodes of 100 trials.
"""

from __future__ import annotations

import torch

from envs.episodic.two_step import TwoStep
from meta.baselines.player import Random
from meta.baselines.rollout import play
from meta.baselines.two_step import ModelBased, ModelFree, stays

EPISODES = 5_000

PLAYERS = {"random": Random, "without a model": ModelFree, "with the model": ModelBased}


def main() -> None:
    """Play and print."""
    torch.set_num_threads(1)
    world, episode_B = TwoStep("ways", {}), torch.arange(EPISODES)
    for name, kind in PLAYERS.items():
        found = []
        for at_random in (0, 1):
            player = kind(world.spec, generator=torch.Generator().manual_seed(0))
            state = world.begin(episode_B, torch.full_like(episode_B, at_random))
            found.append(stays(world.spec, play(world, player, state, 200)).interaction)
        print(f"| {name} | {found[0]:.2f} | {found[1]:.2f} |")


if __name__ == "__main__":
    main()
