"""Parts of a trace set, made apart: together they are the bytes of one process; what does not fit is named."""

import json
import shutil
from pathlib import Path

import pytest

from envs.support.sealed_json import sealed
from npi.cli.main import main
from npi.jobs.train import gather
from tests.support.interrupted import Interrupted, stop_at
from tests.support.tape_programs import contents
from tests.support.tiny import STRIP
from tests.support.tiny import strip as programs
from traces.generation import shards as parts_module
from traces.generation.generate import generate
from traces.generation.shards import TracePart, generate_part, merge_parts
from traces.storage.trace_set import MANIFEST, PART, PLAN, ShardRange, TraceSet, TraceSetError, shard_name

SETTINGS = {"task": "both", "traces": 7, "sizes": [1, 2, 3], "seed": 5, "shard_traces": 2}
"""Four shards, the last of one trace."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The set of one process."""
    folder = tmp_path_factory.mktemp("sets") / "whole"
    generate(programs(), out=folder, **SETTINGS)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> list[Path]:
    """Its parts: shards 0:1, 1:2 and 2:4."""
    folders = [tmp_path_factory.mktemp("parts") / f"part-{k}" for k in (1, 2, 3)]
    for k, folder in enumerate(folders, 1):
        generate_part(programs(), out=folder, part=(k, 3), **SETTINGS)
    return folders


@pytest.fixture
def folders(made, tmp_path) -> list[Path]:
    """Copies of the parts, to be damaged."""
    return [shutil.copytree(folder, tmp_path / folder.name) for folder in made]


def test_parts_together_are_the_bytes_of_one_process(whole, made, tmp_path):
    """In any order; red when a part draws other problems, or the manifest tells that there were parts."""
    found = merge_parts(made[::-1], out=tmp_path / "merged")
    assert contents(tmp_path / "merged") == contents(whole)
    assert len(found) == 7
    for folder in made:
        for name, data in contents(folder).items():
            assert name == PART or data == contents(whole)[name]


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.thorough)])
def test_shards_named_by_number_fit_as_well(whole, tmp_path, processes):
    for name, shards in (("a", (0, 3)), ("b", (3, 4))):
        part = generate_part(programs(), out=tmp_path / name, shards=shards, processes=processes, **SETTINGS)
        assert part.shards == ShardRange(*shards, 4)
    merge_parts([tmp_path / "a", tmp_path / "b"], out=tmp_path / "merged")
    assert contents(tmp_path / "merged") == contents(whole)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_parts_of_a_number_are_all_shards_once(count):
    found = [parts_module._chosen((k, count), None, 4) for k in range(1, count + 1)]
    numbers = [n for part in found for n in range(part.begin, part.end)]
    assert numbers == [0, 1, 2, 3]
    assert max(p.end - p.begin for p in found) - min(p.end - p.begin for p in found) <= 1


def test_a_part_is_read_like_a_set(made):
    part = TracePart.open(made[2])
    assert (str(part.shards), len(part.traces)) == ("shards 2:4 of 4", 3)
    assert [len(batch) for batch in part.traces.batches()] == [2, 1]


def test_a_part_is_not_trained_on(made):
    """Nor opened as a set; the message says what to do."""
    with pytest.raises(TraceSetError, match=r"holds a part of a trace set: put it together .*npi merge"):
        gather([made[0]], traces=1, seed=0)


def test_an_interrupted_part_goes_on_where_it_stopped(whole, folders, tmp_path):
    again = tmp_path / "again"
    with pytest.raises(Interrupted):
        generate_part(programs(), out=again, part=(3, 3), progress=stop_at(1), **SETTINGS)
    assert {path.name for path in again.iterdir()} == {PLAN, shard_name(3)}  # the longest comes first
    with pytest.raises(TraceSetError, match="unfinished part: make it again with the same settings"):
        merge_parts([*folders[:2], again], out=tmp_path / "merged")
    with pytest.raises(TraceSetError, match="unfinished trace set of other settings"):
        generate_part(programs(), out=again, shards=(0, 2), **SETTINGS)
    seen = []
    generate_part(programs(), out=again, part=(3, 3), progress=lambda *p: seen.append(p), **SETTINGS)
    assert seen == [(1, 3), (3, 3)]
    assert contents(again) == contents(folders[2])


def test_an_interrupted_merge_goes_on(whole, made, tmp_path):
    with pytest.raises(Interrupted):
        merge_parts(made, out=tmp_path / "merged", progress=stop_at(3))
    assert not (tmp_path / "merged" / MANIFEST).exists()
    (tmp_path / "merged" / shard_name(0)).write_bytes(b"half")
    merge_parts(made, out=tmp_path / "merged")
    assert contents(tmp_path / "merged") == contents(whole)


def test_a_finished_part_is_opened_as_it_is(made):
    times = {path: path.stat().st_mtime_ns for path in made[1].iterdir()}
    assert generate_part(programs(), out=made[1], part=(2, 3), **SETTINGS).shards == ShardRange(1, 2, 4)
    assert {path: path.stat().st_mtime_ns for path in made[1].iterdir()} == times
    with pytest.raises(TraceSetError, match="holds shards 1:2 of 4 already, not shards 0:1 of 4"):
        generate_part(programs(), out=made[1], part=(1, 3), **SETTINGS)
    with pytest.raises(TraceSetError, match="of other settings"):
        generate_part(programs(), out=made[1], part=(2, 3), **(SETTINGS | {"seed": 6}))
    with pytest.raises(TraceSetError, match="finished trace set already"):
        generate(programs(), out=made[1], **SETTINGS)


def another(folder: Path, **changes) -> Path:
    """The first part of another set."""
    generate_part(programs(), out=folder / "other", part=(1, 3), **(SETTINGS | changes))
    return folder / "other"


def flipped(folder: Path) -> None:
    data = bytearray((folder / shard_name(1)).read_bytes())
    data[-5] ^= 1
    (folder / shard_name(1)).write_bytes(data)


def relabelled(folder: Path) -> None:
    data = json.loads((folder / PART).read_text())
    del data["sha256"]
    (folder / PART).write_bytes(sealed(data | {"part": {"begin": 0, "end": 1, "whole": 4}}))


def test_what_is_missing_is_named(folders, tmp_path):
    for left, message in ((folders[:2], "shards 2:4 of the set"), (folders[1:2], "shards 0:1, 2:4 of the set")):
        with pytest.raises(TraceSetError, match=message + r" \(4 shards\) are in no part; make them with npi trace"):
            merge_parts(left, out=tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
    with pytest.raises(ValueError, match="no parts to put together"):
        merge_parts([], out=tmp_path / "merged")


def test_what_is_there_twice_is_named(folders, tmp_path):
    generate_part(programs(), out=tmp_path / "more", shards=(1, 3), **SETTINGS)
    with pytest.raises(TraceSetError, match=r"shards 1:3 of the set: in both .*part-2 and .*more; leave one out"):
        merge_parts([*folders, tmp_path / "more"], out=tmp_path / "merged")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 6}, "differs in seed: 6 there, 5 here|differs in seed: 5 there, 6 here"),
        ({"traces": 8}, "differs in settings"),
    ],
)
def test_parts_of_another_set_are_refused(folders, tmp_path, changes, message):
    with pytest.raises(TraceSetError, match=message):
        merge_parts([another(tmp_path, **changes), *folders[1:]], out=tmp_path / "merged")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flipped, "changed after it was written: its sha256 is not that of part.json"),
        (relabelled, "lists other files than those of shards 0:1 of 4"),
        (lambda f: (f / shard_name(1)).unlink(), "shard-00001.safetensors is missing"),
        (lambda f: (f / PART).unlink(), "is no part of a trace set: it has no part.json"),
        (lambda f: (f / PART).rename(f / MANIFEST), "holds a whole trace set, which needs no other parts"),
    ],
)
def test_damage_of_a_part_is_named(folders, tmp_path, damage, message):
    damage(folders[1])
    with pytest.raises(TraceSetError, match=message) as caught:
        merge_parts(folders, out=tmp_path / "merged")
    assert str(folders[1]) in str(caught.value)
    assert not (tmp_path / "merged" / MANIFEST).exists()


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"part": (1, 5)}, "the set has 4 shards, too few for 5 parts"),
        ({"part": (0, 2)}, "no part 0 of 2; parts are numbered from 1"),
        ({"part": (3, 2)}, "no part 3 of 2"),
        ({"shards": (2, 5)}, "no shards 2:5; the set has 4 shards, so give some of 0:4"),
        ({"shards": (2, 2)}, "no shards 2:2"),
        ({}, "by part or by shards"),
        ({"part": (1, 2), "shards": (0, 1)}, "not by both"),
    ],
)
def test_parts_that_cannot_be(tmp_path, choice, message):
    with pytest.raises(ValueError, match=message):
        generate_part(programs(), out=tmp_path / "part", **choice, **SETTINGS)
    assert not (tmp_path / "part").exists()


def test_parts_on_the_command_line(tmp_path, capsys):
    """Three shards of 512 traces at most, in two parts; trained on as a whole."""
    (tmp_path / "strip.npi").write_text(STRIP)
    words = ["trace", str(tmp_path / "strip.npi"), "--traces", "600", "--sizes", "1,2", "--seed", "3", "--out"]
    assert main([*words, str(tmp_path / "whole")]) == 0
    assert main([*words, str(tmp_path / "a"), "--part", "1/2"]) == 0
    assert "shards 0:1 of 3" in (told := capsys.readouterr().out)
    assert "next: npi merge PART..." in told
    assert main([*words, str(tmp_path / "b"), "--shards", "1:3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["part"], found["traces"]) == ({"begin": 1, "end": 3, "whole": 3}, 688)
    assert main(["merge", str(tmp_path / "b"), str(tmp_path / "a"), "--out", str(tmp_path / "c"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["traces"] == 1200
    assert contents(tmp_path / "c") == contents(tmp_path / "whole")
    assert len(TraceSet.open(tmp_path / "c", verify="hash")) == 1200


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--part", "half"], "--part 'half' is not understood; write for example 2/4"),
        (["--shards", "3"], "--shards '3' is not understood; write for example 0:4"),
        (["--part", "1/2", "--shards", "0:1"], "give one of them"),
        (["--part", "1/2"], "the set has 1 shard, too few for 2 parts"),
    ],
)
def test_parts_that_are_not_understood(tmp_path, capsys, words, message):
    (tmp_path / "strip.npi").write_text(STRIP)
    assert main(["trace", str(tmp_path / "strip.npi"), "--out", str(tmp_path / "a"), *words]) == 2
    assert message in capsys.readouterr().err


def test_a_merge_that_does_not_fit_ends_with_2(folders, tmp_path, capsys):
    assert main(["merge", *map(str, folders[1:]), "--out", str(tmp_path / "c")]) == 2
    assert "shards 0:1 of the set (4 shards) are in no part" in capsys.readouterr().err
