"""Trace sets that were damaged or killed: every changed byte is told, and a kill leaves what the same call finishes."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from npi.cli.main import main
from npi.jobs.train import gather
from tests.support.forks import forked, killed
from tests.support.tape_programs import contents
from tests.support.tiny import STRIP
from tests.support.tiny import strip as programs
from traces.generation import generate as generation
from traces.generation.generate import generate, make_shards, plan_set
from traces.generation.shards import TracePart, generate_part, merge_parts
from traces.storage.trace_set import PLAN, TraceSet, TraceSetError, TraceSetWriter, read_shard

SETTINGS = {"task": "both", "traces": {1: 1, 2: 2}, "seed": 5, "shard_traces": 2}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "whole"
    generate(programs(), out=folder, **SETTINGS)
    return folder


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folders = [tmp_path_factory.mktemp("sets") / f"part-{number}" for number in (1, 2)]
    for number, folder in enumerate(folders, 1):
        generate_part(programs(), out=folder, part=(number, 2), **SETTINGS)
    return folders


def changed_bytes(folder: Path, step: int, seed: int = 0) -> list[tuple[Path, int, int]]:
    """Files, places in them, and what to change there: every ``step``-th byte of all files."""
    rng = random.Random(seed)
    places = [(path, place) for path in sorted(folder.iterdir()) for place in range(path.stat().st_size)]
    return [(path, place, rng.randrange(1, 256)) for path, place in places[rng.randrange(step) :: step]]


def change(path: Path, place: int, bits: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= bits
    path.write_bytes(data)


@pytest.mark.parametrize("opened", [TraceSet.open, TracePart.open])
def test_every_changed_byte_is_told(tmp_path: Path, whole: Path, parts: list[Path], opened: Callable) -> None:
    """Red where the manifest has no seal, or shards are only looked at by size."""
    folder = shutil.copytree(whole if opened == TraceSet.open else parts[0], tmp_path / "copy")
    opened(folder)
    changes = changed_bytes(folder, step=23)
    for path, place, bits in changes:
        before = path.read_bytes()
        change(path, place, bits)
        with pytest.raises(TraceSetError, match=str(folder)):
            opened(folder)
        path.write_bytes(before)
    assert len(changes) > 100
    opened(folder)


@pytest.mark.parametrize("command", ["check {}", "show {}", "show {} --trace 2", "train {} --out core", "learn {}"])
@pytest.mark.parametrize("file", ["manifest.json", "shard-00000.safetensors", "shard-00001.safetensors"])
def test_every_command_that_opens_a_set_verifies_it(
    tmp_path: Path,
    whole: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    file: str,
) -> None:
    """The change is in the last number of the shard, or in the sizes of the manifest: it would be read as if right."""
    folder = shutil.copytree(whole, tmp_path / "set")
    monkeypatch.chdir(tmp_path)
    data = (folder / file).read_bytes()
    change(folder / file, data.find(b'"seed": 5') + 8 if file == "manifest.json" else len(data) - 8, 1)
    assert main(command.format("set").split()) == 2
    shown = capsys.readouterr()
    assert "was changed" in shown.out + shown.err


@pytest.mark.parametrize("kind", ["a pipe", "a device"])
def test_a_shard_that_is_no_file_is_told(tmp_path: Path, kind: str) -> None:
    """It is not waited for, nor read without an end."""
    path = tmp_path / "shard-00000.safetensors"
    os.mkfifo(path) if kind == "a pipe" else path.symlink_to("/dev/zero")
    with pytest.raises(TraceSetError, match=f"shard-00000.safetensors.*{kind}"):
        read_shard(path, programs().table)


def test_a_changed_byte_in_an_unfinished_set_is_written_again(tmp_path: Path, whole: Path) -> None:
    """Red where a shard counts as sound whose columns only look right."""
    plan = plan_set(programs(), task="both", traces={1: 1, 2: 2}, sizes=None, seed=5, shard_traces=2)
    began = tmp_path / "began"
    writer = TraceSetWriter(began, programs().table, plan.info)
    make_shards(plan, plan.shards[:1], writer, processes=1, progress=None, budget=None)
    for number, (path, place, bits) in enumerate(changed_bytes(began, step=151)):
        folder = shutil.copytree(began, tmp_path / str(number))
        change(folder / path.name, place, bits)
        if path.name == PLAN:
            with pytest.raises(TraceSetError, match="cannot be read"):
                generate(programs(), out=folder, **SETTINGS)
        else:
            generate(programs(), out=folder, **SETTINGS)
            assert contents(folder) == contents(whole)


def test_a_kill_at_any_file_operation_leaves_what_the_same_call_finishes(
    tmp_path: Path, whole: Path, parts: list[Path]
) -> None:
    """Red where temporary files, a plan or a lock are left, or stand in the way of the same call."""
    works = {
        "trace": lambda out: generate(programs(), out=out, **SETTINGS),
        "merge": lambda out: merge_parts(parts, out=out),
    }
    for name, work in works.items():
        out, kills = tmp_path / name, 0
        for _ in killed(lambda work=work, out=out: work(out), step=2):
            kills += 1
            work(out)
            assert contents(out) == contents(whole)
            shutil.rmtree(out)
        assert kills > 6


def test_two_that_write_one_set_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    (tmp_path / "strip.npi").write_text(STRIP)
    words = ["trace", str(tmp_path / "strip.npi"), "--traces", "1", "--out", str(tmp_path / "set")]
    real = generation.make_shards

    def beside(*args, **kwargs):
        monkeypatch.undo()
        assert forked(lambda: exit_with(main(words), 2)) == 0
        return real(*args, **kwargs)

    monkeypatch.setattr(generation, "make_shards", beside)
    assert main(words) == 0
    assert len(TraceSet.open(tmp_path / "set")) == 4
    assert main(words) == 0  # and one that comes later finds it finished


def exit_with(status: int, expected: int) -> None:
    assert status == expected


def test_training_reads_each_shard_for_its_hash_once(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from traces.storage import trace_set

    hashed, real = [], trace_set._sha256
    monkeypatch.setattr(trace_set, "_sha256", lambda path: hashed.append(path.name) or real(path))
    gather([whole], traces=1, seed=0)
    assert sorted(hashed) == ["shard-00000.safetensors", "shard-00001.safetensors"]
