"""Train a universal core from nothing, on the states of random programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from dsl.generator import Vocabulary
from envs.support.atomic_files import remove_whole
from npi.jobs.run import Run, TrainResult, alone_in, checkpoint_path, identity_of
from npi.library.library import Library
from npi.training.checkpoint import FileCheckpoint
from npi.training.loop import Progress, Reporter, State
from npi.universal.core import UniversalCore
from npi.universal.functions import Functions
from npi.universal.network import InterpreterConfig
from npi.universal.objective import UniversalObjective, UniversalTrainConfig
from npi.universal.plan import State as PlanState
from npi.universal.training_stream import SIZES, Pool, Say, draw_pool, vocabularies


def train_universal(
    out: Path,
    *,
    config: InterpreterConfig | None = None,
    training: UniversalTrainConfig | None = None,
    worlds: Mapping[str, Vocabulary] | None = None,
    each: int = 300,
    say: Say = lambda done, total, world: None,
    report: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
    log: Path | None = None,
    fresh: bool = False,
) -> TrainResult[Progress]:
    """Train a universal core on the states of random programs, and write it to ``out`` as a library without rows.

    Programs are drawn first. When it is stopped, its state is kept in ``OUT.training``, and the same call resumes it to
    bit-identical parameters.

    Args:
        worlds: whose programs it is trained on; those of the shipped core by default.
        each: programs of each size in each world.
        log: a folder for TensorBoard.
        say: called as programs are drawn. report: called after each update, with the mean loss of the last ones.

    Raises:
        CheckpointError: where the kept state is of other settings, or damaged. InterruptedError: stopped in drawing.
    """
    config, training = config or InterpreterConfig(), training or UniversalTrainConfig()
    worlds = vocabularies() if worlds is None else worlds
    drawn = {name: [vocabulary.face.spec.digest, sorted(vocabulary.hashes)] for name, vocabulary in worlds.items()}
    identity = identity_of(training, config.to_json(), drawn, each)
    with alone_in(out):
        folder = checkpoint_path(out).parent
        if fresh:
            remove_whole(folder)
        kept = FileCheckpoint(folder / "functions.safetensors", identity=identity)
        state = kept.load()
        if state is None:
            pool = draw_pool(config, worlds, each=each, seed=training.seed, say=say, stop=stop)
            if not pool.states:
                raise ValueError(
                    "none of the programs that were drawn decides anything; draw more, or from richer worlds"
                )
            kept.save(_state_of(pool))
        else:
            pool = _pool_of(state, config)
        generator = torch.Generator().manual_seed(training.seed)
        core = UniversalCore(config, generator=generator)
        library = Library(core, core.memory(), [])
        functions, count_N = Functions(pool.states, config.inputs), torch.tensor(pool.counts)
        objective = UniversalObjective(core, training, functions, count_N, generator=generator)

        def mean(progress: Progress) -> Progress:
            return replace(progress, loss=objective.loss)

        def entry(progress: Progress) -> dict[str, object]:
            return {
                "trained": "a stream of random programs",
                "worlds": sorted(worlds),
                "programs": pool.programs,
                "functions": len(pool.states),
                "settings": {**training.to_json(), "each": each, "sizes": [min(SIZES), max(SIZES)]},
                "updates": progress.update,
                "loss": objective.loss if progress.update else None,
            }

        tell = None if report is None else lambda progress: report(mean(progress))
        run = Run(out, identity, log=log, settings=config.to_json() | training.to_json())
        trained = run.train(library, objective, objective.schedule, entry, report=tell, stop=stop)
        return replace(trained, report=mean(trained.report))


def _state_of(pool: Pool) -> State:
    """The functions of a pool, to be kept beside a run's state."""
    tensors = {
        "rows": torch.tensor([len(state.outcome_M) for state in pool.states]),
        "inputs": torch.tensor([state.seen_MR.shape[1] for state in pool.states]),
        "seen": torch.from_numpy(np.concatenate([state.seen_MR.ravel() for state in pool.states])).to(torch.int16),
        "outcome": torch.from_numpy(np.concatenate([state.outcome_M for state in pool.states])).to(torch.int16),
        "value": torch.from_numpy(np.concatenate([state.value_M for state in pool.states])).to(torch.int16),
        "counts": torch.tensor(pool.counts),
    }
    return State(tensors, {"programs": pool.programs, "left_out": pool.left_out})


def _pool_of(state: State, config: InterpreterConfig) -> Pool:
    """The inverse of :func:`_state_of`."""
    tensors, facts = state.tensors, state.facts
    rows, inputs = tensors["rows"].tolist(), tensors["inputs"].tolist()
    seen = tensors["seen"].long().split([r * i for r, i in zip(rows, inputs, strict=True)])
    outcome, value = (tensors[name].long().split(rows) for name in ("outcome", "value"))
    states = [
        PlanState((), (), s.numpy().reshape(r, i), o.numpy(), v.numpy())
        for s, o, v, r, i in zip(seen, outcome, value, rows, inputs, strict=True)
    ]
    return Pool(config, states, tensors["counts"].tolist(), facts["programs"], facts["left_out"])
