"""The controls of ``benchmarks.universal.random_core``: cores that know nothing, at the scales of the trained one."""

import pytest
import torch

from benchmarks.universal.random_core import KINDS, contents, core_of, needed
from npi.universal.core import UniversalCore


def sizes(core: UniversalCore) -> list[tuple[str, torch.Size]]:
    return [(name, part.shape) for name, part in core.named_parameters()]


def test_a_control_has_the_sizes_of_the_trained_core_and_none_of_its_numbers() -> None:
    trained, *controls = (core_of(kind, 3) for kind in KINDS)
    for control in controls:
        assert sizes(control) == sizes(trained)
        for part, other in zip(trained.parameters(), control.parameters(), strict=True):
            if part.numel() > 50 and part.std():
                both = torch.stack([part.detach().flatten(), other.detach().flatten()])
                assert torch.corrcoef(both)[0, 1].abs() < 0.5
    for part, other in zip(trained.parameters(), controls[0].parameters(), strict=True):
        if part.numel() > 1000:
            torch.testing.assert_close(other.std(), part.std(), rtol=0.1, atol=1e-6)
    assert core_of(KINDS[1], 3).digest() == controls[0].digest() != core_of(KINDS[1], 4).digest()


def test_rows_count_by_updates_and_only_where_they_are_proved() -> None:
    """The wrong row took most updates, and raises no limit."""
    rows = [{"exact": True, "updates": 0}, {"exact": True, "updates": 60}, {"exact": False, "updates": 900}]
    found = {"programs": rows, "seconds": 1.5}
    assert needed(found) == 60
    table = contents({kind: [found] for kind in KINDS})["cores"]
    assert table[0][2:7] == [f"exact within {limit} updates" for limit in (0, 20, 60, 100, 240)]
    assert table[1][1:] == [3, 1, 1, 2, 2, 2, "2"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_core_is_made_for_each_kind(kind: str) -> None:
    assert core_of(kind, 0).config == core_of(KINDS[0], 0).config
