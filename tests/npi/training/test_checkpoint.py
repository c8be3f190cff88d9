"""A run that was stopped resumes to bit-identical parameters; what cannot be resumed from is refused."""

import math
from pathlib import Path

import pytest
import torch

import npi
from npi.core.config import FORCED, LEARNED, CoreConfig
from npi.jobs.train import train_library
from npi.library.library import Library
from npi.library.tensor_files import read_tensors, tensors_bytes
from npi.proof.prove import text_steps
from npi.training.checkpoint import CheckpointError, FileCheckpoint
from npi.training.curriculum import Curriculum, WorldFrames
from npi.training.forced import ForcedStates
from npi.training.frame_objective import FrameObjective, Report
from npi.training.loop import Checkpoint, Progress, State, fit
from npi.training.unrolled import UnrolledFrames
from npi.training.validation import Validation
from tests.support.tiny import CORE, LSTM, STATES, STRIP, Steps, dataset, objective_on, strip, training, untrained
from traces.generation.generate import record_problems
from traces.recording.unique_frames import FrameSet, unique_frames

KINDS = pytest.mark.parametrize(
    ("states", "core"), [(FORCED, CORE), (LEARNED, CORE), (LEARNED, LSTM)], ids=["forced", "learned", "lstm"]
)


def mined() -> FrameSet:
    """Frames of longer lists than training has."""
    task = strip().tasks[0]
    drawn = task.draw(9, 3, generator=torch.Generator().manual_seed(5), spread=False)
    return unique_frames([record_problems(strip(), task, drawn)])


def objective_that_mines(states: str, core: CoreConfig) -> FrameObjective:
    """Training whose every validation fails, so that each clean check adds frames."""
    changes = {"rate": 1e-2, "cut": 0, "noise": 0.0} if core is LSTM else {}
    config = STATES[states](check_every=10, stretch=1.0, examples=24, **changes)
    frames = mined()
    return objective_on(untrained(core), [dataset(strip())], config, validate=lambda _: Validation(2, 1, (frames,)))


def curriculum_of(objective: FrameObjective) -> Curriculum:
    assert isinstance(objective.supervision, UnrolledFrames)
    return objective.supervision.curriculum


class Kept(Checkpoint):
    """A file, and the state that was last written to it."""

    state = State({}, {})

    def __init__(self, path: Path) -> None:
        self.file = FileCheckpoint(path, identity="same")

    def save(self, state: State) -> None:
        self.file.save(state)
        self.state = State({name: tensor.clone() for name, tensor in state.tensors.items()}, state.facts)

    def load(self) -> State | None:
        return self.file.load()


def run_to(objective: FrameObjective, update: int, path: Path) -> dict[str, object]:
    """All that the next update depends on after so many; the run resumes from the file where there is one."""
    kept, seen = Kept(path), Progress()

    def each(progress: Progress) -> None:
        seen.update = progress.update

    fit(objective, objective.schedule, checkpoint=kept, report=each, stop=lambda: seen.update >= update)
    facts = {name: fact for name, fact in kept.state.facts.items() if name != "seconds"}
    return {name: tensor.tolist() for name, tensor in kept.state.tensors.items()} | facts


@KINDS
@pytest.mark.parametrize("half", [7, 20])
def test_a_stopped_run_resumes_to_the_parameters_of_one_go(
    states: str, core: CoreConfig, half: int, tmp_path: Path
) -> None:
    """Stopped between checks (7) and right after one that found wrong frames (20)."""
    straight, first, second = (objective_that_mines(states, core) for _ in range(3))
    whole = run_to(straight, 2 * half, tmp_path / "one" / "c")
    stopped = run_to(first, half, tmp_path / "two" / "c")
    if half == 20:
        assert first.wrong
        assert states == FORCED or len(curriculum_of(first).hard[0]) > 0
    resumed = run_to(second, 2 * half, tmp_path / "two" / "c")
    assert resumed == whole
    assert resumed["parameters.frames.0"] != stopped["parameters.frames.0"]
    assert second.supervision.errors == straight.supervision.errors
    assert (second.wrong, second.clean) == (straight.wrong, straight.clean)


def test_frames_that_validation_found_are_kept_too(tmp_path: Path) -> None:
    """Red when a source that was found, its groups' errors or its hard frames are not written."""
    first, second = (objective_that_mines(LEARNED, CORE) for _ in range(2))
    while len(first.found) < 2:
        half = Steps(first).take(10) and first.evaluate(0)
    curriculum_of(first).hard[1] = torch.tensor([0, 2])
    second.load_state_dict(first.state_dict())
    assert half is not None
    one, other = curriculum_of(first), curriculum_of(second)
    assert [frames_of(s) for s in other.sources] == [frames_of(s) for s in one.sources]
    assert other.errors == one.errors
    assert [hard.tolist() for hard in other.hard] == [hard.tolist() for hard in one.hard]
    assert torch.equal(second.memory.gates_NF, first.memory.gates_NF)
    assert second.validation == Validation(2, 1)


@pytest.mark.parametrize("half", [95, 110])
def test_a_run_resumes_after_validation_found_frames_and_steps(half: int, tmp_path: Path) -> None:
    """Red where steps that a proof brought, or which examples were wrong, are not written; of the examples some are
    drawn."""

    def objective() -> FrameObjective:
        found = objective_that_mines(FORCED, CORE)
        steps = text_steps(found.library, strip(), "strip.ZERO")
        found.validate = lambda _: Validation(2, 1, (mined(),), steps=(steps,))
        return found

    straight, first, second = (objective() for _ in range(3))
    whole = run_to(straight, 130, tmp_path / "one" / "c")
    run_to(first, half, tmp_path / "two" / "c")
    assert first.found
    assert len(first.steps) == 1
    assert run_to(second, 130, tmp_path / "two" / "c") == whole
    assert second.supervision.errors == straight.supervision.errors
    assert isinstance(second.supervision, ForcedStates)
    assert isinstance(straight.supervision, ForcedStates)
    for name, column in vars(straight.supervision.examples[0]).items():
        assert torch.equal(column, getattr(second.supervision.examples[0], name)), name


def frames_of(source: WorldFrames) -> tuple[object, ...]:
    return source.world, source.frames.obs_SF.tolist(), source.frames.call_S4.tolist()


def test_beginning_anew_ignores_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "strip.npi").write_text(STRIP)

    def job(**changes):
        settings = {"core": CORE, "training": training(updates=5), "traces": 4, "device": "cpu"} | changes
        return train_library([tmp_path / "strip.npi"], out=tmp_path / "out", **settings)

    job(stop=lambda: True)
    with pytest.raises(CheckpointError, match="other settings or data"):
        job(training=training(updates=5, frames=7))
    with pytest.raises(CheckpointError, match="other settings or data"):
        job(traces=5)
    result = job(training=training(updates=6), fresh=True)
    assert (result.resumed, result.report.update) == (False, 6)


def test_more_updates_go_on_from_a_run_that_stopped_and_from_one_that_ended(tmp_path: Path) -> None:
    """To the numbers of a run that had so many from the beginning; the limit is where there is a check anyway."""
    (tmp_path / "strip.npi").write_text(STRIP)

    def job(out: str, updates: int, stop_at: int = 1000, **changes):
        config = training(updates=updates, check_every=10, rate=1e-5)
        settings = {"core": CORE, "training": config, "traces": 4, "device": "cpu"} | changes
        seen = [0]
        result = train_library(
            [tmp_path / "strip.npi"], out=tmp_path / out, stop=lambda: seen[-1] >= stop_at,
            report=lambda found: seen.append(found.update), **settings,
        )  # fmt: skip
        return result, digests(result.library), seen[1:]

    def digests(library: Library) -> tuple[str, str]:
        return library.core.digest(), library.rows_digest()

    _, whole, _ = job("whole", 30)
    assert not job("parts", 15, stop_at=7)[0].ended
    result, mine, updates = job("parts", 20)
    assert (result.ended, result.solved, updates[0]) == (True, False, 8)
    assert digests(Library.open(tmp_path / "parts")) == mine == digests(Library.open(tmp_path / "parts.training"))
    again, same, updates = job("parts", 20)
    assert (again.ended, again.solved, same, updates) == (True, False, mine, [])
    result, raised, updates = job("parts", 30)
    assert (result.resumed, raised, updates[0]) == (True, whole, 21)
    other, _, updates = job("parts", 30, traces=5, stop_at=3)
    assert (other.resumed, updates) == (False, [1, 2, 3]), "an ended run is in nobody's way"


def test_a_state_has_the_library_of_its_update_beside_it(tmp_path: Path, monkeypatch) -> None:
    """Also where the run was killed; red where it is written only when a run stops."""
    monkeypatch.setattr("npi.training.loop.SAVING", math.inf)  # however long it takes on this machine
    (tmp_path / "strip.npi").write_text(STRIP)

    def killed(found: Report) -> None:
        if found.update == 25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_library(
            [tmp_path / "strip.npi"], out=tmp_path / "out", core=CORE, traces=4, device="cpu", report=killed,
            training=training(updates=40, check_every=10, rate=1e-5),
        )  # fmt: skip
    state, about = read_tensors(tmp_path / "out.training" / "checkpoint.safetensors")
    library = Library.open(tmp_path / "out.training")
    assert about["facts"]["update"] == library.history[-1]["updates"] == 20
    assert torch.equal(state["parameters.frames.0"], next(library.core.parameters()))
    assert [score.count for score in npi.evaluate(library=tmp_path / "out.training", sizes=[2], count=3)] == [3]


# --- files of states -------------------------------------------------------------------------------------------------

STATE = State(
    {"parameters.all.0": torch.arange(40.0).view(5, 8), "objective.generator": torch.arange(20_000)}, {"update": 3}
)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    FileCheckpoint(tmp_path / "state" / "c.safetensors", identity="mine").save(STATE)
    return tmp_path / "state" / "c.safetensors"


def refused(path: Path, message: str, identity: str = "mine") -> None:
    with pytest.raises(CheckpointError, match=message):
        FileCheckpoint(path, identity=identity).load()


def test_a_state_is_given_back_and_is_removed_with_its_folder(saved: Path) -> None:
    checkpoint = FileCheckpoint(saved, identity="mine")
    found = checkpoint.load()
    assert found.facts == STATE.facts
    assert found.tensors.keys() == STATE.tensors.keys()
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in STATE.tensors.items())
    assert FileCheckpoint(saved, identity="another", fresh=True).load() is None
    checkpoint.remove()
    assert not saved.parent.exists()
    assert checkpoint.load() is None


def test_the_same_state_is_written_as_the_same_bytes(saved: Path) -> None:
    before = saved.read_bytes()
    FileCheckpoint(saved, identity="mine").save(STATE)
    assert saved.read_bytes() == before


@pytest.mark.parametrize("place", [0.0, 0.001, 0.01, 0.3, 0.6, 0.9, 0.99999])
def test_a_changed_byte_is_found(saved: Path, place: float) -> None:
    """In the length, the header, the settings and the numbers alike."""
    data = bytearray(saved.read_bytes())
    data[int(place * len(data))] ^= 0x10
    saved.write_bytes(data)
    refused(saved, "changed or cut off|damaged or not a tensor file")


@pytest.mark.parametrize("keep", [0, 5, 100, 20_000, -1])
def test_a_file_that_was_cut_off_is_found(saved: Path, keep: int) -> None:
    saved.write_bytes(saved.read_bytes()[:keep])
    refused(saved, "damaged or not a tensor file.*--fresh")


def test_other_settings_are_refused(saved: Path) -> None:
    refused(saved, "other settings or data", identity="another")


@pytest.mark.parametrize(
    ("change", "message"),
    [({"format": 99}, "format 99, this engine reads 4"), ({"device": "cuda"}, "of a run on cuda.*use --device cuda")],
)
def test_another_format_and_another_device_are_refused(saved: Path, change: dict[str, object], message: str) -> None:
    tensors, about = read_tensors(saved)
    assert change.items() != {name: about[name] for name in change}.items()
    saved.write_bytes(tensors_bytes(tensors, about | change))
    refused(saved, message)


def test_a_write_that_fails_leaves_the_last_state(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(self), None, str(target))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space") as caught:
        FileCheckpoint(saved, identity="mine").save(State({}, {}))
    assert (caught.value.filename, caught.value.filename2) == (str(saved), None), "nothing is told of a temporary file"
    monkeypatch.undo()
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


def test_tensor_files_give_back_what_they_were_given(tmp_path: Path) -> None:
    tensors = {"a.b": torch.randn(2, 3, generator=torch.Generator()), "empty": torch.zeros(0, 5, dtype=torch.int64)}
    (tmp_path / "f").write_bytes(tensors_bytes(tensors, {"π": [1, None, 0.1]}))
    found, about = read_tensors(tmp_path / "f")
    assert about == {"π": [1, None, 0.1]}
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(found[name], tensor)
        assert found[name].dtype == tensor.dtype
    (tmp_path / "g").write_bytes(tensors_bytes(tensors))
    assert read_tensors(tmp_path / "g")[1] == {}


def shards(*numbers: int) -> State:
    """A state with a replay memory of these shards."""
    tensors = {f"objective.memory.{n}.score": torch.full((5,), float(n)) for n in numbers}
    return State({"parameters.all.0": torch.ones(2), **tensors}, {}, tuple(f"objective.memory.{n}" for n in numbers))


def test_what_never_changes_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "run" / "state"
    checkpoint = FileCheckpoint(path, identity="mine")
    checkpoint.save(shards(1, 2))
    first = path.parent / "constant-objective.memory.2.safetensors"
    written = first.stat().st_mtime_ns
    resumed = FileCheckpoint(path, identity="mine")
    for one in (resumed, checkpoint):
        found = one.load()
        assert found is not None
        one.save(shards(2, 3))
        assert first.stat().st_mtime_ns == written
        assert {file.name for file in path.parent.iterdir()} == {
            "state", first.name, "constant-objective.memory.3.safetensors",
        }  # fmt: skip
    found = FileCheckpoint(path, identity="mine").load()
    assert found is not None
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in shards(2, 3).tensors.items())
    other = FileCheckpoint(path, identity="mine", fresh=True)
    assert other.load() is None
    other.save(shards(2))
    assert first.stat().st_mtime_ns != written, "a run that begins anew trusts nothing that lies there"


def test_a_damaged_constant_part_is_found(tmp_path: Path) -> None:
    path = tmp_path / "run" / "state"
    FileCheckpoint(path, identity="mine").save(shards(1, 2))
    one, two = (path.parent / f"constant-objective.memory.{n}.safetensors" for n in (1, 2))
    kept = one.read_bytes()
    one.write_bytes(two.read_bytes())
    refused(path, "is of another state")
    one.write_bytes(kept[:-1])
    refused(path, "damaged or not a tensor file")
    one.unlink()
    refused(path, "No such file.*--fresh")
