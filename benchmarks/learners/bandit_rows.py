"""New rows beside a frozen core of meta-reinforcement learning: held-out families of bandits.

    python -m benchmarks.learners.bandit_rows                    # three seeds
    python -m benchmarks.learners.bandit_rows --table            # only write the page from what is done

A core is trained on 96 drawn priors over six arms, a row each. Then it is frozen, and for eight priors that it never
met a row is learned; beside it all of a copy of the core is trained along (full fine-tuning, with as many updates).
Results lie under ``runs/newrows``, a file a seed, and the cores beside them.
"""

from __future__ import annotations

import copy
import time
from dataclasses import replace
from typing import Any

import torch

from benchmarks.common import RUNS, Result, arguments, each_seed, results, write_table
from benchmarks.learners.bandit_baselines import BEGIN
from dsl import loads
from envs.episodic.bandit import Bandit
from envs.episodic.bandit_families import FAMILIES
from meta.baselines.bandits import CaseThompson, Thompson, drawn_cases
from meta.baselines.learned_player import Learned
from meta.baselines.player import Player
from meta.baselines.rollout import play
from meta.reinforcement.program_files.bandit_priors import program_file
from npi.learners.core import HostedCore
from npi.learners.interface import HostedTraining
from npi.learners.jobs import train_hosted
from npi.learners.learn_rows import HostedLearned, learn_hosted
from npi.learners.programs import Lesson, lessons_of
from npi.learners.trainer import HostedTrainer
from npi.library.library import Library

NAME = "newrows"

ARMS, STEPS = 6, 20

TRAINED = range(1, 97)
"""Priors that the core is trained on. HELD: those that it never meets."""
HELD = range(1001, 1009)

TRAINING = HostedTraining(updates=1500, batch=384, twins=4, rate=5e-3, check_every=250)
LEARNING = HostedTraining(updates=200, batch=256, twins=4, row_rate=3e-2, starts=4, problems=256, check_every=100)
TUNING = HostedTraining(updates=200, batch=256, twins=4, rate=1e-3, row_rate=1e-2, check_every=100)

EPISODES = 4000

COLUMNS = {
    "mean row": "mean", "random old row": "random", "row learned": "learned", "fine-tuned": "tuned",
    "Thompson": "thompson", "Thompson, true prior": "told",
}  # fmt: skip


def regret(player: Player, prior: int) -> float:
    """After all pulls, on episodes that no training drew, the same for all players."""
    world = Bandit("arms", {"arms": ARMS, "family": "drawn", "steps": STEPS})
    episode_B = torch.arange(BEGIN, BEGIN + EPISODES)
    none_B = torch.zeros_like(episode_B)
    state = world.begin(episode_B, none_B + FAMILIES.index("drawn"), none_B + prior)
    return float(play(world, player, state, STEPS).regret().mean_S[-1])


def trained(seed: int) -> tuple[Library, float]:
    """The library of the trained core, and CPU seconds; kept on disk."""
    out = RUNS / NAME / f"core-{seed}"
    clock = out.with_suffix(".seconds")
    if not clock.exists():
        out.mkdir(parents=True, exist_ok=True)
        path = out.with_name("priors.npi")
        path.write_text(program_file(TRAINED, arms=ARMS, steps=STEPS))
        began = time.process_time()
        train_hosted([path], out=out, training=replace(TRAINING, seed=seed), fresh=True)
        clock.write_text(f"{time.process_time() - began:.1f}")
    return Library.open(out), float(clock.read_text())


def run(seed: int) -> Result:
    """Train, learn rows, fine-tune copies, and play all of it."""
    library, seconds = trained(seed)
    core, old_NP = library.core, library.memory.embeddings_NP.detach().clone()
    assert isinstance(core, HostedCore)
    held = loads(program_file(HELD, arms=ARMS, steps=STEPS), path="held.npi")
    began = time.process_time()
    learned = learn_hosted(library, [held], replace(LEARNING, seed=seed))
    learning = time.process_time() - began
    random_N = torch.randint(len(old_NP), (len(HELD),), generator=torch.Generator().manual_seed(seed))
    families = {}
    for place, (prior, lesson) in enumerate(zip(HELD, lessons_of(held), strict=True)):
        row_P = library.memory.embeddings_NP[library.memory.index(lesson.name)]
        generator = torch.Generator().manual_seed(seed)
        world = lesson.world.spec
        players: dict[str, Player] = {
            "mean": Learned(core, old_NP.mean(0)),
            "random": Learned(core, old_NP[random_N[place]]),
            "learned": Learned(core, row_P),
            "tuned": tuned(core, torch.cat([old_NP.mean(0, keepdim=True), old_NP]), lesson, seed),
            "thompson": Thompson(world, generator=generator),
            "told": CaseThompson(world, drawn_cases(world, prior), generator=generator),
        }
        families[str(prior)] = {name: regret(player, prior) for name, player in players.items()}
        print(f"  prior {prior}: { {n: round(v, 2) for n, v in families[str(prior)].items()} }", flush=True)
    return {
        "families": families,
        "seconds": seconds,
        "learning": learning,
        "numbers": learned.numbers,
        "unchanged": _unchanged(learned),
    }


def tuned(core: HostedCore, begin_NP: torch.Tensor, lesson: Lesson, seed: int) -> Learned:
    """A copy of the core, all of whose numbers are trained on one family, from the row that does best as it is."""
    net, training = copy.deepcopy(core.net), replace(TUNING, seed=seed)
    judge = HostedTrainer(core.learner, net, begin_NP, [lesson], [0], training, frozen=True, copies=len(begin_NP))
    best = int(judge.judged(turn=1).argmax())
    trainer = HostedTrainer(core.learner, net, begin_NP[best : best + 1], [lesson], [0], training)
    trainer.run()
    found = copy.copy(core)
    found._modules = {**core._modules, "net": net}
    return Learned(found, trainer.rows_NP[0])


def _unchanged(learned: HostedLearned) -> list[str]:
    """Hashes of core, old rows and old outputs, which are the same before and after."""
    assert learned.unchanged
    return [learned.core_after, learned.rows_after, learned.outputs_after]


def recovered(families: Result) -> float:
    """What the learned rows gain over the mean row, as a share of what fine-tuning gains, over all families."""
    gains = [(f["mean"] - f["learned"], f["mean"] - f["tuned"]) for f in families.values()]
    return sum(row for row, _ in gains) / sum(full for _, full in gains)


def write() -> None:
    """The table of what is done."""
    seeds = results(NAME)
    rows: list[list[Any]] = [["seed", "prior", *COLUMNS]]
    for result in seeds:
        for prior, family in result["families"].items():
            rows.append([result["seed"], prior, *(f"{family[key]:.2f}" for key in COLUMNS.values())])
        every = result["families"].values()
        means = [sum(f[key] for f in every) / len(every) for key in COLUMNS.values()]
        rows.append([result["seed"], "mean", *(f"{mean:.2f}" for mean in means)])
    shares = ", ".join(f"{100 * recovered(result['families']):.0f} %" for result in seeds)
    cost = ", ".join(f"{result['seconds']:.0f} and {result['learning']:.0f}" for result in seeds)
    lines = [
        f"Mean regret after {STEPS} pulls over {EPISODES:,} episodes, the same for all. The core was trained on",
        f"{len(TRAINED)} priors, and never met these. A row is {seeds[0]['numbers']} numbers; fine-tuning changes all",
        "of a copy of the core for each prior, from the mean or old row that does best as it is, with as many updates",
        "as a row gets.",
        "",
        f"Of what fine-tuning gains over the mean row, the learned rows recover (by seed): **{shares}**.",
        f"CPU seconds for the core, and for the {len(HELD)} rows together: {cost}. Core, old rows and what old",
        "programs do are the same to the bit before and after (by hash).",
    ]
    write_table(
        NAME, "New rows for held-out families of bandits", "python -m benchmarks.learners.bandit_rows", lines, rows
    )


def main() -> None:
    """Train what is not trained yet, and write the page."""
    parser = arguments("New rows beside a frozen core of meta-reinforcement learning.")
    parser.set_defaults(seeds=[0, 1, 2])
    options = parser.parse_args()
    if not options.table:
        each_seed(NAME, options.seeds, run)
    write()


if __name__ == "__main__":
    main()
