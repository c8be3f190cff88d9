"""Which frames are drawn: every program, more of what errs, long frames cut, hard ones whole."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.spec import RETURN
from npi.training.curriculum import LEAST, SHORT, Curriculum, WorldFrames
from npi.training.loss import FrameBatch
from tests.support.tiny import strip
from traces.recording.unique_frames import FrameSet


def frames(lengths: list[int], programs: list[int], first: int = 0) -> FrameSet:
    """Frames that can be told apart: each step observes (frame, step, 0), numbered from ``first``."""
    length, program = torch.tensor(lengths), torch.tensor(programs)
    obs = [(first + m, t, 0) for m, n in enumerate(lengths) for t in range(n)]
    calls = [(RETURN if t == n - 1 else 0, m, t, 0) for m, n in enumerate(lengths) for t in range(n)]
    return FrameSet(
        strip().table,
        program_M=program,
        arguments_M3=torch.arange(len(lengths))[:, None].repeat(1, 3),
        start_M=length.cumsum(0) - length,
        length_M=length,
        count_M=torch.ones_like(length),
        origin_M3=torch.zeros(len(lengths), 3, dtype=torch.int64),
        obs_SF=torch.tensor(obs, dtype=torch.int16),
        call_S4=torch.tensor(calls, dtype=torch.int32),
    )


def source(lengths: list[int], programs: list[int], *, world: int = 0, first: int = 0) -> WorldFrames:
    """The frames with row 20 + program."""
    return WorldFrames.of(world, frames(lengths, programs, first), torch.arange(20, 40))


def drawn_rows(curriculum: Curriculum, seed: int = 0) -> Counter[int]:
    groups = curriculum.draw(generator=torch.Generator().manual_seed(seed))
    return Counter(r for group in groups for batch in group for r in batch.program_B.tolist())


def contents(batch: FrameBatch) -> list[tuple[int, int]]:
    """(frame, steps drawn) of each frame of a batch of one world; checks the steps themselves."""
    found = []
    for obs, call, mask, argument in zip(batch.obs_BTF, batch.call_BT4, batch.mask_BT, batch.arguments_B3, strict=True):
        steps = int(mask.sum())
        assert mask[:steps].all(), "padding comes last"
        (frame,) = set(obs[:steps, 0].tolist())
        assert obs[:steps, 1].tolist() == list(range(steps))
        assert call[:steps, 2].tolist() == list(range(steps))
        assert argument[0] == call[0, 1]
        assert call[: steps - 1, 0].tolist() == [20] * (steps - 1)
        assert call[steps - 1, 0] in (20, RETURN)
        found.append((frame, steps))
    return found


LENGTHS = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3)), min_size=1, max_size=30)


@settings(max_examples=40)
@given(LENGTHS, st.integers(0, 20), st.integers(1, 200), st.integers(0, 5))
def test_what_is_drawn(pairs: list[tuple[int, int]], cut: int, count: int, seed: int) -> None:
    """Against plain lists: each program at its least, frames of the set only, cut where they may be cut."""
    lengths, programs = [n for n, _ in pairs], [p for _, p in pairs]
    curriculum = Curriculum([source(lengths, programs)], frames=count, cut=cut)
    groups = curriculum.draw(generator=torch.Generator().manual_seed(seed))
    seen: Counter[int] = Counter()
    for group in groups:
        (batch,) = group
        found = contents(batch)
        for (frame, steps), calls in zip(found, batch.call_BT4.tolist(), strict=True):
            seen[programs[frame]] += 1
            same = sorted(n for n, p in pairs if p == programs[frame])
            assert steps <= lengths[frame]
            assert (calls[steps - 1][0] == RETURN) == (steps == lengths[frame])
            if not cut or lengths[frame] <= cut:
                assert steps == lengths[frame]
            else:
                quarter = torch.tensor(same, dtype=torch.float64).quantile(0.25)
                assert steps == min(lengths[frame], max(cut, int(quarter)))
        assert batch.program_B.tolist() == [20 + programs[frame] for frame, _ in found]
        assert len({steps <= SHORT for _, steps in found}) == 1
    assert set(seen) == set(programs)
    assert min(seen.values()) >= LEAST
    if count >= 4 * LEAST * len(seen):
        assert abs(sum(seen.values()) - count) <= len(seen)


def test_every_frame_is_drawn_sooner_or_later() -> None:
    curriculum = Curriculum([source([3, 5, 9, 30, 1], [0, 0, 0, 1, 1])], frames=32, cut=4)
    generator, seen = torch.Generator().manual_seed(0), set()
    for _ in range(10):
        seen |= {f for group in curriculum.draw(generator=generator) for b in group for f, _ in contents(b)}
    assert seen == {0, 1, 2, 3, 4}


def test_a_program_of_long_frames_only_keeps_the_length_of_its_shorter_quarter() -> None:
    """Cut below that, nobody would ever learn its end."""
    curriculum = Curriculum([source([20, 20, 20, 40, 3, 3, 3, 40], [0] * 4 + [1] * 4)], frames=8, cut=5)
    assert curriculum.lengths[0].tolist() == [20, 20, 20, 20, 3, 3, 3, 5]
    assert curriculum.sources[0].frames.length_M.tolist() == [20, 20, 20, 40, 3, 3, 3, 40]


def test_programs_that_err_are_drawn_more() -> None:
    """Shares of 0.25 + 3 × error, at most 1.25, of the frames."""
    curriculum = Curriculum([source([2] * 8, [0, 0, 1, 1, 2, 2, 3, 3])], frames=800, cut=0)
    for group, error in zip(curriculum.groups, (0.0, 0.1, 0.25, 0.9), strict=True):
        group.error = error
    seen = drawn_rows(curriculum)
    weights = [0.25, 0.55, 1.0, 1.25]
    for row, weight in zip((20, 21, 22, 23), weights, strict=True):
        assert seen[row] == pytest.approx(800 * weight / sum(weights), abs=1)


def test_errors_are_a_running_mean() -> None:
    curriculum = Curriculum([source([2, 2, 2], [0, 1, 2])], frames=8, cut=0)
    curriculum.note(torch.tensor([20, 20, 20, 20, 21]), torch.tensor([True, False, False, False, False]), keep=0.9)
    errors = [group.error for group in curriculum.groups]
    assert errors == pytest.approx([0.9 + 0.1 * 0.25, 0.9, 1.0])
    assert curriculum.errors == pytest.approx({20: errors[0], 21: errors[1], 22: 1.0})


def test_a_row_of_two_sources_has_its_larger_error() -> None:
    curriculum = Curriculum([source([2], [0]), source([3], [0])], frames=8, cut=0)
    curriculum.groups[0].error, curriculum.groups[1].error = 0.2, 0.6
    assert curriculum.errors == {20: 0.6}
    curriculum.groups[0].error = 0.7
    assert curriculum.errors == {20: 0.7}


def test_hard_frames_come_whole_beside_the_drawn_ones() -> None:
    curriculum = Curriculum([source([30, 4, 25, 6], [0] * 4), source([2, 2], [1, 1], first=9)], frames=160, cut=3)
    plain = curriculum.draw(generator=torch.Generator().manual_seed(1))
    curriculum.hard[0] = torch.tensor([0, 2])
    groups = curriculum.draw(generator=torch.Generator().manual_seed(1))
    assert len(groups) == len(plain) + 1
    for one, two in zip(plain, groups, strict=False):
        assert all(torch.equal(a.obs_BTF, b.obs_BTF) for a, b in zip(one, two, strict=True))
    (whole,) = groups[-1]
    assert set(contents(whole)) == {(0, 30), (2, 25)}
    assert len(whole) == 160 // 16


def test_few_hard_frames_are_drawn_at_least_as_often_as_a_program() -> None:
    curriculum = Curriculum([source([30, 4], [0, 0])], frames=16, cut=3)
    curriculum.hard[0] = torch.tensor([0])
    (whole,) = curriculum.draw(generator=torch.Generator())[-1]
    assert contents(whole) == [(0, 30)] * LEAST


def test_batches_that_are_unrolled_together_have_one_length() -> None:
    curriculum = Curriculum([source([5, 30], [0, 0]), source([7, 19], [1, 1], world=1, first=50)], frames=64, cut=0)
    groups = curriculum.draw(generator=torch.Generator().manual_seed(0))
    assert [len(g) for g in groups] == [2, 2]
    for group, longest in zip(groups, (7, 30), strict=True):
        assert [b.world for b in group] == [0, 1]
        for batch in group:
            assert batch.obs_BTF.shape[1] == batch.call_BT4.shape[1] == batch.mask_BT.shape[1] == longest
            contents(batch)


@settings(max_examples=40)
@given(LENGTHS, st.integers(1, 300))
def test_chunks_hold_every_frame_named_once_and_whole(pairs: list[tuple[int, int]], steps: int) -> None:
    lengths = [n for n, _ in pairs]
    index = torch.arange(0, len(lengths), 2)
    seen: list[int] = []
    for chunk, batch in source(lengths, [p for _, p in pairs]).chunks(index, steps):
        assert contents(batch) == [(m, lengths[m]) for m in chunk.tolist()]
        assert len(batch) == 1 or len(batch) * batch.mask_BT.shape[1] <= steps
        seen += chunk.tolist()
    assert sorted(seen) == index.tolist()
    assert [lengths[m] for m in seen] == sorted(lengths[m] for m in seen)


def test_draws_come_from_the_generator_alone() -> None:
    curriculum = Curriculum([source([3] * 50, [0] * 50)], frames=32, cut=0)
    before = torch.random.get_rng_state()
    one, two, other = (curriculum.draw(generator=torch.Generator().manual_seed(s))[0][0] for s in (1, 1, 2))
    assert torch.equal(one.obs_BTF, two.obs_BTF)
    assert not torch.equal(one.obs_BTF, other.obs_BTF)
    assert torch.equal(torch.random.get_rng_state(), before)
