"""Whole operations on universal cores: train one from nothing, and where the shipped one lies."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dsl.generator import Vocabulary
from npi.library.library import Library
from npi.library.tensor_files import tensors_bytes, write_whole
from npi.training.checkpoint import read_state
from npi.universal.core import UniversalCore, universal
from npi.universal.functions import Functions
from npi.universal.network import InterpreterConfig
from npi.universal.plan import State
from npi.universal.trainer import UniversalTrainConfig, UniversalTrainer
from npi.universal.training_stream import SIZES, Pool, Say, draw_pool, vocabularies

SHIPPED = Path(__file__).parent / "shipped"
"""The library of the core that comes with the engine: no rows, for users to copy."""

WHAT = "settings or worlds"
"""What tells runs of universal training apart."""

KEEP_EVERY = 1000
"""Updates between states that are kept on disk."""


@dataclass(frozen=True)
class UniversalResult:
    """What universal training came to.

    Attributes:
        library: the core without rows. programs, functions: what it was trained on. updates, loss: of training.
        seconds: CPU seconds of this process' training. resumed: whether it resumed from an interrupted run.
        finished: whether all updates were taken, and the library written.
    """

    library: Library
    programs: int
    functions: int
    updates: int
    loss: float
    seconds: float
    resumed: bool
    finished: bool


def train_universal(
    out: Path,
    *,
    config: InterpreterConfig | None = None,
    training: UniversalTrainConfig | None = None,
    worlds: Mapping[str, Vocabulary] | None = None,
    each: int = 300,
    say: Say = lambda done, total, world: None,
    report: Callable[[int, float], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    fresh: bool = False,
) -> UniversalResult:
    """Train a universal core on the states of random programs, and write it to ``out`` as a library without rows.

    Programs are drawn first. When it is stopped, its state is kept in ``OUT.training``, and the same call resumes to
    the same numbers.

    Args:
        worlds: whose programs it is trained on; those of the shipped core by default.
        each: programs of each size in each world.
        say: told how the drawing goes. report: told updates and losses.

    Raises:
        CheckpointError: where the kept state is of other settings, or damaged. InterruptedError: stopped in drawing.
    """
    config, training = config or InterpreterConfig(), training or UniversalTrainConfig()
    worlds = vocabularies() if worlds is None else worlds
    identity = _identity(config, training, worlds, each)
    kept = out.with_name(out.name + ".training")
    if fresh:
        shutil.rmtree(kept, ignore_errors=True)
    pool = _pool(config, training, worlds, each, kept, identity, say, stop)
    weight_N = torch.tensor(pool.counts).float().sqrt()
    trainer = UniversalTrainer(config, training, Functions(pool.states, config.inputs), weight_N)
    state = kept / "state.safetensors"
    resumed = state.exists()
    if resumed:
        trainer.restore(*read_state(state, identity, WHAT))

    def each_report(update: int, loss: float) -> None:
        if report is not None:
            report(update, loss)
        if update % KEEP_EVERY == 0:
            _keep(trainer, state, identity)

    seconds = trainer.run(report=each_report, stop=stop)
    finished = trainer.update >= training.updates
    library = _library(trainer, config)
    if finished:
        library.history.append(
            {
                "trained": "a stream of random programs",
                "worlds": sorted(worlds),
                "programs": pool.programs,
                "functions": len(pool.states),
                "settings": {**training.to_json(), "each": each, "sizes": [min(SIZES), max(SIZES)]},
                "updates": trainer.update,
                "loss": trainer.loss,
            }
        )
        library.save(out)
        shutil.rmtree(kept, ignore_errors=True)
    else:
        _keep(trainer, state, identity)
    return UniversalResult(
        library, pool.programs, len(pool.states), trainer.update, trainer.loss, seconds, resumed, finished
    )


def new_universal(config: InterpreterConfig, *, seed: int) -> Library:
    """An untrained universal core, without rows."""
    core = UniversalCore(config, generator=torch.Generator().manual_seed(seed))
    return Library(core, core.memory(), [])


def _library(trainer: UniversalTrainer, config: InterpreterConfig) -> Library:
    library = new_universal(config, seed=0)
    core = universal(library.core)
    core.net.load_state_dict(trainer.net.state_dict())
    core.proposer.load_state_dict(trainer.proposer.state_dict())
    return library


def _identity(
    config: InterpreterConfig, training: UniversalTrainConfig, worlds: Mapping[str, Vocabulary], each: int
) -> str:
    """sha256 of all that a run's numbers depend on."""
    drawn = {name: [vocabulary.face.spec.digest, sorted(vocabulary.hashes)] for name, vocabulary in worlds.items()}
    return hashlib.sha256(
        json.dumps([config.to_json(), training.to_json(), drawn, each], sort_keys=True).encode()
    ).hexdigest()


# --- what is kept of a run -------------------------------------------------------------------------------------------


def _pool(
    config: InterpreterConfig,
    training: UniversalTrainConfig,
    worlds: Mapping[str, Vocabulary],
    each: int,
    kept: Path,
    identity: str,
    say: Say,
    stop: Callable[[], bool],
) -> Pool:
    """The functions to train on: drawn, or those that an interrupted run has drawn."""
    path = kept / "functions.safetensors"
    if path.exists():
        return _read_pool(*read_state(path, identity, WHAT), config)
    pool = draw_pool(config, worlds, each=each, seed=training.seed, say=say, stop=stop)
    if not pool.states:
        raise ValueError("none of the programs that were drawn decides anything; draw more, or from richer worlds")
    kept.mkdir(parents=True, exist_ok=True)
    tensors = {
        "rows": torch.tensor([len(state.outcome_M) for state in pool.states]),
        "inputs": torch.tensor([state.seen_MR.shape[1] for state in pool.states]),
        "seen": torch.from_numpy(np.concatenate([state.seen_MR.ravel() for state in pool.states])).to(torch.int8),
        "outcome": torch.from_numpy(np.concatenate([state.outcome_M for state in pool.states])).to(torch.int8),
        "value": torch.from_numpy(np.concatenate([state.value_M for state in pool.states])).to(torch.int8),
        "counts": torch.tensor(pool.counts),
    }
    about = {"identity": identity, "programs": pool.programs, "left_out": pool.left_out}
    write_whole(path, tensors_bytes(tensors, about))
    return pool


def _read_pool(tensors: Mapping[str, torch.Tensor], about: Mapping[str, object], config: InterpreterConfig) -> Pool:
    rows, inputs = tensors["rows"].tolist(), tensors["inputs"].tolist()
    seen = tensors["seen"].long().split([r * i for r, i in zip(rows, inputs, strict=True)])
    outcome, value = (tensors[name].long().split(rows) for name in ("outcome", "value"))
    states = [
        State((), (), s.numpy().reshape(r, i), o.numpy(), v.numpy())
        for s, o, v, r, i in zip(seen, outcome, value, rows, inputs, strict=True)
    ]
    return Pool(config, states, tensors["counts"].tolist(), int(str(about["programs"])), int(str(about["left_out"])))


def _keep(trainer: UniversalTrainer, path: Path, identity: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors, about = trainer.state()
    write_whole(path, tensors_bytes(tensors, {**about, "identity": identity}))
