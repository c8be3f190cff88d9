"""Trace sets of tasks: judged, the same bytes for any number of processes, taken up where they stopped."""

import os
import signal
import subprocess
import sys

import pytest
import torch

from dsl import compile_teacher, load, loads
from tests.conftest import compare_golden, pytest_addoption
from tests.support.interrupted import Interrupted, stop_at
from tests.support.paths import PROGRAMS, ROOT
from tests.support.tape_programs import contents
from traces.generation.generate import (
    TeacherError,
    WorkerError,
    count_by_size,
    generate,
    load_sources,
    plan_shards,
    record_problems,
    record_traces,
)
from traces.machine.lockstep import Budget
from traces.recording.batch import DTYPES, check_batch
from traces.recording.text import text
from traces.recording.unique_frames import check_rule, unique_frames
from traces.storage.trace_set import MANIFEST, PLAN, TraceSetError, shard_name

ADDITION = load(PROGRAMS / "addition.npi")
SORT = load(PROGRAMS / "bubblesort.npi")
MAX = load(PROGRAMS / "max.npi")
SETTINGS = {"task": "add", "traces": 9, "sizes": [1, 2, 3], "seed": 5, "shard_traces": 4}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets") / "alone"
    generate(ADDITION, out=folder, **SETTINGS)
    return folder


@pytest.mark.parametrize(
    ("program_set", "task", "words", "name"),
    [
        (ADDITION, "add", ["96", "125"], "add_96_125.txt"),
        (SORT, "sort", ["3,1,2"], "sort_3_1_2.txt"),
        (MAX, "max", ["2,7"], "max_2_7.txt"),
    ],
)
def test_traces_read_as_they_did(program_set, task, words, name, golden):
    chosen = program_set.task(task)
    batch = record_problems(program_set, chosen, [chosen.parse(words)])
    golden(name, text(batch, observations=True))


def test_golden_texts_are_accepted_on_purpose_only(tmp_path):
    options = {}

    class Parser:
        def addoption(self, name, **settings):
            options[name] = settings

    pytest_addoption(Parser())
    assert options["--accept"]["default"] is False
    path = tmp_path / "one.txt"
    with pytest.raises(AssertionError, match="does not exist"):
        compare_golden(path, "new", accept=False)
    path.write_text("old")
    with pytest.raises(AssertionError, match="differs"):
        compare_golden(path, "new", accept=False)
    assert path.read_text() == "old"
    compare_golden(path, "new", accept=True)
    assert path.read_text() == "new"


def test_a_set_holds_what_was_asked_for(alone):
    found = generate(ADDITION, out=alone, **SETTINGS)  # finished before: opened as it is
    assert [shard.traces for shard in found.shards] == [4, 4, 1]
    assert found.whole().size.tolist() == [1] * 3 + [2] * 3 + [3] * 3
    assert (found.info.task, found.info.seed, found.info.program) == ("add", 5, "addition.npi")
    assert found.info.program_digest == ADDITION.digest
    for batch in found.batches():
        check_batch(batch)
    check_rule(unique_frames(found.batches()))


def test_two_processes_write_the_same_bytes(alone, tmp_path):
    seen = []
    generate(ADDITION, out=tmp_path / "two", processes=2, progress=lambda *p: seen.append(p), **SETTINGS)
    assert contents(tmp_path / "two") == contents(alone)
    assert seen[0] == (0, 9)
    assert seen[-1] == (9, 9)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


SCRIPT = f"""
from pathlib import Path
from dsl import load
from envs import register_world
from envs.scratchpad.world import Scratchpad
from traces import generate

REGISTER
with Path("began").open("a") as file:
    print("began", file=file)
print(len(generate(load({str(PROGRAMS / "addition.npi")!r}), out="set", processes=2, **{SETTINGS})))
"""


MINE = "register_world('mine', Scratchpad)"


@pytest.mark.parametrize(
    ("stdin", "register", "message"),
    [
        pytest.param(True, "", None, marks=pytest.mark.thorough),
        (False, MINE, "lacks if __name__"),
        pytest.param(False, "", None, marks=pytest.mark.thorough),
        pytest.param(True, MINE, "in a notebook or on standard input", marks=pytest.mark.thorough),
    ],
)
def test_a_script_without_a_guard(tmp_path, stdin, register, message):
    """It begins once, in a file and on standard input. Where the processes need it, there is one error, not many."""
    script = SCRIPT.replace("REGISTER", register)
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "-" if stdin else "script.py"], input=script if stdin else "", cwd=tmp_path, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, timeout=240,
    )  # fmt: skip
    if message is None:
        assert (done.stdout, done.stderr, (tmp_path / "began").read_text()) == ("9\n", "", "began\n")
    else:
        assert (done.returncode, done.stdout, done.stderr.count("Traceback")) == (1, "", 1)
        last = done.stderr.splitlines()[-1]
        assert last.startswith("traces.generation.generate.WorkerError: ")
        assert message in last


def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("traces.generation.generate._make_in_worker", killed)
    with pytest.raises(WorkerError, match="it was killed, or ran out of memory"):
        generate(ADDITION, out=tmp_path / "two", processes=2, **SETTINGS)


def test_another_seed_gives_other_traces(alone, tmp_path):
    generate(ADDITION, out=tmp_path / "other", **(SETTINGS | {"seed": 6}))
    assert contents(tmp_path / "other")[shard_name(0)] != contents(alone)[shard_name(0)]


def test_an_interrupted_set_goes_on_where_it_stopped(alone, tmp_path):
    folder = tmp_path / "set"
    with pytest.raises(Interrupted):
        generate(ADDITION, out=folder, progress=stop_at(5), **SETTINGS)
    kept = {name for name in contents(folder) if name.startswith("shard")}
    assert kept == {shard_name(1), shard_name(2)}  # the longest come first
    assert (folder / PLAN).exists()
    assert not (folder / MANIFEST).exists()
    times = {name: (folder / name).stat().st_mtime_ns for name in kept}
    seen = []
    generate(ADDITION, out=folder, progress=lambda *p: seen.append(p), **SETTINGS)
    assert seen == [(5, 9), (9, 9)]
    assert {name: (folder / name).stat().st_mtime_ns for name in kept} == times
    assert contents(folder) == contents(alone)


def test_other_settings_are_not_mixed_into_a_folder(alone, tmp_path):
    with pytest.raises(TraceSetError, match="finished trace set of other settings"):
        generate(ADDITION, out=alone, **(SETTINGS | {"seed": 6}))
    with pytest.raises(Interrupted):
        generate(ADDITION, out=tmp_path / "set", progress=stop_at(0), **SETTINGS)
    with pytest.raises(TraceSetError, match="unfinished trace set of other settings"):
        generate(ADDITION, out=tmp_path / "set", **(SETTINGS | {"traces": 10}))


def test_traces_in_memory_are_those_of_one_shard(tmp_path):
    settings = {"task": "sort", "traces": {2: 3, 5: 2}, "seed": 1}
    batch = record_traces(SORT, **settings)
    whole = generate(SORT, out=tmp_path / "set", shard_traces=5, **settings).whole()
    assert all((getattr(batch, name) == getattr(whole, name)).all() for name in DTYPES)
    assert batch.size.tolist() == [2, 2, 2, 5, 5]


def test_sources_in_a_set_rebuild_its_programs():
    again = load_sources(MAX.sources)
    assert (again.digest, again.table) == (MAX.digest, MAX.table)
    with pytest.raises(ValueError, match="leads out of its folder"):
        load_sources([("../escape.npi", "")])
    with pytest.raises(ValueError, match="no sources"):
        load_sources([])


def test_a_program_set_from_a_text_is_rebuilt_as_well():
    program_set = loads((PROGRAMS / "addition.npi").read_text())
    assert load_sources(program_set.sources).digest == program_set.digest


WRONG = """
world pad is scratchpad:
    row IN, OUT of digit

program COPY "Copy a digit":
    ACT(OUT, WRITE, IN)

program SPIN "Go left until a digit turns up":
    while not IN:
        ACT(IN, LEFT)

task double(a: number):
    IN = digits(a)
    run COPY
    expect number(OUT) == a + a
    train a of 1 digits

task spin(a: number):
    OUT = digits(a)
    run SPIN
    expect under(IN) == blank
    train a of 1 digits
"""


def test_a_wrong_result_of_the_teacher_is_an_error(tmp_path):
    program_set = loads(WRONG, path="wrong.npi")
    with pytest.raises(TeacherError) as caught:
        generate(program_set, task="double", traces={1: 8}, out=tmp_path / "set")
    message = str(caught.value)
    assert message.startswith("task double of a = ")
    assert "is not what the task expects (number(OUT) = " in message
    assert message.endswith("one of the two is wrong in wrong.npi")


def test_a_teacher_that_does_not_end_is_an_error():
    program_set = loads(WRONG, path="wrong.npi")
    with pytest.raises(TeacherError, match=r"still running after 100 steps, in a loop of .*\(.*, line \d+\)"):
        record_traces(program_set, task="spin", traces={1: 2}, budget=Budget(steps=100))


def test_counts_are_spread_over_sizes():
    assert count_by_size(8, [3, 1, 2]) == {1: 3, 2: 3, 3: 2}
    assert count_by_size({2: 5, 9: 0}, []) == {2: 5}
    assert count_by_size(2, [3, 3, 1, 2]) == {1: 1, 2: 1}
    for wrong in ({}, {0: 1}, {2: -1}, 0):
        with pytest.raises(ValueError, match="expected counts"):
            count_by_size(wrong, [1])


def test_plans_do_not_depend_on_the_traces_of_other_shards():
    short, long = (plan_shards("add", {1: n}, seed=3, shard_traces=4) for n in (8, 12))
    assert long[:2] == short
    assert [plan.traces for plan in long] == [4, 4, 4]
    seeds = [draw[2] for plan in long for draw in plan.draws]
    assert len(set(seeds)) == 3
    assert plan_shards("sub", {1: 8}, seed=3, shard_traces=4)[0] != short[0]
    with pytest.raises(ValueError, match="at least one trace"):
        plan_shards("add", {1: 8}, seed=3, shard_traces=0)


def test_the_global_generator_is_not_touched():
    before = torch.random.get_rng_state()
    record_traces(ADDITION, task="add", traces=4)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_given_teacher_is_used():
    task, teacher = SORT.task("sort"), compile_teacher(SORT)
    asked = []

    class Watched:
        width, dtype = teacher.width, teacher.dtype

        def step(self, *inputs, ended_B=None, draw=None):
            asked.append(1)
            return teacher.step(*inputs)

    record_problems(SORT, task, [task.parse(["2,1"])], teacher=Watched())
    assert asked
