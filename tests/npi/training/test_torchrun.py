"""The same through the command line: torchrun's processes are killed, stopped, started again and gone on without."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from npi.jobs.run import checkpoint_path
from npi.library.library import Library
from npi.library.tensor_files import read_tensors
from tests.support.paths import ROOT
from tests.support.tiny import STRIP, strip
from traces.generation.generate import generate

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
TRAIN = ["-m", "npi.cli.main", "train"]


def start(words: list[str], folder: Path) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [*map(str, words)], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def workers(agent: int) -> dict[int, int]:
    """Process id of each rank that a torchrun started (Linux)."""
    found = {}
    for children in Path(f"/proc/{agent}/task").glob("*/children"):
        for child in children.read_text().split():
            variables = Path(f"/proc/{child}/environ").read_text().split("\0")
            found |= {int(v.removeprefix("RANK=")): int(child) for v in variables if v.startswith("RANK=")}
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A program file, and a set of three shards."""
    folder = tmp_path_factory.mktemp("torchrun")
    (folder / "strip.npi").write_text(STRIP)
    generate(strip(), task="both", traces=20, out=folder / "set", shard_traces=8)
    return folder


@pytest.fixture(scope="module")
def job(folder) -> list[str]:
    """Words of a training that is not done early: 130 updates of a low rate, with checks at 100 and 130."""
    words = [str(folder / "strip.npi"), str(folder / "set"), "--traces", "4", "--rate", "1e-4"]
    words += ["--states", "learned", "--frames", "32"]
    return [*words, "--updates", "130", "--device", "cpu", "--json"]


@pytest.fixture(scope="module")
def whole(folder, job):
    """What one process makes of it in one go."""
    process = start([sys.executable, *TRAIN, *job, "--out", "whole"], folder)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    return json.loads(out)


def test_a_killed_rank_ends_the_run_and_one_process_goes_on(folder, job, whole, tmp_path):
    """kill -9 of the second rank after the first check; then the same command without torchrun."""
    kept = checkpoint_path(tmp_path / "two")
    process = start([*TORCHRUN, *TRAIN, *job, "--out", "two"], tmp_path)
    until(kept.exists)
    os.kill(workers(process.pid)[1], signal.SIGKILL)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert out == ""
    assert "npi: process 0: ended, because another process of this run did" in err
    assert "the last state is kept in two.training" in err
    assert "Traceback" not in err.partition("ChildFailedError")[0].partition("torchrun")[0]
    assert not (tmp_path / "two").exists()
    second = start([sys.executable, *TRAIN, *job, "--out", "two"], tmp_path)
    out, err = second.communicate(timeout=60)
    found = json.loads(out)
    assert (found["resumed"], found["updates"]) == (True, 130)
    assert found["loss"] == pytest.approx(whole["loss"], rel=1e-4)
    assert found["programs"] == whole["programs"]
    assert kept.exists(), "it is not solved, and more updates go on from there"


def test_torchrun_goes_on_by_itself(job, whole, tmp_path):
    """Red when the new processes meet under what the old ones left in torchrun's store."""
    process = start([*TORCHRUN, "--max-restarts", "1", *TRAIN, *job, "--out", "two"], tmp_path)
    until(checkpoint_path(tmp_path / "two").exists)
    os.kill(workers(process.pid)[0], signal.SIGKILL)
    out, _ = process.communicate(timeout=60)
    found = json.loads(out)
    assert (found["resumed"], found["updates"]) == (True, 130)
    assert found["loss"] == pytest.approx(whole["loss"], rel=1e-4)


def test_two_ranks_go_on_from_one(folder, job, whole, tmp_path):
    """Stopped by Ctrl-C; the document comes once, from the first rank, and 1 is the code of what is not solved."""
    first = start([sys.executable, *TRAIN, *job, "--out", "one"], tmp_path)
    until(checkpoint_path(tmp_path / "one").exists)
    first.send_signal(signal.SIGINT)
    out, _ = first.communicate(timeout=60)
    assert (first.returncode, json.loads(out)["interrupted"]) == (130, True)
    second = start([*TORCHRUN, *TRAIN, *job, "--out", "one"], tmp_path)
    out, err = second.communicate(timeout=60)
    found = json.loads(out)
    assert second.returncode == 1
    assert (found["resumed"], found["interrupted"], found["updates"]) == (True, False, 130)
    assert found["loss"] == pytest.approx(whole["loss"], rel=1e-4)
    assert found["programs"] == whole["programs"]
    assert found["core"] == Library.open(tmp_path / "one").core.digest()


def test_an_error_is_told_once(tmp_path):
    process = start([*TORCHRUN, *TRAIN, "nowhere.npi", "--out", "out"], tmp_path)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.count("npi: nowhere.npi: there is no such program file") == 1
    assert "npi: process" not in err


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_torchrun_that_is_told_to_end_keeps_the_state_once(folder, job, tmp_path, by):
    process = start([*TORCHRUN, *TRAIN, *job, "--updates", "100000", "--out", "two"], tmp_path)
    until(checkpoint_path(tmp_path / "two").exists)
    process.send_signal(by)
    out, err = process.communicate(timeout=60)
    assert json.loads(out)["interrupted"]
    assert "because another process" not in err
    assert read_tensors(checkpoint_path(tmp_path / "two"))[1]["facts"]["update"] == json.loads(out)["updates"]
    assert err.count("stopping after this update") == 1
    assert err.count("and the same command resumes") == 1


def test_the_end_by_a_signal_is_told_inside_a_call_that_does_not_end(tmp_path):
    """A lock that is never given back stands for a sum over processes of which one is gone."""
    code = (
        "import threading, pathlib, npi.cli.torchrun as r\n"
        "r.STOPPING = 0.5\n"
        "held = threading.Lock(); held.acquire()\n"
        "with r._told_of_the_end(r._Once(lambda: r._what_is_left(pathlib.Path('c')))):\n"
        "    print('here', flush=True); held.acquire()\n"
    )
    expected = "ended, because another process of this run did, or torchrun was told to end; nothing is kept"
    assert told_when_ended(code, tmp_path) == expected


def test_a_signal_does_not_cut_off_what_is_being_told(tmp_path):
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
    assert told_when_ended(code, tmp_path) == "told"


def told_when_ended(code: str, folder: Path) -> str:
    """What a process writes to stderr that is sent SIGTERM when it has printed "here"; it must end by that signal."""
    process = start([sys.executable, "-c", code], folder)
    assert process.stdout.readline() == "here\n"
    process.terminate()
    _, err = process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM
    return err


def until(done, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)
