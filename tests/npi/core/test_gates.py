"""Gates as bits of whole numbers: nothing is lost, and what is closed in a code cannot change what is decided there."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from envs.spec import NONE, Field, WorldSpec
from envs.stepper import Observation
from npi.core import gates
from npi.core.config import CoreConfig
from npi.library.library import Library
from npi.program_memory import GATES, OPEN
from tests.support.tiny import configurations, draw_gates, seen_by, strip, untrained

MASKS = st.integers(1, 60).flatmap(
    lambda inputs: st.lists(st.lists(st.booleans(), min_size=inputs, max_size=inputs), min_size=1, max_size=5)
)


@given(MASKS, st.integers(0, 2))
def test_masks_and_what_is_seen_are_inverse_of_each_other(seen: list[list[bool]], more: int) -> None:
    """Red where a word is not exact in float32, as 25 bits are not."""
    inputs = len(seen[0])
    count = -(-inputs // 24) + more
    words = gates.masks(torch.tensor(seen), count)
    assert words.dtype == torch.float32
    assert words.shape == (len(seen), count)
    bits = ["".join(str(int(one)) for one in reversed(row)).zfill(24 * count) for row in seen]
    assert words.tolist() == [[int(b[len(b) - 24 * w - 24 : len(b) - 24 * w], 2) for w in range(count)] for b in bits]
    assert gates.seen(words, inputs).bool().tolist() == seen
    assert torch.equal(gates.masks(gates.seen(words, 24 * count), count), words)
    assert gates.seen(words[:, None], inputs).shape == (len(seen), 1, inputs)


def test_an_open_word_opens_all_its_gates_and_the_next_number_would_open_none() -> None:
    assert gates.seen(torch.tensor([[OPEN]]), GATES).tolist() == [[1] * GATES]
    assert gates.seen(torch.tensor([[OPEN + 1]]), GATES).tolist() == [[0] * GATES]
    assert gates.seen(torch.tensor([[0.0]]), GATES).tolist() == [[0] * GATES]


@pytest.mark.parametrize(("fields", "words"), [(0, 1), (20, 1), (21, 2), (44, 2), (45, 3)])
def test_a_world_has_a_gate_for_the_state_each_field_and_three_slots(fields: int, words: int) -> None:
    spec = WorldSpec("w", "toy", {}, tuple(Field(f"f{i}", ("a", "b")) for i in range(fields)), (NONE,), ())
    assert gates.inputs(spec) == 1 + fields + 3
    assert gates.words(spec) == words


@pytest.fixture(scope="module")
def library() -> Library:
    """Random numbers, and in each code of each row other gates; all rows use their states."""
    found = untrained(CoreConfig(hidden=64, bits=3, row=11, key=7))
    draw_gates(found, generator=torch.Generator().manual_seed(1), alike=False)
    with torch.no_grad():
        found.memory.gates_NF[:, 0] += 1 - found.memory.gates_NF[:, 0] % 2
    return found


@torch.no_grad()
def test_what_a_code_closes_changes_nothing_and_what_it_opens_does(library: Library) -> None:
    """Each field and each argument of random configurations changed by itself."""
    table, generator = strip().table, torch.Generator().manual_seed(2)
    stepper = library.stepper(table, memo=False)
    obs, program, arguments = configurations(table, 3000, generator=generator)
    code = torch.randint(9, (3000, 1), generator=generator)
    before = stepper.step(Observation(obs), program, arguments, code)
    rows = library.rows(table)[program].tolist()
    seen = torch.tensor([seen_by(library, row, at) for row, at in zip(rows, code[:, 0].tolist(), strict=True)])
    inputs = torch.cat([obs, arguments], 1)
    sizes = [field.size for field in table.world.fields] + [len(table.world.tokens)] * 3
    assert len(set(map(tuple, seen.tolist()))) > 20
    for column, size in enumerate(sizes):
        changed = inputs.clone()
        changed[:, column] = (changed[:, column] + 1) % size
        after = stepper.step(Observation(changed[:, :3]), program, changed[:, 3:], code)
        same_B = (before.call_B4 == after.call_B4).all(1) & (before.hidden_BH == after.hidden_BH)[:, 0]
        assert same_B[~seen[:, 1 + column]].all(), column
        assert not same_B[seen[:, 1 + column]].all(), column


@torch.no_grad()
def test_a_closed_state_is_not_seen_in_any_code(library: Library) -> None:
    table, generator = strip().table, torch.Generator().manual_seed(3)
    obs, program, arguments = configurations(table, 500, generator=generator)
    codes = torch.randint(9, (2, 500, 1), generator=generator)
    kept = library.memory.gates_NF.clone()
    try:
        for mask, alike in ((OPEN - 1, True), (OPEN, False)):
            library.memory.gates_NF[:] = mask
            stepper = library.stepper(table, memo=False)
            one, other = (stepper.step(Observation(obs), program, arguments, code) for code in codes)
            assert torch.equal(one.hidden_BH, other.hidden_BH) == alike
            assert torch.equal(one.call_B4, other.call_B4) or not alike
    finally:
        library.memory.gates_NF.copy_(kept)
