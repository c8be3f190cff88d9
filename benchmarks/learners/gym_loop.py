"""Gymnasium in both directions: stable-baselines3 on a bandit of the engine, and a learner of the engine on a pole.

    python -m benchmarks.learners.gym_loop              # three seeds, some two CPU minutes
    python -m benchmarks.learners.gym_loop --table      # only write the page from what is finished

PPO has no memory, but an observation says which arm was pulled last and whether it paid, so it can stay with what paid
and leave what did not. The pole is ``programs/learning/cartpole.npi``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import gymnasium
import numpy as np

from benchmarks.common import ROOT, recipe
from benchmarks.learners.cores import trained_core
from dsl import load
from envs.gym import WorldVectorEnv, register_environments
from npi.learners.evaluate import score_task
from npi.learners.objectives.on_policy import OnPolicyTraining
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content

NAME = "gym-loop"
POLE = ROOT / "programs" / "learning" / "cartpole.npi"
TRAINING = OnPolicyTraining(
    updates=80,
    batch=64,
    rollouts=4,
    check_every=20,
    value_weight=0.01,
    discount=0.95,
    final_discount=0.95,
    entropy=0.01,
)
"""Of the learner on the pole."""

BANDIT = {"family": "easy", "limit": 20, "steps": 20}
STEPS = 20_000
"""Of PPO's training."""
PPO = {"learning_rate": 2e-3, "gamma": 0.5, "n_steps": 128, "batch_size": 256, "n_epochs": 5}
"""What of PPO is set; the rest is as it is usually."""

TESTED, FRESH = 1000, 10**6
"""Episodes of a test, and the first of their seeds."""

BATCH, SPEED_STEPS = 256, 40
"""Environments side by side, and steps of each, where speed is measured."""

Policy = Callable[[np.ndarray], np.ndarray]
"""Arms (from 0) by what is observed: B × (last arm, what it paid, trial)."""


def paid(policy: Policy) -> float:
    """The mean of what a pull pays, over fresh episodes."""
    batch = gymnasium.make_vec("npi/Bandit-v0", num_envs=TESTED, **BANDIT)
    observed, _ = batch.reset(seed=FRESH)
    total = 0.0
    for _ in range(BANDIT["limit"]):
        observed, reward_B, *_ = batch.step(policy(observed))
        total += float(reward_B.mean())
    return total / BANDIT["limit"]


def win_stay_lose_shift(observed: np.ndarray) -> np.ndarray:
    """The arm that paid again, after a miss the other one."""
    last_B, paid_B = observed[:, 0], observed[:, 1] == 2
    return np.where(last_B == 0, 0, np.where(paid_B, last_B - 1, 2 - last_B))


def learned_by_ppo(seed: int) -> Result:
    import stable_baselines3
    from stable_baselines3.common.env_util import make_vec_env

    began = time.process_time()
    environment = make_vec_env("npi/Bandit-v0", n_envs=8, seed=seed, env_kwargs=BANDIT)
    model = stable_baselines3.PPO("MlpPolicy", environment, seed=seed, device="cpu", **PPO).learn(STEPS)
    seconds = time.process_time() - began
    return {"paid": paid(lambda observed: model.predict(observed, deterministic=True)[0]), "seconds": seconds}


def balanced(seed: int) -> Result:
    """How long the pole stays up, of 100 steps, and how often to the end."""
    library, seconds = trained_core(f"{NAME}/core-{seed}", [POLE], replace(TRAINING, seed=seed))
    programs = load(POLE)
    score = score_task(library, programs, programs.task("balance"), count=TESTED)
    return {"steps": score.scores["reward"].mean, "right": score.right, "seconds": seconds}


def steps_a_second(mode: str | None) -> float:
    """Steps of all environments together, a CPU second."""
    batch = gymnasium.make_vec("npi/Bandit-v0", num_envs=BATCH, vectorization_mode=mode, **BANDIT)
    assert isinstance(batch.unwrapped, WorldVectorEnv) == (mode is None)
    batch.reset(seed=0)
    actions = np.ones(BATCH, np.int64)
    batch.step(actions)
    began = time.process_time()
    for _ in range(SPEED_STEPS):
        batch.step(actions)
    return BATCH * SPEED_STEPS / (time.process_time() - began)


def run(seed: int) -> Result:
    ppo, pole = learned_by_ppo(seed), balanced(seed)
    return {"ppo": ppo, "pole": pole, "speed": {"batch": steps_a_second(None), "loop": steps_a_second("sync")}}


def contents(done: Sequence[Result]) -> dict[str, Content | bytes]:
    """Tables of both directions, and the speeds."""
    random = np.random.default_rng(0)
    agents = [["agent", "paid a pull", "CPU s"]]
    agents.append(["at random", f"{paid(lambda seen: random.integers(2, size=len(seen))):.3f}", ""])
    agents.append(["win-stay, lose-shift", f"{paid(win_stay_lose_shift):.3f}", ""])
    agents += [[f"PPO, seed {r['seed']}", f"{r['ppo']['paid']:.3f}", f"{r['ppo']['seconds']:.0f}"] for r in done]
    poles = [["seed", "steps up, of 100", "to the end, of 1,000", "CPU s"]]
    poles += [
        [str(r["seed"]), f"{r['pole']['steps']:.1f}", f"{r['pole']['right']:,}", f"{r['pole']['seconds']:.0f}"]
        for r in done
    ]
    speeds = {name: float(np.median([r["speed"][name] for r in done])) for name in ("batch", "loop")}
    return {
        "bandit": agents, "pole": poles,
        "batch": f"{speeds['batch']:,.0f}", "loop": f"{speeds['loop']:,.0f}",
        "times": f"{speeds['batch'] / speeds['loop']:.0f}",
    }  # fmt: skip


def main() -> None:
    register_environments()
    recipe(
        __doc__, NAME, run, contents, seeds=range(3),
        training=TRAINING.to_json(), steps=STEPS, ppo=PPO, bandit=BANDIT,
    )  # fmt: skip


if __name__ == "__main__":
    main()
