"""Trace sets on disk: what is written comes back, and each kind of damage is named with what to do."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from envs.spec import ProgramTable
from envs.support.atomic_files import write_whole
from envs.support.sealed_json import sealed
from tests.support.trace_helpers import TABLE
from traces.recording.batch import DTYPES, concatenate
from traces.recording.recorder import ManualRecorder
from traces.recording.unique_frames import unique_frames
from traces.storage.trace_set import (
    MANIFEST,
    PLAN,
    TraceInfo,
    TraceSet,
    TraceSetError,
    TraceSetWriter,
    read_shard,
    shard_name,
)

INFO = TraceInfo("file.npi", "ab" * 32, (("file.npi", "text"),), "turn", 7, {"counts": {"3": 2}})


def some_traces(count, direction="LEFT"):
    recorder = ManualRecorder(TABLE, observe=lambda: [1, 0])
    for size in range(count):
        with recorder.trace("MAIN", size=size), recorder.call("TURN", direction):
            for _ in range(size + 1):
                recorder.act("MOVE", direction)
    return recorder.batch()


BATCHES = [some_traces(3), some_traces(2, "RIGHT")]


def write(folder):
    writer = TraceSetWriter(folder, TABLE, INFO)
    return writer.finish([writer.write(i, batch) for i, batch in enumerate(BATCHES)])


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets") / "turn"
    write(folder)
    return folder


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "copy")


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in DTYPES)


@pytest.mark.parametrize("verify", ["size", "hash"])
def test_what_is_written_comes_back(written, verify):
    found = TraceSet.open(written, verify=verify)
    assert (found.table, found.info) == (ProgramTable.from_json(TABLE.to_json()), INFO)
    assert (len(found), found.frames, found.steps) == (5, 10, sum(batch.steps for batch in BATCHES))
    assert all(same(one, other) for one, other in zip(found.batches(), BATCHES, strict=True))
    assert same(found.whole(), concatenate(BATCHES))
    assert same(found.trace(3), BATCHES[1].trace(0))
    assert [int(trace.size[0]) for trace in found] == [0, 1, 2, 0, 1]
    with pytest.raises(IndexError):
        found.trace(5)


def test_frames_of_a_set_on_disk_are_those_in_memory(written):
    one, other = unique_frames(TraceSet.open(written).batches()), unique_frames(BATCHES)
    assert one.count_M.tolist() == other.count_M.tolist()
    assert one.call_S4.tolist() == other.call_S4.tolist()


def test_shards_cannot_be_changed_through_their_columns(written):
    batch = read_shard(written / shard_name(0), TABLE)
    with pytest.raises(ValueError, match="read-only"):
        batch.calls[0, 0] = 1


def test_a_set_is_the_same_bytes_each_time(written, tmp_path):
    write(tmp_path / "again")
    names = sorted(path.name for path in written.iterdir())
    assert names == [MANIFEST, shard_name(0), shard_name(1)]  # no plan, nothing temporary
    for name in names:
        assert (written / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def change_manifest(folder, **changes):
    path = folder / MANIFEST
    data = json.loads(path.read_text())
    for key, value in changes.items():
        data[key] = value(data[key]) if callable(value) else value
    del data["sha256"]
    path.write_bytes(sealed(data))


def truncate(folder):
    path = folder / shard_name(1)
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_byte(folder, place=-5):
    path = folder / shard_name(0)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(bytes(data))


def change_a_call_and_the_hash(folder):
    import hashlib

    path = folder / shard_name(0)
    columns = load_file(path)
    columns["calls"][0, 0] = 40
    save_file(columns, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    change_manifest(folder, shards=lambda s: [s[0] | {"sha256": digest, "bytes": path.stat().st_size}, s[1]])


DAMAGE = {
    "cut off": (truncate, "was cut or changed; generate the set again"),
    "a changed byte": (flip_a_byte, "sha256 is not the manifest's"),
    "a missing shard": (lambda f: (f / shard_name(0)).unlink(), "is missing"),
    "contents that contradict themselves": (change_a_call_and_the_hash, "column calls at"),
    "another version": (lambda f: change_manifest(f, version=3), "version 3, this program reads version 2"),
    "another format": (lambda f: change_manifest(f, format="sets"), "not the manifest of a trace set"),
    "no manifest": (lambda f: (f / MANIFEST).unlink(), "is not a trace set: it has no manifest.json"),
    "no JSON": (lambda f: (f / MANIFEST).write_text("{"), "is not JSON"),
    "no text": (lambda f: (f / MANIFEST).write_bytes(b"\xff\xfe{}"), "is not JSON"),
    "a list": (lambda f: (f / MANIFEST).write_text("[]"), "not the manifest of a trace set"),
    "a part missing": (lambda f: change_manifest(f, info={}), "part of the manifest is missing"),
    "another table": (
        lambda f: change_manifest(f, table=lambda t: t | {"programs": t["programs"][:1], "calls": [[]]}),
        "table or counts were changed",
    ),
    "other counts": (lambda f: change_manifest(f, counts=lambda c: c | {"traces": 4}), "table or counts were changed"),
    "a file elsewhere": (
        lambda f: change_manifest(f, shards=lambda s: [s[0] | {"file": "../turn/" + shard_name(0)}, s[1]]),
        "that no shard is called",
    ),
    "an unfinished set": (
        lambda f: (f / MANIFEST).rename(f / PLAN),
        "holds an unfinished trace set: generate it again",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named_with_what_to_do(folder, name):
    TraceSet.open(folder, verify="hash")
    do, message = DAMAGE[name]
    do(folder)
    with pytest.raises(TraceSetError, match=message) as caught:
        TraceSet.open(folder, verify="hash")
    assert str(folder) in str(caught.value)


def test_the_size_alone_does_not_see_a_changed_byte(folder):
    flip_a_byte(folder)
    assert len(TraceSet.open(folder, verify="size")) == 5
    with pytest.raises(TraceSetError, match="sha256 is not the manifest's"):
        TraceSet.open(folder)


def test_a_shard_of_other_columns_is_refused(tmp_path):
    save_file({"obs": np.zeros((1, 2), np.int16)}, tmp_path / "one.safetensors")
    with pytest.raises(TraceSetError, match="not a whole shard"):
        read_shard(tmp_path / "one.safetensors", TABLE)
    columns = {name: column.astype(np.int64) for name, column in BATCHES[0].columns().items()}
    save_file(columns, tmp_path / "two.safetensors")
    with pytest.raises(TraceSetError, match="column obs holds int64, expected int16"):
        read_shard(tmp_path / "two.safetensors", TABLE)
    (tmp_path / "three.safetensors").write_bytes(b"not one")
    with pytest.raises(TraceSetError, match="not a whole shard"):
        read_shard(tmp_path / "three.safetensors", TABLE)


def test_an_interrupted_set_goes_on(tmp_path):
    first = TraceSetWriter(tmp_path, TABLE, INFO)
    shard = first.write(0, BATCHES[0])
    second = TraceSetWriter(tmp_path, TABLE, INFO)
    assert second.existing(0) == shard
    assert second.existing(1) is None
    (tmp_path / shard_name(1)).write_bytes(b"half")
    assert second.existing(1) is None
    assert len(second.finish([shard, second.write(1, BATCHES[1])])) == 5


def test_a_writer_leaves_alone_what_is_not_its_own(tmp_path, written):
    with pytest.raises(TraceSetError, match="holds a finished trace set"):
        TraceSetWriter(written, TABLE, INFO)
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to-anna.txt").write_text("Dear Anna")
    with pytest.raises(TraceSetError, match="is not empty"):
        TraceSetWriter(tmp_path / "letters", TABLE, INFO)
    TraceSetWriter(tmp_path / "new", TABLE, INFO)
    with pytest.raises(TraceSetError, match="seed was 7, is 8"):
        TraceSetWriter(
            tmp_path / "new", TABLE, TraceInfo(seed=8, **{k: getattr(INFO, k) for k in vars(INFO) if k != "seed"})
        )
    other = ProgramTable(TABLE.world, TABLE.programs[:1], ((),))
    with pytest.raises(TraceSetError, match="another table"):
        TraceSetWriter(tmp_path / "new", other, INFO)
    (tmp_path / "new" / PLAN).write_text("[]")
    with pytest.raises(TraceSetError, match="cannot be read"):
        TraceSetWriter(tmp_path / "new", TABLE, INFO)


def test_a_file_that_cannot_be_written_whole_is_not_there(tmp_path, monkeypatch):
    write_whole(tmp_path / "it", b"before")

    def full(_):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_whole(tmp_path / "it", b"after")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("it", b"before")]
