"""The same through the command line: torchrun's processes are killed, stopped, started again and gone on without."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from npi.cli.main import main
from npi.jobs.run import checkpoint_path
from npi.library.library import Library
from npi.library.tensor_files import read_tensors
from tests.support.forks import command
from tests.support.paths import ROOT
from tests.support.tiny import STRIP, strip
from traces.generation.generate import generate

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
TRAIN = ["-m", "npi.cli.main", "train"]
WAIT = 240.0
"""Seconds for what takes 20 on two quiet cores: five processes import torch."""


@pytest.fixture
def start() -> Iterator[Callable[[list[str], Path], subprocess.Popen[str]]]:
    """Starts a command in a folder; no process of it outlives the test, also where that fails."""
    started: list[subprocess.Popen[str]] = []

    def start_command(words: list[str], folder: Path) -> subprocess.Popen[str]:
        paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        process = subprocess.Popen(
            [*map(str, words)], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        started.append(process)
        return process

    yield start_command
    for process in started:
        ranks = workers(process.pid) if process.poll() is None else {}
        for number in (process.pid, *ranks.values()) if ranks else ():
            os.kill(number, signal.SIGKILL)
        process.kill()
        process.communicate()


def trained(job: list[str], out: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What the command tells that trains in this process alone, and does not solve it."""
    capsys.readouterr()
    assert main(["train", *job, "--out", str(out)]) == 1
    return json.loads(capsys.readouterr().out)


def workers(agent: int) -> dict[int, int]:
    """Process id of each rank that a torchrun started (Linux)."""
    found = {}
    for children in Path(f"/proc/{agent}/task").glob("*/children"):
        for child in children.read_text().split():
            variables = Path(f"/proc/{child}/environ").read_text().split("\0")
            found |= {int(v.removeprefix("RANK=")): int(child) for v in variables if v.startswith("RANK=")}
    return found


def in_two(words: list[str], folder: Path) -> list[tuple[int, str, str]]:
    """Exit status, stdout and stderr of each of two ranks of a command, which is told what torchrun tells, and SIGTERM
    when the first one has failed; forked from this process, so that nothing is imported again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}

    def joins(rank: int) -> Callable[[], None]:
        def prepare() -> None:
            os.environ |= {**meeting, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            os.chdir(folder)

        return prepare

    files = [[tempfile.TemporaryFile("w+") for _ in range(2)] for _ in range(2)]  # noqa: SIM115 (closed with the list)
    first, second = (command(words, *files[rank], prepare=joins(rank)) for rank in range(2))
    codes = [os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])]
    if codes != [0]:
        os.kill(second, signal.SIGTERM)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(second, 0)[1]))
    told = [[file.seek(0) or file.read() for file in pair] for pair in files]
    return [(code, out, err) for code, (out, err) in zip(codes, told, strict=True)]


def updates_in(state: Path) -> int:
    """After how many updates a state was kept."""
    return read_tensors(state)[1]["facts"]["update"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A program file, and a set of three shards."""
    folder = tmp_path_factory.mktemp("torchrun")
    (folder / "strip.npi").write_text(STRIP)
    generate(strip(), task="both", traces=20, out=folder / "set", shard_traces=8)
    return folder


@pytest.fixture(scope="module")
def job(folder) -> list[str]:
    """Words of a training that is not done early: 85 updates at a rate that solves nothing, checks at 25, 50, 75."""
    words = [str(folder / "strip.npi"), str(folder / "set"), "--traces", "4", "--rate", "1e-5"]
    return [*words, "--updates", "85", "--device", "cpu", "--json"]


@pytest.fixture
def whole(folder, job, capsys):
    """What one process makes of it in one go; of a run that has ended, the command tells it once more."""
    return trained(job, folder / "whole", capsys)


def test_torchrun_goes_on_when_a_rank_was_killed_and_one_process_when_it_may_not(start, job, whole, tmp_path, capsys):
    """kill -9 of the first rank after a check, and of the second one of those that torchrun starts then; then the same
    command without torchrun. Red when the new processes meet under what the old ones left in torchrun's store."""
    kept = checkpoint_path(tmp_path / "two")
    process = start([*TORCHRUN, "--max-restarts", "1", *TRAIN, *job, "--out", "two"], tmp_path)
    until(kept.exists)
    os.kill(workers(process.pid)[0], signal.SIGKILL)
    until(lambda: updates_in(kept) == 50)
    os.kill(workers(process.pid)[1], signal.SIGKILL)
    out, err = process.communicate(timeout=WAIT)
    assert process.returncode == 1
    assert out == ""
    assert "npi: process 0: ended, because another process of this run did" in err
    assert "the last state is kept in two.training" in err
    assert "Traceback" not in err.partition("ChildFailedError")[0].partition("torchrun")[0]
    assert not (tmp_path / "two").exists()
    found = trained(job, tmp_path / "two", capsys)
    assert (found["resumed"], found["updates"]) == (True, 85)
    assert found["loss"] == pytest.approx(whole["loss"], rel=1e-4)
    assert found["programs"] == whole["programs"]
    assert kept.exists(), "it is not solved, and more updates go on from there"


def test_two_ranks_go_on_from_one(job, whole, tmp_path, capsys):
    """The document comes once, from the first rank, and 1 is the code of what is not solved."""
    assert trained([*job, "--updates", "25"], tmp_path / "one", capsys)["updates"] == 25
    (code, out, _), (_, nothing, _) = in_two(["train", *job, "--out", "one"], tmp_path)
    found = json.loads(out)
    assert (code, nothing) == (1, "")
    assert (found["resumed"], found["interrupted"], found["updates"]) == (True, False, 85)
    assert found["loss"] == pytest.approx(whole["loss"], rel=1e-4)
    assert found["programs"] == whole["programs"]
    assert found["core"] == Library.open(tmp_path / "one").core.digest()


def test_an_error_is_told_once(tmp_path):
    """Red where the second rank tells what the first one tells, before torchrun ends it."""
    (code, _, err), (other, _, nothing) = in_two(["train", "nowhere.npi", "--out", "out"], tmp_path)
    assert (code, other, nothing) == (2, 128 + signal.SIGTERM, "")
    assert err.count("npi: nowhere.npi: there is no such program file") == 1
    assert "npi: process" not in err


@pytest.mark.thorough
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_torchrun_that_is_told_to_end_keeps_the_state_once(start, job, tmp_path, by):
    process = start([*TORCHRUN, *TRAIN, *job, "--updates", "100000", "--out", "two"], tmp_path)
    until(checkpoint_path(tmp_path / "two").exists)
    process.send_signal(by)
    out, err = process.communicate(timeout=WAIT)
    assert json.loads(out)["interrupted"]
    assert "because another process" not in err
    assert updates_in(checkpoint_path(tmp_path / "two")) == json.loads(out)["updates"]
    assert err.count("stopping after this update") == 1
    assert err.count("and the same command resumes") == 1


def test_the_end_by_a_signal_is_told_inside_a_call_that_does_not_end(start, tmp_path):
    """A lock that is never given back stands for a sum over processes of which one is gone."""
    code = (
        "import threading, pathlib, npi.cli.torchrun as r\n"
        "r.STOPPING = 0.5\n"
        "held = threading.Lock(); held.acquire()\n"
        "with r._told_of_the_end(r._Once(lambda: r._what_is_left(pathlib.Path('c')))):\n"
        "    print('here', flush=True); held.acquire()\n"
    )
    expected = "ended, because another process of this run did, or torchrun was told to end; nothing is kept"
    assert told_when_ended(start, code, tmp_path) == expected


def test_a_signal_does_not_cut_off_what_is_being_told(start, tmp_path):
    """The main thread has found the other process gone, and is not done telling it when torchrun's signal comes."""
    code = (
        "import time, npi.cli.torchrun as r\n"
        "r.STOPPING = 0.1\n"
        "def told():\n"
        "    print('here', flush=True); time.sleep(1); return 'told'\n"
        "tell = r._Once(told)\n"
        "with r._told_of_the_end(tell):\n"
        "    tell(); time.sleep(60)\n"
    )
    assert told_when_ended(start, code, tmp_path) == "told"


def told_when_ended(start: Callable[[list[str], Path], subprocess.Popen[str]], code: str, folder: Path) -> str:
    """What a process writes to stderr that is sent SIGTERM when it has printed "here"; it must end by that signal."""
    process = start([sys.executable, "-c", code], folder)
    assert process.stdout.readline() == "here\n"
    process.terminate()
    _, err = process.communicate(timeout=WAIT)
    assert process.returncode == 128 + signal.SIGTERM
    return err


def until(done) -> None:
    end = time.monotonic() + WAIT
    while not done():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)
