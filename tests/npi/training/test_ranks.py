"""Several processes train one core: the numbers of one process, whatever their number, and whatever happens to them."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from npi.core.recurrent import may_call
from npi.jobs.run import checkpoint_path
from npi.jobs.train import train_library
from npi.library.library import Library
from npi.training.curriculum import Curriculum
from npi.training.dataset import pack_frames, unpack_frames
from npi.training.frame_objective import place
from npi.training.loss import Rules, frame_loss, take_share
from npi.training.ranks import ALONE, Parcel, Ranks, join, launched, losing, pick_device, rank_device
from tests.support import ranks as jobs
from tests.support.ranks import UPDATES, as_lists, in_ranks
from tests.support.tiny import CORE, LSTM, SMALL, STRIP, dataset, strip, tape, training, untrained
from traces.generation.generate import generate, record_traces
from traces.recording.unique_frames import unique_frames, united
from traces.storage.trace_set import TraceSet, shard_name

TOLERANCE = 1e-5
"""By how much a loss of several ranks may differ from that of one, as a share of it; 3e-7 is measured here."""


# --- shares, in one process ------------------------------------------------------------------------------------------


def drawn_of(config, *sets, hard=0):
    library = untrained(config, *sets)
    sources = [place(library, dataset(programs).frames) for programs in sets]
    curriculum = Curriculum(sources, frames=48, cut=14)
    curriculum.hard[0] = torch.arange(hard)
    return library, curriculum.draw(generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("count", [2, 3, 100])
@pytest.mark.parametrize("config", [SMALL, LSTM], ids=["discrete", "lstm"])
def test_losses_and_gradients_of_shares_add_up_to_the_whole(config, count):
    """Two worlds; with 100 ranks most shares of a group are empty. Red when noise or weights follow the share."""
    library, drawn = drawn_of(config, strip(), tape(), hard=5)
    core, memory, settings = library.core, library.memory, training()
    rules = Rules.of(core, memory, may_call(memory))
    parameters = [*core.parameters(), memory.keys_NK, memory.embeddings_NP]

    def noise() -> torch.Generator:
        return torch.Generator().manual_seed(8)

    used = noise()
    all_drawn = take_share(drawn)
    row_D = all_drawn.program_D
    whole, wrong_D = frame_loss(core, memory, rules, all_drawn, noise=settings.noise, generator=used)
    gradients = torch.autograd.grad(whole, parameters)
    total, summed, flags = 0.0, [torch.zeros_like(p) for p in parameters], torch.full((len(row_D),), -1)
    for rank in range(count):
        part = take_share(drawn, Ranks(rank, count))
        assert torch.equal(part.program_D, row_D)
        generator = noise()
        loss, wrong_B = frame_loss(core, memory, rules, part, noise=settings.noise, generator=generator)
        assert torch.equal(generator.get_state(), used.get_state())
        assert (flags[part.index_B] == -1).all()
        flags[part.index_B] = wrong_B.long()
        total += loss.item()
        for into, gradient in zip(summed, torch.autograd.grad(loss, parameters), strict=True):
            into += gradient
    assert torch.equal(flags, wrong_D.long())
    assert total == pytest.approx(whole.item(), rel=1e-6)
    for into, gradient in zip(summed, gradients, strict=True):
        torch.testing.assert_close(into, gradient, rtol=1e-4, atol=1e-5)


def test_shares_hold_some_of_each_program():
    library, drawn = drawn_of(SMALL, strip())
    parts = [take_share(drawn, Ranks(rank, 2)) for rank in range(2)]
    for group, one, other in zip(drawn, *(p.groups for p in parts), strict=True):
        for batch, a, b in zip(group, one, other, strict=True):
            assert len(a) + len(b) == len(batch)
            assert a.mask_BT.shape[1] == batch.mask_BT.shape[1]
            counts = [torch.bincount(x.program_B, minlength=len(library.memory)) for x in (a, b)]
            assert (counts[0] - counts[1]).abs().max() <= 1


# --- frames of shards ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def batches():
    """Seven shards, with many frames that several of them hold."""
    return [record_traces(strip(), task="both", traces=5, seed=seed) for seed in range(7)]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_frames_of_shards_united_are_those_of_the_whole(batches, count):
    """To the bit: order, counts and where each was first seen; in whatever order the parts come."""
    whole = unique_frames(batches)
    parts = [unique_frames(batches[r::count], range(r, 7, count)) for r in range(count)]
    assert count == 1 or sum(map(len, parts)) > len(whole)
    for order in (parts, parts[::-1]):
        assert as_lists(united(order)) == as_lists(whole)
    with pytest.raises(ValueError, match="no traces"):
        united([])


def test_frames_and_tables_travel_whole(batches):
    sets = [unique_frames(batches[:1]), dataset(tape()).frames]
    parcel = Parcel.unpack(pack_frames(sets, about={"more": [1]}).pack())
    assert parcel.about["more"] == {"more": [1]}
    for found, given in zip(unpack_frames(parcel), sets, strict=True):
        assert as_lists(found) == as_lists(given)
        assert found.table.to_json() == given.table.to_json()
        assert found.obs_SF.dtype == given.obs_SF.dtype


# --- several processes -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A program file, and sets of three shards, of two, and of three with a byte changed in the second."""
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "strip.npi").write_text(STRIP)
    for name, size in (("set", 8), ("few", 10), ("damaged", 8)):
        generate(strip(), task="both", traces=20, out=folder / name, shard_traces=size)
    data = bytearray((folder / "damaged" / shard_name(1)).read_bytes())
    data[-5] ^= 1
    (folder / "damaged" / shard_name(1)).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def alone(folder):
    """What one process found: losses, and the state after them."""
    return jobs.curves(ALONE, folder)


@pytest.fixture(scope="module")
def two(folder, alone):
    """What two ranks found, job by job: forks of a process that has imported what one needs."""
    return in_ranks(2, jobs.several, folder)


@pytest.fixture(scope="module")
def three(folder, alone):
    """What three ranks found."""
    return in_ranks(3, jobs.talking_and_reading, folder)


def test_two_ranks_follow_the_loss_curve_of_one(alone, two):
    """Losses, wrong frames (or examples), draws and errors, over checks; ranks hold the same numbers to the bit."""
    one, other = (found["curves"] for found in two)
    for kind in alone:
        found, single = one[kind], alone[kind]
        assert found == other[kind]
        assert len(single["losses"]) == UPDATES
        assert found["losses"] == pytest.approx(single["losses"], rel=TOLERANCE)
        assert found["numbers"] == pytest.approx(single["numbers"], abs=1e-4)
        for key in ("draws", "errors", "hard", "frames", "wrong", "clean"):
            assert found[key] == single[key], key
        assert single["wrong"]
        assert max(single["losses"]) - min(single["losses"]) > 0.01 * single["losses"][0]


def test_a_core_that_sees_pictures_follows_it_too(folder, two):
    """Red when a rank without a look at a picture keeps the others waiting for gradients of its eye."""
    alone, (one, other) = jobs.looking(ALONE, folder), (found["looking"] for found in two)
    assert one == other
    for way in ("losses", "forced"):
        assert one[way] == pytest.approx(alone[way], rel=TOLERANCE)
    assert one["wrong forced"] == alone["wrong forced"]
    assert one["wrong forced"]


def test_frames_that_the_first_rank_finds_join_everywhere(folder, two):
    alone, (one, other) = jobs.mining(ALONE, folder), (found["mining"] for found in two)
    assert one == other
    for way, mine in alone.items():
        assert len(one[way]["frames"]) == 2
        assert one[way]["frames"] == mine["frames"]
        assert one[way]["errors"] == mine["errors"]
        assert one[way]["steps"] == mine["steps"]
        assert len(mine["steps"]) == (way == "forced")


def test_the_first_rank_validates_and_the_others_hear_of_it(two):
    one, other = (found["validating"] for found in two)
    assert one == {"asked": [1, 2], "found": [5, 4], "error": "the first one fails"}
    assert other == {"asked": [], "found": [5, 4], "error": "other"}


def test_what_ranks_tell_each_other(three):
    talks = [dict(found["talking"]) for found in three]
    assert [one.pop("share") for one in talks] == [[0, 3], [1, 4], [2]]
    assert all(one == talks[0] for one in talks)
    assert talks[0] == {
        "gathered": [[list(range(r)), [[pytest.approx(0.1 * r)]] * 2, {"π": [r, None]}] for r in range(3)],
        "first": [[], {"π": [0, None]}],
        "sum": [3, 3],
        "any": [True, False],
        "differing": [[], [1]],
    }


@pytest.mark.parametrize(("ranks", "name", "shards"), [("two", "set", 3), ("three", "few", 2)])
def test_ranks_read_a_set_together(folder, request, ranks, name, shards):
    """Three shards, of which one rank reads two, and two, so that the last of three ranks has none."""
    assert len(TraceSet.open(folder / name).shards) == shards
    whole = as_lists(unique_frames(TraceSet.open(folder / name).batches()))
    assert all(found["reading"] == whole for found in request.getfixturevalue(ranks))


def test_a_rank_reads_its_own_shards_only(two):
    """The changed one is seen by the second rank, and the first one loses that."""
    one, other = (found["reading_damage"] for found in two)
    assert one == "lost: another process of this run has ended"
    assert "shard-00001.safetensors was changed after it was written" in other


def test_two_ranks_train_to_a_proof(folder, two):
    one, other = (dict(found["proving"]) for found in two)
    assert (one.pop("reported"), other.pop("reported")) == (one["updates"], 0)
    assert one == other
    assert (one["solved"], one["written"]) == (True, True)
    assert one["problems"] == training().problems + len(strip().programs)
    library = Library.open(folder / "library-2")
    assert [library.core.digest(), library.rows_digest()] == one["digests"]
    assert not checkpoint_path(folder / "library-2").exists()


def test_ranks_that_were_told_different_things_are_refused(two):
    for found in two:
        assert found["disagreeing"] == (
            "process 1 has other settings, programs or traces than process 0; give all the same"
        )


def test_ranks_that_drift_apart_are_found(two):
    assert {found["drifting"] for found in two} == {"ranks [1] hold other parameters than the first one"}


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="NCCL needs two CUDA devices, one for each rank")
def test_two_cuda_devices_follow_the_loss_curve_of_one(folder):
    alone = jobs.curves(Ranks(device=torch.device("cuda", 0)), folder)
    one, other = in_ranks(2, jobs.curves, folder, device="cuda")
    for kind in alone:
        assert one[kind]["digests"] == other[kind]["digests"]
        assert one[kind]["losses"] == pytest.approx(alone[kind]["losses"], rel=1e-3)


# --- one process -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variables", [{}, {"RANK": "0", "WORLD_SIZE": "1"}, {"WORLD_SIZE": "4"}])
def test_without_torchrun_there_is_one_rank(monkeypatch, variables):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with join("cpu") as ranks:
        assert ranks == ALONE
        assert not dist.is_initialized()
    assert not launched()


def test_devices_of_ranks(monkeypatch):
    assert rank_device("cpu", local=3) == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("cuda:1") == torch.device("cuda", 1)
    assert rank_device("auto", local=1) == torch.device("cuda", 1)
    with pytest.raises(ValueError, match=r"'cuda:1' is one, and each process .* takes its own; use cuda"):
        rank_device("cuda:1", local=1)
    with pytest.raises(ValueError, match="process 2 of this host has no CUDA device of its own, there are 2"):
        rank_device("auto", local=2)


def test_other_errors_are_not_taken_for_a_lost_rank():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), losing():
        torch.zeros(2, 3) @ torch.zeros(2, 3)


def test_a_run_of_one_rank_says_what_train_library_always_said(folder, tmp_path):
    """``ranks`` given or not: the same numbers to the bit."""
    settings = {"core": CORE, "training": training(updates=25), "traces": 4}
    given = train_library([folder / "strip.npi"], out=tmp_path / "a", ranks=ALONE, **settings)
    plain = train_library([folder / "strip.npi"], out=tmp_path / "b", device="cpu", **settings)
    assert given.library.core.digest() == plain.library.core.digest()
