"""Tuning by two learned tools under one program, beside random search and TPE.

    python -m benchmarks.learners.tune                # two seeds of 20 problems; needs optuna
    python -m benchmarks.learners.tune --seeds 0 1 2  # more problems
    python -m benchmarks.learners.tune --table        # only write the page from what is done

``programs/tools/tune.npi`` asks SUGGEST, a row of the searcher that comes with the engine, for a learning rate and a
width, and trains a small network of these by OPTIMISE, a row of the learned optimiser that comes with the engine. Both
rows are taken as they are. A core is trained on traces of the program's bodies until they are proved, whatever the
tools answer; then it tunes networks on images that training never showed. A seed draws other problems.

All 256 configurations of each problem are trained once more beside the program, by OPTIMISE and by Adam, so that what
opponents ask for is looked up. Stages lie under ``runs``, so that a run that was stopped resumes.

A second way to each result: the searcher's core asks without programs or a machine, its hidden numbers carried from
question to question, and is told what the table says.

Shape legend: ``N`` problems, ``K`` configurations, ``T`` evaluations, ``D`` parameters.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, stdev
from typing import NamedTuple

import torch

from benchmarks.common import ROOT, RUNS, finished, recipe, seeds
from dsl import load
from envs.black_box.ask_tell import QUERY, TELL, AskTell
from envs.objectives.training import RATES, Training, TrainingState
from envs.objectives.world import GRADIENT
from envs.spec import WorldSpec
from envs.stepper import Action
from meta.black_box.ask_tell import PLAIN
from meta.black_box.ask_tell import SHIPPED as SEARCHER
from meta.optimisation.torch_optimizer import SHIPPED as OPTIMISER
from meta.optimisation.torch_optimizer import USUAL
from npi.core.config import TrainConfig
from npi.jobs.train import train_library
from npi.learners.core import learner_program_core
from npi.learners.interface import LearnerCore, TaskInput
from npi.learners.learn_rows import take_row
from npi.learners.rollout import play
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content
from npi.running.evaluate import run_problems, test_seed
from traces.machine.outcome import Status

NAME = "tune"

TOOLS = ROOT / "programs" / "tools"

TRACES, VALIDATION = 8, 16
"""Runs that the core learns from, and that it is validated by beside the proof: each takes seconds of its tools."""

PROBLEMS = 20
"""Of a seed."""

STEPS = 30
"""Of training a network."""

EVALUATIONS = (5, 10, 20, 30)

ORDERS = 50
"""Random searches of each problem."""

STUDIES = 3
"""Of TPE for each problem, each with a seed of its own."""

ADAM_RATE = 0.1
"""Adam's learning rate where a program's is 1: its rates go from 0.003 to 0.57."""

BETAS, EPSILON = (0.9, 0.999), 1e-8

OURS, RANDOM, TPE, TPE_ADAM = "tune.npi", "random search, OPTIMISE", "TPE, OPTIMISE", "TPE, Adam"


def hosts() -> list[Library]:
    """The two tools: rows that come with the engine, under the names and in the worlds of the program's tools."""
    found = []
    for folder, row, file in ((SEARCHER, PLAIN, "suggest"), (OPTIMISER, USUAL, "optimise")):
        library = Library.open(folder)
        take_row(library, [load(TOOLS / f"{file}.npi")], row)
        found.append(library)
    return found


def trained() -> tuple[Library, Result]:
    """The core that runs the program's bodies, with its tools; a stage, ``runs/tune-core/train.json``."""
    out = RUNS / f"{NAME}-core" / "library"

    def train() -> Result:
        began = time.process_time()
        training = TrainConfig(seed=0, certify=True, problems=VALIDATION)
        done = train_library([TOOLS / "tune.npi"], out=out, hosts=hosts(), training=training, traces=TRACES, fresh=True)
        return {"proved": done.solved, "seconds": time.process_time() - began}

    found = finished(f"{NAME}-core/train", train, traces=TRACES, validation=VALIDATION)
    return Library.open(out), found


class Table(NamedTuple):
    """What becomes of each configuration: level_NK, as programs see the loss, and loss_NK, in nats."""

    level_NK: torch.Tensor
    loss_NK: torch.Tensor


Train = Callable[[Training, TrainingState], object]


def table(world: Training, episodes: Sequence[int], train: Train) -> Table:
    """All configurations of some problems, trained on images that no optimiser was trained on."""
    rate_K, width_K = torch.cartesian_prod(torch.arange(1, 1 + RATES), torch.arange(1, 1 + world.config.units)).T
    found = []
    for episode in episodes:
        state = world.begin(torch.full_like(rate_K, episode), torch.ones_like(rate_K), rate_K, width_K)
        with torch.no_grad():
            train(world, state)
        found.append((world.observe(state).fields_BF[:, world.spec.field("LOSS")], state.valid_B))
    return Table(*(torch.stack(part) for part in zip(*found, strict=True)))


def by_rows(net: LearnerCore, row_P: torch.Tensor) -> Train:
    """OPTIMISE."""

    def train(world: Training, state: TrainingState) -> object:
        batch = state.batch
        task = TaskInput(world.spec, 0, row_P.expand(batch, -1), torch.zeros(batch, 3, dtype=torch.int64))
        return play(net, world, state, task, STEPS)

    return train


def by_adam(world: Training, state: TrainingState) -> None:
    """Adam (Kingma and Ba 2015, algorithm 1), whose rate the world multiplies."""
    call_B4, everyone = torch.zeros(state.batch, 4, dtype=torch.int64), torch.ones(state.batch, dtype=torch.bool)
    mean_BD, square_BD = torch.zeros_like(state.theta_BD), torch.zeros_like(state.theta_BD)
    for step in range(1, 1 + STEPS):
        gradient_BD = world.observe(state).channels[GRADIENT]
        assert isinstance(gradient_BD, torch.Tensor)
        mean_BD.lerp_(gradient_BD, 1 - BETAS[0])
        square_BD.lerp_(gradient_BD.square(), 1 - BETAS[1])
        size_BD = (square_BD / (1 - BETAS[1] ** step)).sqrt() + EPSILON
        step_BD = -ADAM_RATE * mean_BD / (1 - BETAS[0] ** step) / size_BD
        world.act(state, Action(call_B4, step_BD), everyone)


@torch.no_grad()
def asked(world: AskTell, net: LearnerCore, row_P: torch.Tensor, level_NK: torch.Tensor) -> list[list[int]]:
    """The configurations that a searcher asks for, N × T, without a program."""
    count = len(level_NK)
    state, everyone = world.begin(torch.zeros(count, dtype=torch.int64)), torch.ones(count, dtype=torch.bool)
    task = TaskInput(world.spec, 0, row_P.expand(count, -1), torch.zeros(count, 3, dtype=torch.int64))
    hidden_NH, found = torch.zeros(count, net.hidden_size(world.spec)), []
    for _ in range(world.config.steps):
        step = net.step(task, world.observe(state), hidden_NH)
        hidden_NH = step.hidden_BH
        world.act(state, step.action._replace(call_B4=torch.tensor([[QUERY, 0, 0, 0]]).expand(count, -1)), everyone)
        index_N = state.place_BD @ torch.tensor([world.config.levels, 1])
        found.append(index_N)
        call_N4 = torch.zeros(count, 4, dtype=torch.int64)
        call_N4[:, 0], call_N4[:, 1] = TELL, 1 + level_NK.gather(1, index_N[:, None])[:, 0]
        world.act(state, Action(call_N4), everyone)
    result: list[list[int]] = torch.stack(found, 1).tolist()
    return result


def by_tpe(level_K: torch.Tensor, side: int, seed: int) -> list[int]:
    """The configurations that Optuna's TPE asks for."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    order: list[int] = []

    def value(trial: optuna.Trial) -> float:
        place = [trial.suggest_int(name, 0, side - 1) for name in ("rate", "width")]
        order.append(place[0] * side + place[1])
        return float(level_K[order[-1]])

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(value, n_trials=EVALUATIONS[-1])
    return order


def kept(order_T: Sequence[int], of: Table, problem: int) -> list[float]:
    """The loss of the first least level so far, after each evaluation: what a program that keeps the best has."""
    best, found = order_T[0], []
    for index in order_T:
        if of.level_NK[problem, index] < of.level_NK[problem, best]:
            best = index
        found.append(float(of.loss_NK[problem, best]))
    return found


def average(curves: Sequence[Sequence[float]]) -> list[float]:
    return [fmean(values) for values in zip(*curves, strict=True)]


def run(seed: int) -> Result:
    library, _ = trained()
    programs, task = library.task("tune.unseen")
    generator = torch.Generator().manual_seed(test_seed(seed, NAME, PROBLEMS))
    problems = task.draw(9, PROBLEMS, generator=generator, spread=False)
    began = time.process_time()
    outcome = run_problems(library.stepper(programs.table), programs, problems)
    seconds = (time.process_time() - began) / PROBLEMS
    readings = outcome.read(programs.world)
    for problem, reading, status in zip(problems, readings, outcome.status_N.tolist(), strict=True):
        assert status == Status.DONE
        assert task.judge(problem, reading), "what is certified does not hold"
    return {"seconds": seconds} | beside(readings, written(programs.world.spec))


def written(spec: WorldSpec) -> tuple[Sequence[str], Sequence[str]]:
    """What the symbols of the notes' rates and widths stand for."""
    rate, width = (spec.fields[spec.field(name)].values for name in ("BEST_RATE", "BEST_WIDTH"))
    return rate, width


def beside(readings: Sequence[Mapping[str, Sequence[int]]], notes: tuple[Sequence[str], Sequence[str]]) -> Result:
    """The program's runs and its opponents', by problem."""
    searcher, optimiser = hosts()
    bench, nets = (load(TOOLS / f"{name}.npi").world for name in ("suggest", "optimise"))
    assert isinstance(bench, AskTell)
    assert isinstance(nets, Training)
    episodes = [int("".join(map(str, reading["nets.EPISODE"]))) for reading in readings]
    rows = [library.memory.embeddings_NP[-1].detach() for library in (searcher, optimiser)]
    nets_core, side = learner_program_core(optimiser.core).net, bench.config.levels
    ours, adam = table(nets, episodes, by_rows(nets_core, rows[1])), table(nets, episodes, by_adam)
    orders = asked(bench, learner_program_core(searcher.core).net, rows[0], ours.level_NK)
    generator = torch.Generator().manual_seed(episodes[0])
    curves: dict[str, list[list[float]]] = {OURS: [kept(order, ours, n) for n, order in enumerate(orders)]}
    curves[RANDOM] = [
        average([
            kept(torch.randperm(side**2, generator=generator)[: EVALUATIONS[-1]].tolist(), ours, n)
            for _ in range(ORDERS)
        ])
        for n in range(len(episodes))
    ]  # fmt: skip
    for name, of in ((TPE, ours), (TPE_ADAM, adam)):
        curves[name] = [
            average([kept(by_tpe(of.level_NK[n], side, seed), of, n) for seed in range(STUDIES)])
            for n in range(len(episodes))
        ]
    told = [list(reading["TOLD"]) for reading in readings]
    alone = [ours.level_NK[n, order].tolist() for n, order in enumerate(orders)]
    index = [(int(notes[0][r["BEST_RATE"][0]]) - 1) * side + int(notes[1][r["BEST_WIDTH"][0]]) - 1 for r in readings]
    return {
        "evaluations": [len(values) for values in told],
        "program": [float(ours.loss_NK[n, place]) for n, place in enumerate(index)],
        "agreed": sum(values == other[: len(values)] for values, other in zip(told, alone, strict=True)),
        "curves": curves,
        "least": {OURS: ours.loss_NK.amin(1).tolist(), TPE_ADAM: adam.loss_NK.amin(1).tolist()},
    }


def mean(values: Sequence[float]) -> str:
    """With the half width of a 95 % interval of the mean, by the normal distribution."""
    return f"{fmean(values):.3f} ± {1.96 * stdev(values) / math.sqrt(len(values)):.3f}"


def contents(done: Sequence[Result]) -> Mapping[str, Content]:
    evaluations = [count for result in done for count in result["evaluations"]]
    curves = {name: [curve for result in done for curve in result["curves"][name]] for name in done[0]["curves"]}
    program = [loss for result in done for loss in result["program"]]
    least = {name: [loss for result in done for loss in result["least"][name]] for name in (OURS, TPE_ADAM)}
    ends = {name: [c[n - 1] for c, n in zip(found, evaluations, strict=True)] for name, found in curves.items()}
    equal = [["", "loss", "more than tune.npi", "above the least of its trainer"]]
    for name, losses in (ends | {OURS: program}).items():
        trainer = least[TPE_ADAM if name == TPE_ADAM else OURS]
        more = [a - b for a, b in zip(losses, program, strict=True)]
        above = [a - b for a, b in zip(losses, trainer, strict=True)]
        equal.append([name, mean(losses), "" if name == OURS else mean(more), mean(above)])
    after = [["evaluations", *(name.replace(OURS, "SUGGEST, OPTIMISE") for name in curves)]]
    after += [[str(n), *(mean([c[n - 1] for c in found]) for found in curves.values())] for n in EVALUATIONS]
    _, core = trained()
    return {
        "seeds": seeds(done),
        "problems": str(len(program)),
        "equal": equal,
        "after": after,
        "evaluations": f"{fmean(evaluations):.1f} ({min(evaluations)} to {max(evaluations)})",
        "agreed": f"{sum(result['agreed'] for result in done)} of {len(program)}",
        "seconds": f"{fmean(result['seconds'] for result in done):.1f}",
        "core-seconds": f"{core['seconds']:.0f}",
        "proved": "proved" if core["proved"] else "not proved",
    }


def main() -> None:
    recipe(__doc__, NAME, run, contents, seeds=range(2), problems=PROBLEMS, orders=ORDERS, studies=STUDIES)


if __name__ == "__main__":
    main()
