"""Jobs for several processes, and how tests start them. A job gets its ranks and a folder, and returns JSON."""

import json
import multiprocessing
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import npi.training.curriculum
from dsl import loads
from npi.core.config import FORCED, LEARNED
from npi.jobs.train import new_library, train_library
from npi.proof.prove import text_steps
from npi.training.dataset import Dataset, shared_frames
from npi.training.frame_objective import FrameObjective
from npi.training.ranks import FirstRankError, LostRankError, Parcel, Ranks, join
from npi.training.unrolled import UnrolledFrames
from npi.training.validation import FirstValidator, Validation
from tests.support.paths import PROGRAMS
from tests.support.tiny import (
    CORE,
    LSTM,
    SMALL,
    STATES,
    Steps,
    dataset,
    forcing,
    objective_on,
    strip,
    training,
    untrained,
)
from traces.generation.generate import record_problems
from traces.recording.unique_frames import FrameSet, unique_frames
from traces.storage.trace_set import TraceSet, TraceSetError

COLUMNS = ("program_M", "arguments_M3", "start_M", "length_M", "count_M", "origin_M3", "obs_SF", "call_S4")
UPDATES = 24
Job = Callable[[Ranks, Path], Any]


def in_ranks(count: int, job: Job, folder: Path, device: str = "cpu") -> list[Any]:
    """What the job returns in each of ``count`` processes: forks of this one, which has everything imported, or of one
    that knows nothing of CUDA."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork" if device == "cpu" else "forkserver")
    context.set_forkserver_preload([__name__])
    several = [context.Process(target=_run, args=(r, count, port, job, folder, device)) for r in range(count)]
    for process in several:
        process.start()
    for process in several:
        process.join(120)
        if process.is_alive():
            process.kill()
    assert [process.exitcode for process in several] == [0] * count
    return [json.loads((folder / f"{job.__name__}-{count}-{rank}.json").read_text()) for rank in range(count)]


def _run(rank: int, count: int, port: int, job: Job, folder: Path, device: str) -> None:
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with join(device) as ranks:
        found = job(ranks, folder)
    (folder / f"{job.__name__}-{count}-{rank}.json").write_text(json.dumps(found))


def as_lists(frames: FrameSet) -> dict[str, Any]:
    return {name: getattr(frames, name).tolist() for name in COLUMNS}


def state(objective: FrameObjective) -> dict[str, Any]:
    """What the next update depends on."""
    parameters = objective.groups()["frames"].parameters
    numbers, own = [p.detach().cpu().double().flatten() for p in parameters], objective.supervision.state_dict()
    return {
        "digests": [objective.core.digest(), objective.library.rows_digest()],
        "numbers": torch.cat(numbers).tolist(),
        "draws": [t.tolist() for n, t in sorted(own.tensors.items()) if n in ("generator", "noise")],
        "errors": own.facts["errors"],
        "hard": {n: t.tolist() for n, t in own.tensors.items() if n == "wrong" or n.startswith("hard")},
        "frames": [as_lists(frames) for frames in [*objective.given, *objective.found]],
        "steps": [{name: column.tolist() for name, column in one.columns.items()} for one in objective.steps],
        "wrong": objective.wrong,
        "clean": objective.clean,
    }


WAYS = {"lstm": LEARNED, "learned": LEARNED, "forced": FORCED}
"""An lstm, and a discrete core with learned and with forced states."""


def objective_of(kind: str, ranks: Ranks) -> FrameObjective:
    """Training whose checks find wrong frames, and whose validator (on a clean check) finds some to learn from."""
    own = {"lstm": {"cut": 0, "noise": 0.0, "rate": 1e-2}, "learned": {"rate": 6e-3}, "forced": {"examples": 25}}
    config = STATES[WAYS[kind]](check_every=8, **own[kind])
    drawn = strip().tasks[0].draw(9, 3, generator=torch.Generator().manual_seed(5), spread=False)
    found = unique_frames([record_problems(strip(), strip().tasks[0], drawn)])
    library = untrained(LSTM if kind == "lstm" else CORE)
    for part in (library.core, library.memory):
        part.to(ranks.device)
    steps = (text_steps(library, strip(), "strip.ZERO"),) if kind == "forced" else ()
    validate = FirstValidator(lambda _: Validation(2, 1, (found,), steps=steps), ranks)
    return objective_on(library, [dataset(strip())], config, validate=validate, ranks=ranks)


def curves(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """Losses of the first updates in each way, and the state after them."""
    found = {}
    for kind in WAYS:
        objective, losses = objective_of(kind, ranks), []
        steps = Steps(objective)
        while steps.done < UPDATES:
            losses += steps.take(objective.config.check_every)
            objective.evaluate(steps.done)
        found[kind] = {"losses": losses, **state(objective)}
    return found


def looking(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """A core that sees pictures; of the two frames of an update the first, by GOTO, looks at none. Then the same with
    forced states, where one example of several is drawn."""
    text = (PROGRAMS / "goto.npi").read_text()
    text = text.replace("cars(seen: 500, unseen: 60, novel: 60)", "cars(seen: 3, unseen: 2, novel: 2, pixels: 16)")
    found = Dataset.from_programs(loads(text.replace("train 20000 traces", "train 12 traces")), traces=1, seed=0)
    library = new_library(SMALL, [found], seed=0)
    objective = FrameObjective(library, [found.frames], training(frames=1), ranks=ranks)
    assert isinstance(objective.supervision, UnrolledFrames)
    objective.supervision.curriculum.groups = objective.supervision.curriculum.groups[:2]
    least, npi.training.curriculum.LEAST = npi.training.curriculum.LEAST, 1
    losses = Steps(objective).take(8)
    npi.training.curriculum.LEAST = least
    second = objective_on(new_library(SMALL, [found], seed=0), [found], forcing(examples=3), ranks=ranks)
    forced = Steps(second).take(8)
    return {"losses": losses, "forced": forced, "wrong forced": second.evaluate(8).scores, **state(objective)}


def mining(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """A core of which a validation fails: its frames join the set."""
    found = {}
    for kind in ("learned", "forced"):
        objective = objective_of(kind, ranks)
        objective.supervision.check = lambda ranks: ({}, True)  # type: ignore[method-assign]
        objective.evaluate(0)
        Steps(objective).take(3)
        found[kind] = state(objective)
    return found


def validating(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """Who is asked, and what a validator that fails makes of the others."""
    asked = []

    def validate(turn: int) -> Validation:
        asked.append(turn)
        if turn == 2:
            raise ValueError("the first one fails")
        return Validation(5, 4)

    validator = FirstValidator(validate, ranks)
    found = validator(1)
    try:
        validator(2)
    except FirstRankError:
        return {"asked": asked, "found": [found.problems, found.solved], "error": "other"}
    except ValueError as error:
        return {"asked": asked, "found": [found.problems, found.solved], "error": str(error)}
    raise AssertionError("no error")


def talking(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """Every way in which ranks tell each other things."""
    mine = Parcel({"a": torch.arange(ranks.rank), "b": torch.full((2, 1), 0.1 * ranks.rank)}, {"π": [ranks.rank, None]})
    parcels = ranks.gather(mine)
    first = ranks.from_first(lambda: mine)
    return {
        "gathered": [[p.tensors["a"].tolist(), p.tensors["b"].tolist(), p.about] for p in parcels],
        "first": [first.tensors["a"].tolist(), first.about],
        "sum": ranks.sum(torch.tensor([ranks.rank, 1])).tolist(),
        "any": [ranks.any(ranks.rank == 1), ranks.any(False)],
        "differing": [list(ranks.differing("same")), list(ranks.differing(str(ranks.rank == 1)))],
        "share": ranks.share(torch.arange(5)).tolist(),
    }


def reading(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """The frames of a trace set, each rank reading its shards; of two shards where there are three ranks."""
    return as_lists(shared_frames(TraceSet.open(folder / ("few" if ranks.count == 3 else "set")), ranks))


def reading_damage(ranks: Ranks, folder: Path) -> str:
    """What each rank says of a set whose second shard was changed."""
    try:
        shared_frames(TraceSet.open(folder / "damaged", verify="size"), ranks)  # as jobs open it
    except TraceSetError as error:
        return str(error)
    except LostRankError as error:
        return f"lost: {error}"
    return "read"


def proving(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """A whole job, with proofs, to a folder that all ranks name."""
    seen: list[int] = []
    result = train_library(
        [folder / "strip.npi"], out=folder / f"library-{ranks.count}", core=CORE, training=forcing(certify=True),
        traces=8, ranks=ranks, report=lambda r: seen.append(r.update),
    )  # fmt: skip
    return {
        "solved": result.solved,
        "problems": result.report.validation.problems if result.report.validation else 0,
        "digests": [result.library.core.digest(), result.library.rows_digest()],
        "reported": len(seen),
        "updates": result.report.update,
        "written": (folder / f"library-{ranks.count}" / "manifest.json").exists(),
    }


def disagreeing(ranks: Ranks, folder: Path) -> str:
    """Ranks that were given different seeds."""
    try:
        train_library(
            [folder / "strip.npi"], out=folder / "none", core=CORE, training=training(seed=ranks.rank), ranks=ranks
        )
    except ValueError as error:
        return str(error)
    return "trained"


def drifting(ranks: Ranks, folder: Path) -> str:
    """A rank whose numbers are changed behind its back."""
    objective = objective_of("forced", ranks)
    if ranks.rank == 1:
        with torch.no_grad():
            objective.core.end.weight[0, 0] += 1e-7
    try:
        objective.evaluate(0)
    except AssertionError as error:
        return str(error)
    return "not seen"


def several(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """Many jobs one after another, since processes take seconds to begin."""
    jobs = [curves, looking, mining, validating, reading, proving, disagreeing, drifting, reading_damage]
    return {job.__name__: job(ranks, folder) for job in jobs}


def talking_and_reading(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """The two that more ranks than two are tried on."""
    return {job.__name__: job(ranks, folder) for job in (talking, reading)}
