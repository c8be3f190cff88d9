"""Which gates training opens: those of what frames need, against plain dictionaries and a person's judgement."""

import pytest
import torch

from dsl import load, loads
from envs.spec import RETURN
from npi.program_memory import OPEN
from npi.training.curriculum import WorldFrames
from npi.training.dataset import Dataset
from npi.training.frame_objective import FrameObjective, place
from npi.training.input_gates import Evidence, set_gates
from tests.support.paths import PROGRAMS
from tests.support.tiny import SMALL, dataset, names_seen, seen_by, strip, tape, training, untrained
from traces.recording.unique_frames import FrameSet


def plain_frames(source: WorldFrames) -> dict[int, list[tuple[tuple, list[tuple], list[tuple]]]]:
    """Arguments, observations and calls of each frame, by row."""
    found: dict[int, list] = {}
    frames = source.frames
    for m in range(len(frames)):
        steps = range(int(frames.start_M[m]), int(frames.start_M[m] + frames.length_M[m]))
        obs, calls = ([tuple(x[s].tolist()) for s in steps] for x in (frames.obs_SF, frames.call_S4))
        found.setdefault(int(frames.program_M[m]), []).append((tuple(frames.arguments_M3[m].tolist()), obs, calls))
    return found


def plain_rule(frames: list, fields: set[int], *, history: bool) -> bool:
    """Whether arguments, these fields now, and the calls so far (``history``) always lead to the same call."""
    known: dict[tuple, tuple] = {}
    for arguments, obs, calls in frames:
        for t, call in enumerate(calls):
            key = (arguments, tuple(obs[t][f] for f in sorted(fields)), tuple(calls[:t]) if history else ())
            if known.setdefault(key, call) != call:
                return False
    return True


@pytest.mark.parametrize("first", [strip, tape])
def test_gates_are_open_for_what_the_frames_need_and_nothing_more(first) -> None:
    """Against plain dictionaries; also where rows are numbered beyond the ids of the second file's table."""
    second = tape if first is strip else strip
    library = untrained(SMALL, first(), second())
    sources = [place(library, dataset(p()).frames) for p in (first, second)]
    set_gates(library.core, library.memory, sources)
    for source in sources:
        fields = range(len(library.core.worlds[source.world].fields))
        for row, frames in plain_frames(source).items():
            state, *seen = seen_by(library, row)
            assert all(seen_by(library, row, code) == [state, *seen] for code in range(library.core.codes))
            opened = {i for i in fields if seen[i]}
            assert plain_rule(frames, opened, history=True)
            assert not any(plain_rule(frames, opened - {i}, history=True) for i in opened)
            assert state == (not plain_rule(frames, opened, history=False))
            assert seen[len(fields) :] == [True] * 3
    primitives = [i for i, info in enumerate(library.memory.infos) if info.primitive]
    assert (library.memory.gates_NF[primitives] == OPEN).all()


def made_up(steps: list[list[tuple[int, ...]]], calls: list[list[int]]) -> FrameSet:
    """Frames of SCAN: what they observe, and which program they call (0: return), step by step."""
    lengths = torch.tensor([len(s) for s in steps])
    flat = [c for frame in calls for c in frame]
    return FrameSet(
        strip().table,
        program_M=torch.full((len(steps),), strip().table.id("SCAN")),
        arguments_M3=torch.zeros(len(steps), 3, dtype=torch.int64),
        start_M=lengths.cumsum(0) - lengths,
        length_M=lengths,
        count_M=torch.ones(len(steps), dtype=torch.int64),
        origin_M3=torch.zeros(len(steps), 3, dtype=torch.int64),
        obs_SF=torch.tensor([o for frame in steps for o in frame], dtype=torch.int16),
        call_S4=torch.tensor([[c or RETURN, 0, 0, 0] for c in flat], dtype=torch.int32),
    )


def gates_of(frames: FrameSet) -> list[bool]:
    """Those of the three fields, and that of the state."""
    library = untrained(SMALL)
    set_gates(library.core, library.memory, [place(library, frames)])
    state, *seen = seen_by(library, library.memory.index("strip.SCAN"))
    return [*seen[:3], state]


def test_of_two_fields_that_tell_the_same_one_stays_open() -> None:
    """Each could be left out, but not both."""
    assert gates_of(made_up([[(0, 0, 0)], [(0, 1, 1)]], [[0], [3]]))[:3] == [False, True, False]


def test_the_widest_field_is_hidden_first() -> None:
    assert gates_of(made_up([[(0, 0, 0)], [(1, 0, 1)]], [[0], [3]]))[:3] == [False, False, True]


def test_what_a_hidden_field_told_has_to_be_remembered() -> None:
    """The symbol gives away which step it is, and so do the steps before; hidden, only these are left."""
    counted = made_up([[(0, 0, 0), (1, 0, 0), (2, 0, 0)]], [[3, 4, 0]])
    assert gates_of(counted) == [False, False, False, True]
    assert gates_of(made_up([[(0, 0, 0), (1, 0, 0)]], [[3, 3]])) == [False, False, False, False]


def test_what_only_past_observations_tell_opens_everything() -> None:
    """The second call follows from what was seen before the first: no field settles it now, so none is hidden."""
    assert gates_of(made_up([[(0, 0, 0), (0, 0, 0)], [(1, 0, 0), (0, 0, 0)]], [[3, 4], [3, 0]])) == [True] * 4


def test_what_the_calls_so_far_tell_is_left_to_the_state() -> None:
    """The second call follows from the first one; the symbol is needed for that first one only."""
    frames = made_up([[(0, 0, 0), (0, 0, 0)], [(1, 0, 0), (0, 0, 0)]], [[3, 5], [4, 6]])
    assert gates_of(frames) == [True, False, False, True]


def test_a_program_that_needs_every_field_now_need_not_remember() -> None:
    calls = [[3], [4], [5], [6]]
    assert gates_of(made_up([[(0, 0, 0)], [(1, 0, 0)], [(0, 1, 0)], [(0, 0, 1)]], calls)) == [True, True, True, False]


def test_gates_of_the_strip() -> None:
    """What a person would say that each program has to look at and remember."""
    library = untrained(SMALL)
    set_gates(library.core, library.memory, [place(library, dataset(strip()).frames)])
    found = {
        info.name: names_seen(library, row) - {"d"}
        for row, info in enumerate(library.memory.infos)
        if not info.primitive
    }
    assert found["strip.SCAN"] == {"last(P)"}
    assert found["strip.HOME"] == {"first(P)"}
    assert found["strip.ZERO"] == {"P", "last(P)"}
    assert found["strip.STAY"] == found["strip.ROUND"] == found["strip.BOTH"] == {"state"}


def test_mined_frames_open_what_they_need() -> None:
    """Without frames in which ZERO meets a zero its symbol is hidden; when they come, it is shown."""
    library = untrained(SMALL)
    frames = dataset(strip()).frames
    zero, symbol = strip().table.id("ZERO"), strip().table.world.field("P")
    stops = [
        m
        for m in range(len(frames))
        if frames.program_M[m] == zero and frames.obs_SF[int(frames.start_M[m] + frames.length_M[m]) - 1, symbol] == 0
    ]
    rest = torch.tensor([m for m in range(len(frames)) if m not in stops])
    objective = FrameObjective(library, [frames.select(rest)], training())
    row = library.memory.index("strip.ZERO")
    assert "P" not in names_seen(library, row)
    given = [place(library, some) for some in (frames.select(rest), frames.select(torch.tensor(stops)))]
    objective.supervision.use(given)
    assert "P" in names_seen(library, row)


def needed(dataset: Dataset, program: str) -> set[str]:
    table = dataset.table
    frames = dataset.frames.select(dataset.frames.program_M == table.id(program))
    return {table.world.fields[i].name for i in Evidence(frames).needed()}


@pytest.mark.parametrize(
    ("path", "program", "fields"),
    [
        ("addition.npi", "ADD", {"IN1", "IN2", "CARRY"}),
        ("addition.npi", "ADD1", {"IN1", "IN2", "CARRY"}),
        ("addition.npi", "CARRY", set()),
        ("addition.npi", "LSHIFT", set()),
        ("examples/insertionsort.npi", "INSERT", {"ITEM", "LAST", "GAP"}),
        ("examples/insertionsort.npi", "MAKEROOM", {"LAST"}),
    ],
)
def test_a_program_sees_what_its_text_looks_at(path: str, program: str, fields: set[str]) -> None:
    """INSERT goes back as far as it went: a count of its calls would tell how far, and must not replace the look."""
    found = load(PROGRAMS / path)
    dataset = Dataset.from_programs(found, traces=32, seed=0)
    name = next(s.name for s in dataset.table.signatures if s.name.rpartition(".")[2] == program)
    assert needed(dataset, name) == fields


def test_a_call_written_several_times_over_is_told_apart_by_what_was_called_before() -> None:
    """Three equal calls, then another: the last two calls do not tell where the program is, the last three do."""
    programs = loads(
        """
world pad is scratchpad:
    row A of digit

program FOUR "Three steps to the left, then mark":
    ACT(A, LEFT)
    ACT(A, LEFT)
    ACT(A, LEFT)
    ACT(A, WRITE, 1)

task four(a: number):
    A = digits(a)
    run FOUR
    expect under(A) == 1
    train a of 1..3 digits
""",
        path="four.npi",
    )
    dataset = Dataset.from_programs(programs, traces=8, seed=0)
    evidence = Evidence(dataset.frames)
    assert not evidence.settled([], evidence.window(2))
    assert evidence.settled([], evidence.window(3))
    assert evidence.needed() == []
