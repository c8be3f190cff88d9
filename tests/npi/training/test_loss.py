"""The loss against numpy loops and numbers that a person can redo, and what may be called while learning."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from envs.spec import RETURN
from envs.stepper import Observation
from npi.core.recurrent import may_call
from npi.library.library import Library
from npi.running.core_stepper import CoreStepper
from npi.training.curriculum import WorldFrames
from npi.training.frame_objective import place
from npi.training.loss import OUT_OF_REACH, FrameBatch, Rules, frame_loss, score, take_share
from npi.training.unrolled import wrong_frames
from tests.support.tiny import CORE, LSTM, SMALL, Steps, dataset, make_objective, strip, tape, training, untrained

KINDS = pytest.mark.parametrize("config", [SMALL, LSTM], ids=["discrete", "lstm"])


def rules_of(library: Library) -> Rules:
    return Rules.of(library.core, library.memory, may_call(library.memory))


def some_frames(library: Library, programs, count: int, seed: int = 0) -> FrameBatch:
    """Frames of a program file, of different lengths, drawn at random."""
    source = place(library, dataset(programs).frames)
    index = torch.randperm(len(source.frames), generator=torch.Generator().manual_seed(seed))[:count]
    return source.batch(index)


def log_softmax(logits: list[float]) -> np.ndarray:
    x = np.array(logits, dtype=np.float64)
    return x - x.max() - np.log(np.exp(x - x.max()).sum())


def plain_score(library: Library, batch: FrameBatch, hidden_BTH: torch.Tensor) -> tuple[list[float], list[bool]]:
    """NPI equations 6 to 8 by loops: one Bernoulli and, where it goes on, four categorical choices a step."""
    core, memory = library.core, library.memory
    spec = core.worlds[batch.world]
    nll, wrong = [], []
    for b in range(len(batch)):
        total, bad, row = 0.0, False, int(batch.program_B[b])
        for t in range(int(batch.mask_BT[b].sum())):
            hidden, (callee, *tokens) = hidden_BTH[b, t], batch.call_BT4[b, t].tolist()
            end = float(core.end(hidden))
            chance = 1 / (1 + math.exp(-end))
            total -= math.log(chance if callee == RETURN else 1 - chance)
            bad |= (end > 0) != (callee == RETURN)
            if callee == RETURN:
                continue
            me = memory.infos[row]
            rows = [i for i, o in enumerate(memory.infos) if o.world == me.world and o.generation <= me.generation]
            key = core.find(hidden)
            logits = [float(key @ memory.keys_NK[i]) for i in rows]
            total -= log_softmax(logits)[rows.index(callee)]
            bad |= rows[int(np.argmax(logits))] != callee
            heads = core.adapter(batch.world).arguments(hidden).view(3, len(spec.tokens))
            slots = memory.infos[callee].signature.slots
            for slot, token in enumerate(tokens):
                choice = list(slots[slot].tokens) if slot < len(slots) else [0]
                logits = [float(heads[slot, c]) for c in choice]
                total -= log_softmax(logits)[choice.index(token)]
                bad |= choice[int(np.argmax(logits))] != token
        nll.append(total)
        wrong.append(bad)
    return nll, wrong


def unrolled(library: Library, batch: FrameBatch) -> torch.Tensor:
    B, T, F = batch.obs_BTF.shape
    tables, adapter = library.core.tables(library.memory), library.core.adapter(batch.world)
    x = [
        adapter.encode(o, batch.arguments_B3, adapter.input_weights(tables.words_NSW[batch.program_B, 0]))
        for o in batch.obs_BTF.unbind(1)
    ]
    return library.core.trunk.unroll(torch.stack(x, 1), tables.cond_NC[batch.program_B], noise=0.0, generator=None)


@KINDS
@torch.no_grad()
def test_loss_and_errors_against_numpy_loops(config) -> None:
    """Red when padding counts, a mask is missing, or an argument of a return counts."""
    library = untrained(config, strip(), tape(), seed=2)
    library.core.end.bias.fill_(-0.1)
    batches = [some_frames(library, strip(), 12), some_frames(library, tape(), 7)]
    T = max(b.mask_BT.shape[1] for b in batches)
    batches = [
        replace(
            b,
            obs_BTF=torch.nn.functional.pad(b.obs_BTF, (0, 0, 0, T - b.mask_BT.shape[1])),
            call_BT4=torch.nn.functional.pad(b.call_BT4, (0, 0, 0, T - b.mask_BT.shape[1])),
            mask_BT=torch.nn.functional.pad(b.mask_BT, (0, T - b.mask_BT.shape[1])),
        )
        for b in batches
    ]
    found = score(library.core, library.core.tables(library.memory), rules_of(library), batches)
    for batch, one in zip(batches, found, strict=True):
        assert batch.mask_BT.sum(1).unique().numel() > 1
        nll, wrong = plain_score(library, batch, unrolled(library, batch))
        np.testing.assert_allclose(one.nll_B.numpy(), nll, rtol=1e-4)
        assert one.wrong_B.tolist() == wrong


@torch.no_grad()
def test_an_indifferent_core_costs_what_a_person_can_count() -> None:
    """With all logits zero: ln 2 a step, ln of the callable rows a call, ln of the tokens an argument."""
    library = untrained(SMALL)
    for parameter in library.core.parameters():
        parameter.zero_()
    source = place(library, dataset(strip()).frames)
    batch = source.batch(torch.arange(len(source.frames)))
    (found,) = score(library.core, library.core.tables(library.memory), rules_of(library), [batch])
    rows = 1 + 7  # ACT and seven programs, all of one world
    act = library.memory.index("world0.ACT")
    move = library.memory.index("strip.MOVE")
    pointers, actions, operands, directions = 1, 4, 1 + 1 + 3, 2
    assert [len(s.tokens) for s in library.memory.infos[act].signature.slots] == [pointers, actions, operands]
    for b, calls in enumerate(batch.call_BT4.tolist()):
        length = int(batch.mask_BT[b].sum())
        callees = [c[0] for c in calls[: length - 1]]
        expected = length * math.log(2) + len(callees) * math.log(rows)
        expected += callees.count(act) * math.log(pointers * actions * operands)
        expected += callees.count(move) * math.log(directions)
        assert float(found.nll_B[b]) == pytest.approx(expected, rel=1e-5)


def test_gradients_against_finite_differences() -> None:
    """In float64, on the LSTM (a discrete state has no derivative to compare with)."""
    library = untrained(LSTM, seed=1)
    library.core.double()
    library.memory.double()
    batch, rules = some_frames(library, strip(), 5), rules_of(library)

    def loss() -> torch.Tensor:
        (found,) = score(library.core, library.core.tables(library.memory), rules, [batch])
        return found.nll_B.sum()

    loss().backward()
    memory = library.memory
    parameters = {**dict(library.core.named_parameters()), "keys": memory.keys_NK, "rows": memory.embeddings_NP}
    for name, parameter in parameters.items():
        assert parameter.grad is not None, name
        place_ = int(parameter.grad.abs().argmax())
        flat = parameter.data.view(-1)
        values = []
        for step in (1e-6, -2e-6):
            flat[place_] += step
            values.append(loss().item())
        flat[place_] += 1e-6
        slope = (values[0] - values[1]) / 2e-6
        assert slope == pytest.approx(float(parameter.grad.view(-1)[place_]), rel=1e-4, abs=1e-7), name


@torch.no_grad()
def test_what_may_not_be_called_takes_no_share_of_the_chances() -> None:
    """A key that fits perfectly but is out of reach changes no loss, to the bit."""
    library = untrained(SMALL)
    old = library.memory.infos[library.memory.index("strip.HOME")]
    memory = library.memory.drawn([replace(old, name="new.ONE", generation=1)], generator=torch.Generator())
    rules = Rules.of(library.core, memory, may_call(memory))
    batch = some_frames(library, strip(), 20)
    found = []
    for size in (0.0, 50.0):
        memory.keys_NK[-1] = size * library.core.find.bias
        (one,) = score(library.core, library.core.tables(memory), rules, [batch])
        found.append(one)
    assert torch.equal(found[0].nll_B, found[1].nll_B)
    assert torch.equal(found[0].wrong_B, found[1].wrong_B)


@KINDS
@torch.no_grad()
def test_a_frame_is_wrong_where_the_stepper_would_decide_otherwise(config) -> None:
    """The stepper goes through each frame alone, shown the teacher's observations."""
    objective = make_objective(training(rate=1e-2, noise=0.0, cut=0), core=config, validated=False)
    with torch.enable_grad():
        Steps(objective).take(40)
    library, frames = objective.library, dataset(strip()).frames
    rows = library.rows(strip().table)
    stepper = CoreStepper(library.core, library.memory, rows, world=0, table=strip().table)
    expected = []
    for m in range(len(frames)):
        hidden = torch.zeros(1, stepper.width, dtype=stepper.dtype)
        for s in range(int(frames.start_M[m]), int(frames.start_M[m] + frames.length_M[m])):
            obs = frames.obs_SF[s].to(torch.int64)[None]
            decision = stepper.step(Observation(obs), frames.program_M[[m]], frames.arguments_M3[[m]], hidden)
            hidden = decision.hidden_BH
            if decision.call_B4[0].tolist() != frames.call_S4[s].tolist():
                expected.append(m)
                break
    source = place(library, frames)
    found = wrong_frames(library.core, library.memory, rules_of(library), source, torch.arange(len(frames)))
    assert sorted(found.tolist()) == expected
    assert 0 < len(expected) < len(frames)


# --- the loss of an update ------------------------------------------------------------------------------------------


def test_every_program_has_one_share_of_the_loss() -> None:
    """Ten copies of a frame weigh as much as one: the mean over a program's frames, summed over programs."""
    library = untrained(SMALL)
    source = place(library, dataset(strip()).frames)
    one = [int((source.frames.program_M == r).nonzero()[0]) for r in source.frames.program_M.unique()]
    found = []
    for index in (one, one[:1] * 10 + one[1:]):
        drawn = take_share([[source.batch(torch.tensor(index))]])
        loss, wrong_B = frame_loss(
            library.core, library.memory, rules_of(library), drawn, noise=0.0, generator=torch.Generator()
        )
        assert drawn.program_D.tolist() == source.frames.program_M[torch.tensor(index)].tolist()
        assert wrong_B.shape == drawn.program_D.shape
        found.append(loss.item())
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    tables = library.core.tables(library.memory)
    (scores,) = score(library.core, tables, rules_of(library), [source.batch(torch.tensor(one))])
    assert found[0] == pytest.approx(scores.nll_B.sum().item(), rel=1e-5)


def test_the_loss_of_an_update_is_taken_under_noise() -> None:
    library = untrained(SMALL)
    drawn = take_share([[some_frames(library, strip(), 40)]])

    def loss(noise: float, seed: int) -> float:
        args = (library.core, library.memory, rules_of(library), drawn)
        return frame_loss(*args, noise=noise, generator=torch.Generator().manual_seed(seed))[0].item()

    assert loss(0.0, 1) == loss(0.0, 2) != loss(2.0, 1)
    assert loss(2.0, 1) == loss(2.0, 1) != loss(2.0, 2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@KINDS
@torch.no_grad()
def test_the_loss_is_the_same_on_cuda(config) -> None:
    library = untrained(config)
    source = place(library, dataset(strip()).frames)
    batch = source.batch(torch.arange(30))
    (here,) = score(library.core, library.core.tables(library.memory), rules_of(library), [batch])
    library.core.to("cuda")
    library.memory.to("cuda")
    moved = batch.to(torch.device("cuda"))
    (there,) = score(library.core, library.core.tables(library.memory), rules_of(library), [moved])
    torch.testing.assert_close(there.nll_B.cpu(), here.nll_B, rtol=1e-3, atol=1e-3)


def test_a_world_of_frames_keeps_returns_and_renumbers_the_rest() -> None:
    library = untrained(CORE, tape(), strip())
    frames, rows = dataset(strip()).frames, library.rows(strip().table)
    placed = WorldFrames.of(1, frames, rows).frames
    names = [s.name for s in strip().table.signatures]
    for before, after in zip(frames.call_S4.tolist(), placed.call_S4.tolist(), strict=True):
        if before[0] == RETURN:
            assert after == before
        else:
            assert library.memory.infos[after[0]].name in (names[before[0]], f"world1.{names[before[0]]}")
            assert after[1:] == before[1:]
    assert [library.memory.infos[r].name for r in placed.program_M] == [names[p] for p in frames.program_M]


def test_rules_forbid_later_generations_other_worlds_and_tokens_outside_a_signature() -> None:
    library = untrained(SMALL, strip(), tape())
    old = library.memory.infos[library.memory.index("strip.HOME")]
    memory = library.memory.drawn([replace(old, name="new.ONE", generation=1)], generator=torch.Generator())
    rules = Rules.of(library.core, memory, may_call(memory))
    names = [i.name for i in memory.infos]
    new, home, move = names.index("new.ONE"), names.index("strip.HOME"), names.index("strip.MOVE")
    wipe, act0, act1 = names.index("tape.WIPE"), names.index("world0.ACT"), names.index("world1.ACT")
    reach = rules.reach_NN
    assert set(reach.unique().tolist()) == {0.0, OUT_OF_REACH}
    assert reach[home, new] == OUT_OF_REACH
    assert reach[new, home] == reach[new, new] == reach[home, home] == reach[home, act0] == reach[wipe, act1] == 0
    assert reach[home, wipe] == reach[wipe, home] == reach[new, act1] == reach[wipe, act0] == OUT_OF_REACH
    token = library.core.worlds[0].token
    slots = rules.slots_N3V[0]
    assert (slots[move, 0] == 0).nonzero()[:, 0].tolist() == sorted([token("LEFT"), token("RIGHT")])
    assert (slots[act1] == 0).nonzero().tolist() == [[0, 0], [1, 0], [2, 0]]
    assert (slots[move, 1] == 0).nonzero().tolist() == (slots[home, 0] == 0).nonzero().tolist() == [[0]]
