"""Several seeds: a library for each, trained by a process of its own, and the spread over them.

Each process makes the call :func:`npi.jobs.train.train_library` for one seed with one thread, so a seed comes to
bit-identical numbers alone and beside others. It reads its settings as a line of JSON, and writes reports and its
result as lines of JSON; the end of its standard input asks it to keep its state and stop.
"""

from __future__ import annotations

import json
import math
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from envs.support.atomic_files import remove_whole
from npi.core.config import CoreConfig, TrainConfig
from npi.jobs.run import checkpoint_path
from npi.jobs.train import TrainSummary, train_library
from npi.library.library import Library
from npi.training.frame_objective import Report
from traces.machine.outcome import Budget

SeedReporter = Callable[[int, Report], None]

SOURCES = Path(__file__).parents[2]
"""The folder that this engine is imported from, and its processes likewise."""


@dataclass(frozen=True)
class Spread:
    """Of a number over seeds: how many there are, the mean, the standard deviation (n − 1), the least and the most."""

    count: int
    mean: float
    deviation: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """``None`` of no values; the deviation of one value is 0."""
        if not values:
            return None
        mean = math.fsum(values) / len(values)
        squares = math.fsum((value - mean) ** 2 for value in values)
        return cls(len(values), mean, math.sqrt(squares / max(1, len(values) - 1)), min(values), max(values))


@dataclass(frozen=True)
class SweepResult:
    """The result of each seed, by seed; ``waiting`` are those that had not begun when the sweep was stopped."""

    seeds: Mapping[int, TrainSummary]
    waiting: tuple[int, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether training of every seed is done: solved, or out of updates."""
        return not self.waiting and all(result.ended for result in self.seeds.values())

    @property
    def solved(self) -> bool:
        """Whether every seed is."""
        return not self.waiting and all(result.solved for result in self.seeds.values())

    @property
    def updates(self) -> Spread | None:
        """Updates of the seeds that are solved."""
        return Spread.of([result.report.update for result in self.seeds.values() if result.solved])


def train_sweep(
    paths: Sequence[Path | str],
    *,
    seeds: Sequence[int],
    out: Path | str,
    hosts: Sequence[Path | str] = (),
    core: CoreConfig | None = None,
    training: TrainConfig | None = None,
    traces: int = 32,
    device: str = "auto",
    log: Path | None = None,
    report: SeedReporter | None = None,
    stop: Callable[[], bool] = lambda: False,
    fresh: bool = False,
    processes: int | None = None,
    budget: Budget | None = None,
) -> SweepResult:
    """Train a library for each seed on everything in ``paths``, and write them to ``out/seed-N``.

    Each seed is a run of :func:`npi.jobs.train.train_library`, with its state in ``out/seed-N.training``, which the
    same call for this seed alone resumes, too. The states stay until all seeds are solved, so that the same call
    resumes after a kill and trains no seed twice, and one with more ``training.updates`` goes on from them. The
    processes import the engine afresh: learners and worlds that a script registers itself are unknown to them, those of
    entry points are known.

    Args:
        seeds: in place of ``training.seed``.
        hosts: folders of the libraries of learners that run programs with a signal.
        log: folder for TensorBoard; each seed writes to ``log/seed-N``.
        report: called after each update of each seed, from one thread at a time.
        stop: asked after each update of each seed; true keeps all states, and begins no further seed.
        processes: at once; by default as many as there are cores.
        budget: of each run of a program; by the size of the inputs where there is none.

    Raises:
        ValueError: as :func:`npi.jobs.train.train_library` does, for no seeds or a seed that is given twice, and where
            a process was killed.
        RuntimeError: where a process fails otherwise; its traceback is on stderr.
    """
    if not seeds:
        raise ValueError("a sweep needs seeds: give one or more")
    if double := sorted({seed for seed in seeds if list(seeds).count(seed) > 1}):
        raise ValueError(f"seed {double[0]} is given twice; each seed is one library")
    core = core or CoreConfig()
    training = training or TrainConfig.for_core(core)
    pool = _Pool(report or (lambda seed, found: None), stop)
    with ThreadPoolExecutor(processes or os.cpu_count() or 1) as threads:
        try:
            runs = {}
            for seed in seeds:
                run = {
                    "paths": list(map(str, paths)),
                    "out": str(seed_folder(out, seed)),
                    "hosts": list(map(str, hosts)),
                    "core": core.to_json(),
                    "training": replace(training, seed=seed).to_json(),
                    "traces": traces,
                    "device": device,
                    "log": None if log is None else str(log / f"seed-{seed}"),
                    "fresh": fresh,
                    "budget": vars(budget or Budget()),
                }
                runs[seed] = threads.submit(pool.train, seed, run)
            found = {seed: run.result() for seed, run in runs.items()}
        except BaseException:
            pool.kill()
            raise
    results = {seed: result for seed, result in found.items() if result is not None}
    sweep = SweepResult(results, tuple(seed for seed in seeds if seed not in results))
    if sweep.solved:
        for seed in seeds:
            remove_whole(checkpoint_path(seed_folder(out, seed)).parent)
    return sweep


def seed_folder(out: Path | str, seed: int) -> Path:
    """Where the library of a seed goes."""
    return Path(out) / f"seed-{seed}"


class _Pool:
    """The processes of a sweep, each read by a thread of its own."""

    def __init__(self, report: SeedReporter, stop: Callable[[], bool]) -> None:
        self.report, self.stop = report, stop
        self.lock = threading.Lock()
        self.running: set[subprocess.Popen[str]] = set()
        self.stopped = False

    def train(self, seed: int, run: Mapping[str, Any]) -> TrainSummary | None:
        """The result of one seed's process; ``None`` where the sweep was stopped before it began."""
        with self.lock:
            if self.stopped or self.stop():
                return None
            process = _start()
            self.running.add(process)
        try:
            return self._listen(seed, run, process)
        finally:
            with self.lock:
                self.running.remove(process)
            process.kill()
            process.wait()

    def _listen(self, seed: int, run: Mapping[str, Any], process: subprocess.Popen[str]) -> TrainSummary | None:
        """The result that a process writes, its reports passed on; ``None`` where a signal ended it before it began."""
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.write(f"{json.dumps(run)}\n")
            process.stdin.flush()
        for line in process.stdout:
            found = json.loads(line)
            if "refused" in found:
                raise ValueError(found["refused"])
            if "result" in found:
                return TrainSummary.from_json(found["result"])
            with self.lock:
                self.report(seed, Report.from_json(found["report"]))
                self.stopped = self.stopped or self.stop()
            if self.stopped:
                process.stdin.close()
        status = process.wait()
        if self.stopped or self.stop() or status == -signal.SIGTERM:
            return None  # it was asked to end before it could listen
        if status < 0:
            raise ValueError(
                f"the process of seed {seed} was ended by {signal.Signals(-status).name}, as where memory runs out; "
                "its last state is kept, and the same command resumes (with fewer seeds it needs less memory)"
            )
        raise RuntimeError(f"the process of seed {seed} ended with {status}; its last state is kept")

    def kill(self) -> None:
        """End all processes, and begin no other."""
        with self.lock:
            self.stopped = True
            for process in self.running:
                process.kill()


def _start() -> subprocess.Popen[str]:
    """A process that trains one seed, out of reach of the terminal's signals. It is started by a command, not forked or
    spawned by ``multiprocessing``, so that scripts need no ``__main__`` guard."""
    path = os.pathsep.join([str(SOURCES), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-P", "-c", "from npi.jobs.sweep import train_seed; train_seed()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
    )


def train_seed() -> None:
    """The process of one seed: read the settings, train, and write reports and the result.

    The process that started it decides when it stops. SIGTERM, which may be sent to both, asks it to stop, too. Where
    that process is gone, this one stops as if it were asked to, and says nothing.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel, sys.stdout = sys.stdout, sys.stderr
    line = sys.stdin.readline()
    if not line.endswith("\n") or select.select([0], [], [], 0)[0]:
        return  # nothing follows the line but the end
    run = json.loads(line)
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())

    def listen() -> None:
        os.read(0, 1)
        asked.set()

    def send(**message: Any) -> None:
        try:
            channel.write(f"{json.dumps(message)}\n")
            channel.flush()
        except BrokenPipeError:
            asked.set()
            os.dup2(os.open(os.devnull, os.O_WRONLY), channel.fileno())

    threading.Thread(target=listen, daemon=True).start()
    run["log"] = None if run["log"] is None else Path(run["log"])
    run["core"], run["training"] = CoreConfig.from_json(run["core"]), TrainConfig.from_json(run["training"])
    run["budget"] = Budget(**run["budget"])
    run["hosts"] = [Library.open(folder) for folder in run["hosts"]]
    try:
        result = train_library(
            run.pop("paths"),
            report=lambda found: send(report=found.to_json()),
            stop=asked.is_set,
            keep="always",
            **run,
        )
    except (ValueError, LookupError, OSError, FloatingPointError) as error:
        send(refused=str(error.args[0] if isinstance(error, LookupError) and error.args else error))
    else:
        send(result=TrainSummary.of(result).to_json())
