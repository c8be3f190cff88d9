"""Places in the text against tables walked in plain Python, and that no gate ever hides what a decision needs."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import loads
from dsl.generator import stream
from dsl.lowering import decision_tables
from dsl.program import Program, ProgramSet
from envs.spec import GO_ON, RETURN
from npi.core.config import TrainConfig
from npi.jobs.train import train_library
from npi.proof.prove import text_steps
from npi.training.dataset import Dataset
from npi.training.examples import opened
from npi.training.induction.inferred_places import finders_of, infer_places
from npi.training.places import Places, finder_of_texts, place_reads
from tests.support.random_programs import WORLDS, run_all, together, vocabulary
from tests.support.tiny import dataset, strip, tape, turn, untrained
from traces.recording.recorder import Recorder
from traces.recording.unique_frames import FrameSet, unique_frames

Call = tuple[int, ...]

PARAMETERS = """
world pad is scratchpad:
    row A of 0..2
    pointer P, Q on A

program STEP(p: pointer, d: direction) "Go there while there is something":
    while not first(p) and p != 0:
        ACT(p, d)

program BACK(v: 0..2) "Look again where it began":
    while P != v and not last(P):
        STEP(Q, LEFT)
        ACT(P, RIGHT)
    if Q == v:
        ACT(Q, WRITE, v)
    STEP(P, LEFT)

task back(items: list of 0..2):
    A = items
    run BACK(1)
    expect len(A) == len(items)
    train items of 1..5
"""


def decided(program: Program, node: int, obs: Sequence[int], tokens: Sequence[int]) -> tuple[Call, int]:
    """The call of a node and the node that decides next, by the program's table in plain Python."""
    assert program.table is not None
    slots = program.signature.slots
    given_ = {"field": list(obs), "slot": [slot.tokens.index(t) for slot, t in zip(slots, tokens, strict=False)]}
    while True:
        one = program.table.nodes[node]
        at = sum(stride * given_[read.kind][read.index] for read, stride in zip(one.reads, one.strides, strict=True))
        call, node = tuple(one.call_M4[at].tolist()), int(one.next_M[at])
        if call[0] != GO_ON:
            return call, node


def plain_places(programs: ProgramSet, frames: FrameSet) -> tuple[list[int], list[int]]:
    """Places before and after each step, frame by frame and step by step; calls are compared on the way."""
    by_id = {p.id: p for p in programs.programs}
    before, after = [], []
    for m in range(len(frames)):
        program, node, place = by_id[int(frames.program_M[m])], 0, 0
        for s in range(int(frames.start_M[m]), int(frames.start_M[m] + frames.length_M[m])):
            call, node = decided(program, node, frames.obs_SF[s].tolist(), frames.arguments_M3[m].tolist())
            shown = tuple(frames.call_S4[s].tolist())
            assert call == shown or call[0] == shown[0] == RETURN
            before.append(place)
            place = 0 if call[0] == RETURN else node + 1
            after.append(place)
    return before, after


def hidden_differences(frames: FrameSet, places: Places) -> list[str]:
    """Steps that look the same in one place, as far as its gates are open, and go on otherwise."""
    spec, known, wrong = frames.table.world, dict[tuple, tuple](), []
    frame_S = torch.arange(len(frames)).repeat_interleave(frames.length_M).tolist()
    open_ = {
        (program, place): opened(spec, reads) for program, own in places.reads.items() for place, reads in own.items()
    }
    before, after = places.before_S.tolist(), places.after_S.tolist()
    inputs = zip(frames.obs_SF.tolist(), frames.call_S4.tolist(), frame_S, strict=True)
    for s, (obs, call, m) in enumerate(inputs):
        program = int(frames.program_M[m])
        seen = [*obs, *frames.arguments_M3[m].tolist()]
        seen = [v if shown else None for v, shown in zip(seen, open_[program, before[s]], strict=True)]
        goes = (RETURN,) if call[0] == RETURN else (*call, after[s])
        if known.setdefault((program, before[s], *seen), goes) != goes:
            wrong.append(f"{frames.table.signatures[program].name} at {before[s]}")
    return wrong


@pytest.mark.parametrize("source", [strip, turn, tape, lambda: loads(PARAMETERS, path="back.npi")])
def test_places_by_the_text_are_those_of_a_table_walked_in_plain_python(source: Callable[[], ProgramSet]) -> None:
    programs = source()
    frames = dataset(programs).frames
    places = finder_of_texts(programs)(frames)
    before, after = plain_places(programs, frames)
    assert places.before_S.tolist() == before
    assert places.after_S.tolist() == after
    assert len(set(before)) > 2
    begins = torch.zeros(frames.steps, dtype=torch.bool).index_fill(0, frames.start_M, True)
    assert ((places.before_S == 0) == begins).all(), "a frame is at place 0 where it begins, and never again"
    shown = set(zip(frames.program_M.repeat_interleave(frames.length_M).tolist(), before, strict=True))
    assert shown <= {(program, place) for program, own in places.reads.items() for place in own}


def test_what_the_strip_reads_in_each_place() -> None:
    """As a person reads the text: a loop is decided at the beginning and after each turn, a sequence nowhere."""
    programs = strip()
    names = [field.name for field in programs.world.spec.fields] + ["d"]
    reads = finder_of_texts(programs)(dataset(programs).frames).reads
    found = {
        programs.table.signatures[p].name: [{names[i] for i in r} for r in own.values()] for p, own in reads.items()
    }
    assert found["strip.MOVE"] == [{"d"}, set()]
    assert found["strip.SCAN"] == [{"last(P)"}, {"last(P)"}]
    assert found["strip.ZERO"] == [{"P", "last(P)"}, {"P", "last(P)"}]
    assert found["strip.ROUND"] == [set()] * 4


def test_frames_that_contradict_the_text_are_refused_by_name() -> None:
    programs = strip()
    frames = dataset(programs).frames
    find = finder_of_texts(programs)
    zero = int(((frames.program_M == programs.table.id("ZERO")) & (frames.length_M > 2)).nonzero()[0])
    last = int(frames.start_M[zero] + frames.length_M[zero]) - 1
    said = r"the traces show strip.ZERO calling otherwise than its text in strip.npi"
    for step, column, changed in ((last, 0, programs.table.id("MOVE")), (last - 1, 0, RETURN), (last - 1, 1, 1)):
        calls = frames.call_S4.clone()
        assert calls[step, column] != changed
        calls[step, column] = changed
        with pytest.raises(ValueError, match=said):
            find(replace(frames, call_S4=calls))
    with pytest.raises(ValueError, match=r"are of other programs than those of strip.npi"):
        find(dataset(tape()).frames)


def test_finders_remember_the_frames_that_they_were_made_for_and_count_places() -> None:
    """HOME, SCAN, HOME: a program of three places behind its beginning has the most."""
    found = dataset(strip())
    (find,), most = finders_of([found])
    assert most == 3
    assert find(found.frames) is find(found.frames)
    some = found.frames.select(torch.arange(len(found.frames)) % 2 == 0)
    assert find(some).before_S.tolist() == finder_of_texts(strip())(some).before_S.tolist()


# --- what gates hide --------------------------------------------------------------------------------------------------

DRAWN = given(st.sampled_from(sorted(WORLDS)), st.integers(0, 10_000), st.integers(1, 12), st.sampled_from([40, 2**16]))


def drawn_set(world: str, seed: int, size: int, merged: int, count: int) -> tuple[ProgramSet, list[int]]:
    """A file of programs of one size from the generator, and their ids; tables of more entries are cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decision_tables, "MAX_MERGED_ENTRIES", merged)
        found = stream(vocabulary(world), {size: count}, generator=np.random.default_rng(seed))
        return together(world, list(found))


def frames_of(programs: ProgramSet, ids: Sequence[int], pads: int, seed: int) -> FrameSet:
    """Frames of a run of each program on random pads, of those programs alone."""
    recorder = Recorder(programs.table)
    run_all(programs, ids, pads, seed=seed, recorder=recorder)
    frames = unique_frames([recorder.batch()])
    return frames.select(torch.isin(frames.program_M, torch.tensor(list(ids))))


@settings(max_examples=20)
@DRAWN
def test_no_gate_hides_what_a_text_decides_by(world: str, seed: int, size: int, merged: int) -> None:
    """Traces of random programs: red where a place forgets what it reads after it hands on, or a parameter."""
    programs, ids = drawn_set(world, seed, size, merged, 3)
    frames = frames_of(programs, ids, 12, seed)
    assert hidden_differences(frames, finder_of_texts(programs)(frames)) == []


@settings(max_examples=40)
@DRAWN
def test_no_gate_hides_what_the_tables_of_a_text_decide_by(world: str, seed: int, size: int, merged: int) -> None:
    """Whatever the world shows: in every place random inputs, of which those behind closed gates are drawn again."""
    programs, ids = drawn_set(world, seed, size, merged, 2)
    spec, chooser = programs.world.spec, np.random.default_rng(seed)
    for number in ids:
        (program,) = (p for p in programs.programs if p.id == number)
        assert program.table is not None
        slots = [slot.tokens for slot in program.signature.slots]
        choices = [range(field.size) for field in spec.fields] + slots + [(0,)] * (3 - len(slots))
        for place, reads in place_reads(program.table, len(spec.fields)).items():
            free = [i for i, shown in enumerate(opened(spec, reads)) if not shown]
            for _ in range(30):
                seen = [int(chooser.choice(choice)) for choice in choices]
                other = list(seen)
                for i in free:
                    other[i] = int(chooser.choice(choices[i]))
                one, two = (
                    decided(program, max(0, place - 1), x[: len(spec.fields)], x[len(spec.fields) :])
                    for x in (seen, other)
                )
                assert one == two or one[0][0] == two[0][0] == RETURN, (program.name, place, seen, other)


@pytest.mark.parametrize("world", sorted(WORLDS))
def test_no_gate_of_an_inferred_place_hides_what_its_frames_decide_by(world: str) -> None:
    """Without a look at the text: frames are explained, or refused; most of small programs are explained."""
    programs, ids = together(world, list(stream(vocabulary(world), {3: 6, 7: 8}, generator=np.random.default_rng(1))))
    frames, explained = frames_of(programs, ids, 16, 1), 0
    for program in ids:
        own = frames.select(frames.program_M == program)
        try:
            places = infer_places(own)
        except ValueError:
            continue
        explained += 1
        assert hidden_differences(own, places) == []
        assert set(places.before_S.tolist()) == set(places.reads[program])
    assert explained > 10


@pytest.mark.parametrize("source", [strip, turn, tape])
def test_inferred_places_of_programs_that_a_person_wrote(source: Callable[[], ProgramSet]) -> None:
    frames = dataset(source()).frames
    places = infer_places(frames)
    assert hidden_differences(frames, places) == []
    exact = finder_of_texts(source())(frames)
    assert all(len(places.reads[program]) <= len(exact.reads[program]) for program in places.reads)


def test_frames_that_no_small_machine_explains_are_refused() -> None:
    """Calls in another order in each frame, whatever is seen."""
    frames = dataset(strip()).frames
    zero = frames.select(frames.program_M == strip().table.id("ROUND"))
    calls = zero.call_S4.clone()
    calls[zero.start_M[1:]] = torch.tensor([strip().table.id("SCAN"), 0, 0, 0], dtype=calls.dtype)
    obs = torch.zeros_like(zero.obs_SF)
    with pytest.raises(ValueError, match=r"strip.ROUND"):
        infer_places(replace(zero, call_S4=calls, obs_SF=obs))


# --- all steps of a text ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["strip.MOVE", "strip.SCAN", "strip.ZERO", "strip.ROUND"])
def test_all_steps_of_a_text_hold_those_of_its_traces_and_are_decided_by_its_table(name: str) -> None:
    programs = strip()
    steps = text_steps(untrained(), programs, name)
    number, reads = programs.table.id(name), finder_of_texts(programs)(dataset(programs).frames).reads
    (program,) = (p for p in programs.programs if p.id == number)
    spec, found = programs.world.spec, set()
    columns = (steps.place_S, steps.obs_SF, steps.arguments_S3, steps.call_S4, steps.after_S)
    for place, obs, tokens, call, after in zip(*(column.tolist() for column in columns), strict=True):
        wanted, node = decided(program, max(0, place - 1), obs, tokens)
        assert wanted == tuple(call) or wanted[0] == call[0] == RETURN
        assert after == (0 if wanted[0] == RETURN else node + 1)
        shown = opened(spec, reads[number][place])
        found.add((place, *(v if s else None for v, s in zip([*obs, *tokens], shown, strict=True)), call[0]))
    frames = dataset(programs).frames
    frames = frames.select(frames.program_M == number)
    places = finder_of_texts(programs)(frames)
    frame_S = torch.arange(len(frames)).repeat_interleave(frames.length_M)
    for s, place in enumerate(places.before_S.tolist()):
        seen = [*frames.obs_SF[s].tolist(), *frames.arguments_M3[frame_S[s]].tolist()]
        shown = opened(spec, reads[number][place])
        key = (place, *(v if s_ else None for v, s_ in zip(seen, shown, strict=True)), int(frames.call_S4[s, 0]))
        assert key in found
    assert not steps.count_S.any()


LATE = """
world pad is scratchpad:
    row P, Q, R of bit

program LATE "Say at the end what was there at the beginning":
    if P == 1:
        ACT(P, WRITE, blank)
        ACT(Q, RIGHT)
        ACT(Q, RIGHT)
        ACT(Q, RIGHT)
        ACT(Q, RIGHT)
        ACT(R, WRITE, 1)
    else:
        ACT(P, WRITE, blank)
        ACT(Q, RIGHT)
        ACT(Q, RIGHT)
        ACT(Q, RIGHT)
        ACT(Q, RIGHT)
        ACT(R, WRITE, 0)

task late(items: list of 0..1):
    P = items
    run LATE
    expect len(R) == 1 and len(P) < len(items)
    train items of 1..2
    test items of 1, 2
"""


def test_where_no_small_machine_explains_the_frames_states_are_learned_and_a_line_says_so(
    tmp_path, monkeypatch
) -> None:
    """What was seen five steps ago decides, and nothing that is called or seen since tells it."""
    programs = loads(LATE, path="late.npi")
    found = Dataset.from_programs(programs, traces=16, seed=0)
    monkeypatch.setattr("npi.jobs.train.gather", lambda *_, **__: [replace(found, programs=None)])
    told: list[str] = []
    config = TrainConfig(updates=1)
    result = train_library(["late.npi"], out=tmp_path / "out", training=config, device="cpu", note=told.append)
    assert len(told) == 1
    assert told[0].startswith("nothing that late.LATE sees tells its calls apart")
    assert told[0].endswith("so the core has to find its states by itself, which takes longer")
    assert (result.entry["settings"]["states"], result.report.steps) == ("learned", {})
    monkeypatch.setattr("npi.jobs.train.gather", lambda *_, **__: [found])
    whole = train_library(["late.npi"], out=tmp_path / "out", training=TrainConfig(), device="cpu", fresh=True)
    assert (whole.solved, whole.entry["settings"]["states"]) == (True, "forced")
