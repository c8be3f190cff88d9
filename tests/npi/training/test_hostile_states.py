"""States that somebody changed and sealed again: refused by name, or the run goes on."""

import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.faults.changes import parts_of, tensor_file
from benchmarks.faults.hostile_files import change_tensor_file
from npi.training.checkpoint import CheckpointError, FileCheckpoint
from npi.training.loop import Evaluation, Group, Loss, Objective, Progress, Schedule, fit
from npi.training.ranks import Ranks


class Square(Objective):
    """Moves a table of 3 × 5 numbers towards zero."""

    def __init__(self) -> None:
        self.table = nn.Parameter(torch.ones(3, 5))

    def groups(self) -> Mapping[str, Group]:
        return {"all": Group([self.table], rate=0.1, optimiser="adamw")}

    def losses(self, update: int, ranks: Ranks) -> Iterator[Iterable[Loss]]:
        yield [Loss(self.table.square().sum())]

    def evaluate(self, update: int) -> Evaluation:
        return Evaluation({"loss": float(self.table.detach().square().sum())})


def trained(path: Path, updates: int) -> Progress:
    return fit(Square(), Schedule(updates, check_every=2), checkpoint=FileCheckpoint(path, identity="mine"))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    trained(tmp_path / "run" / "c.safetensors", 4)
    return tmp_path / "run" / "c.safetensors"


def test_changed_states_are_refused_by_name_or_resumed(state: Path, tmp_path: Path) -> None:
    """Red where a moment of another shape reaches the fused optimiser, or another error than ours gets through."""
    messages = []
    for number in range(80):
        place = tmp_path / f"{number}" / "c.safetensors"
        place.parent.mkdir()
        change_tensor_file(state, random.Random(number), place, keep="identity")
        try:
            trained(place, 6)
        except CheckpointError as error:
            messages.append((str(place), str(error)))
    assert [message for place, message in messages if place not in message or "--fresh" not in message] == []
    assert len(messages) > 40


@pytest.mark.parametrize(
    ("name", "made", "message"),
    [
        ("optimiser.all.0.exp_avg", torch.zeros(3, 4), r"expected torch.float32 \[3, 5\]"),
        ("optimiser.all.0.exp_avg_sq", torch.full((3, 5), torch.nan), "not finite"),
        ("optimiser.all.0.max", torch.zeros(3, 5), "nothing that an optimiser remembers"),
        ("optimiser.all.7.exp_avg", torch.zeros(3, 5), "out of range"),
        ("parameters.all.0", torch.zeros(1, 1), r"expected torch.float32 \[3, 5\]"),
        ("parameters.all.1", torch.zeros(3, 5), "not of this format"),
    ],
)
def test_tensors_of_another_run(state: Path, name: str, made: torch.Tensor, message: str) -> None:
    tensors, about = parts_of(state.read_bytes())
    state.write_bytes(tensor_file(tensors | {name: made}, about))
    with pytest.raises(CheckpointError, match=message):
        trained(state, 6)


def test_a_sound_state_is_resumed(state: Path) -> None:
    tensors, about = parts_of(state.read_bytes())
    state.write_bytes(tensor_file(tensors, about))
    found = trained(state, 6)
    assert (found.resumed, found.update) == (True, 6)
