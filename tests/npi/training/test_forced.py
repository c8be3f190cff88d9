"""Steps with forced states: the loss against plain loops, examples against a dictionary, what "all right" implies."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from envs.spec import RETURN, Channel
from npi.core.recurrent import may_call, recurrent
from npi.library.library import Library
from npi.proof.prove import text_steps
from npi.training.forced import MARGIN, NEAR, ForcedStates
from npi.training.frame_objective import FrameObjective
from npi.training.induction.inferred_places import finders_of
from npi.training.ranks import ALONE
from npi.training.supervision import learning_rate_share
from npi.training.validation import Validation
from tests.support.forced_states import forced, stepped_wrong, two_worlds
from tests.support.tiny import (
    CORE,
    Steps,
    dataset,
    forcing,
    make_objective,
    objective_on,
    seen_by,
    strip,
    untrained,
)

UPDATES = 40


# --- the loss ---------------------------------------------------------------------------------------------------------


def log_softmax(logits: list[float]) -> np.ndarray:
    x = np.array(logits, dtype=np.float64)
    return x - x.max() - np.log(np.exp(x - x.max()).sum())


def leads(logits: list[float], wanted: int) -> bool:
    return all(logits[wanted] >= other + MARGIN for i, other in enumerate(logits) if i != wanted)


class PlainCore:
    """A discrete core's step and what it decides, in numpy."""

    def __init__(self, library: Library) -> None:
        self.library, self.core, self.memory = library, recurrent(library.core), library.memory
        self.w = {name: value.detach().double().numpy() for name, value in library.core.state_dict().items()}

    def step(self, world: int, row: int, code: int, inputs: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Hidden numbers, and those whose signs are the next bits; of the inputs what the row's gates leave open."""
        w, relu = self.w, lambda v: np.maximum(v, 0)
        spec = self.core.worlds[world]
        sizes, place, x = [f.size for f in spec.fields] + [len(spec.tokens)] * 3, 0, 0.0
        for size, value, open_ in zip(sizes, inputs, seen_by(self.library, row, code)[1:], strict=True):
            x = x + w[f"adapters.{world}.table"][place + value] * open_
            place += size
        embedding = self.memory.embeddings_NP[row].detach().double().numpy()
        scale1, shift1, scale2, shift2 = np.split(w["trunk.film.weight"] @ embedding + w["trunk.film.bias"], 4)
        bits = [1 if code - 1 >> k & 1 else -1 for k in range(self.core.config.bits)] if code else [0]
        state = w["trunk.state.weight"] @ np.array(bits) if code else 0.0
        first = relu((1 + scale1) * (x + state) + shift1)
        second = relu((1 + scale2) * (w["trunk.middle.weight"] @ first + w["trunk.middle.bias"]) + shift2)
        return second, w["trunk.bit.weight"] @ second + w["trunk.bit.bias"]

    def score(self, world: int, row: int, code: int, inputs: list[int], call: list[int], after: int):
        """nll (NPI equations 6 to 8, and one Bernoulli for each bit of the next code) and whether it is wrong."""
        hidden, value = self.step(world, row, code, inputs)
        w, memory, (callee, *tokens) = self.w, self.memory, call
        end = float(w["end.weight"][0] @ hidden + w["end.bias"][0])
        nll = math.log1p(math.exp(-end if callee == RETURN else end))
        right = end >= MARGIN if callee == RETURN else end <= -MARGIN
        if callee == RETURN:
            return nll, not right
        rows = [q for q, allowed in enumerate(may_call(memory)[row].tolist()) if allowed]
        key = w["find.weight"] @ hidden + w["find.bias"]
        logits = [float(key @ memory.keys_NK[q].detach().double().numpy()) for q in rows]
        nll -= log_softmax(logits)[rows.index(callee)]
        right &= leads(logits, rows.index(callee))
        heads = w[f"adapters.{world}.arguments.weight"] @ hidden + w[f"adapters.{world}.arguments.bias"]
        slots = memory.infos[callee].signature.slots
        for slot, token in enumerate(tokens):
            choice = list(slots[slot].tokens) if slot < len(slots) else [0]
            logits = [float(heads.reshape(3, -1)[slot, t]) for t in choice]
            nll -= log_softmax(logits)[choice.index(token)]
            right &= leads(logits, choice.index(token))
        for k, number in enumerate(value.tolist()):
            ahead = number if after - 1 >> k & 1 else -number
            nll += math.log1p(math.exp(-ahead))
            right &= ahead >= MARGIN
        return nll, not right


def plain_scores(objective: FrameObjective) -> tuple[list[int], list[float], list[bool]]:
    """Rows, nll and wrongness of all examples, one by one."""
    plain, rows, nll, wrong = PlainCore(objective.library), [], [], []
    for world, every in forced(objective).examples.items():
        columns = (every.row_E, every.code_E, torch.cat([every.obs_EF, every.arguments_E3], 1), every.call_E4)
        for row, code, inputs, call, after in zip(*(c.tolist() for c in (*columns, every.after_E)), strict=True):
            one, bad = plain.score(world, row, code, inputs, call, after)
            rows.append(row)
            nll.append(one)
            wrong.append(bad)
    return rows, nll, wrong


def test_loss_and_errors_against_plain_loops() -> None:
    """Red where a bit, the margin, a gate or a world's offset is another, or a return's next bits count."""
    objective = two_worlds(CORE)
    Steps(objective).take(18)
    rows, nll, wrong = plain_scores(objective)
    supervision = forced(objective)
    nll_E, wrong_E = supervision._scores(torch.arange(len(rows)))
    np.testing.assert_allclose(nll_E.detach().numpy(), nll, rtol=2e-4, atol=1e-5)
    assert wrong_E.tolist() == wrong
    assert 0 < sum(wrong) < len(wrong)

    ((loss,),) = supervision.losses(0, ALONE)
    counts = Counter(rows)
    expected = sum(one / counts[row] for row, one in zip(rows, nll, strict=True))
    assert loss.value.item() == pytest.approx(expected, rel=1e-4), "the mean of a program's examples, summed over them"

    names = [info.name for info in objective.memory.infos]
    found = objective.evaluate(0)
    assert found.scores == Counter(names[row] for row, bad in zip(rows, wrong, strict=True) if bad)
    assert supervision.wrong_E.tolist() == wrong


def test_some_examples_score_as_they_do_among_all() -> None:
    """Of both worlds, in the order that was asked for."""
    objective = two_worlds()
    supervision = forced(objective)
    nll_E, wrong_E = supervision._scores(torch.arange(len(supervision.row_E)))
    first = len(supervision.examples[0])
    for index in ([0, 2, first, first + 1], [first + 2], [1], [3, first - 1]):
        nll_D, wrong_D = supervision._scores(torch.tensor(index))
        torch.testing.assert_close(nll_D, nll_E[index])
        assert wrong_D.tolist() == wrong_E[index].tolist()


def test_the_first_updates_are_those_of_a_loop_written_out() -> None:
    """All examples, the loss backward of those that are not next to perfect, a norm of one, AdamW."""
    objective, other = (make_objective(forcing(), validated=False) for _ in range(2))
    supervision = forced(other)
    parameters = [*other.core.parameters(), other.memory.keys_NK, other.memory.embeddings_NP]
    adamw = torch.optim.AdamW(parameters, betas=(0.9, 0.98), weight_decay=1e-4)
    weight_E = 1 / torch.bincount(supervision.row_E)[supervision.row_E]
    losses, rates, errors, was_E = [], [], dict.fromkeys(supervision.errors, 1.0), supervision.wrong_E.clone()
    left_out = 0
    for update in range(UPDATES):
        share = float(was_E.float().mean())  # all at first; from 5 % on the rate is at its peak
        falling = (1 - update / other.config.decay) * min(1, math.sqrt(share / 0.05))
        adamw.param_groups[0]["lr"] = 3e-3 * min(1.0, (update + 1) / 10) * max(0.3, falling)
        nll_E, wrong_E = supervision._scores(torch.arange(len(supervision.row_E)))
        loss = (nll_E * weight_E)[nll_E > 0.01].sum()
        left_out += int((nll_E <= 0.01).sum())
        adamw.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        adamw.step()
        losses.append(loss.item())
        rates.append(adamw.param_groups[0]["lr"])
        was_E = wrong_E
        for row in errors:
            errors[row] = 0.9 * errors[row] + 0.1 * float(wrong_E[supervision.row_E == row].float().mean())
    assert Steps(objective).take(UPDATES) == pytest.approx(losses, rel=1e-4)
    assert min(rates[10:]) < 2.5e-3, "no update had few examples wrong"
    assert forced(objective).errors == pytest.approx(errors, abs=1e-4)
    assert losses[-1] < losses[0]
    assert left_out, "no update left an example out"


# --- examples ---------------------------------------------------------------------------------------------------------


def plain_examples(objective: FrameObjective, number: int) -> Counter[tuple]:
    """Different steps of the given frames of that number, in the order in which they come, and how many each stands
    for: plain tuples of row, what is read, call, code, and next code."""
    frames, library = objective.given[number], objective.library
    places, codes = objective.finders[number](frames), forced(objective).codes
    rows, fields, found = library.rows(frames.table).tolist(), len(frames.table.world.fields), Counter[tuple]()
    for m in range(len(frames)):
        row = rows[int(frames.program_M[m])]
        for s in range(int(frames.start_M[m]), int(frames.start_M[m] + frames.length_M[m])):
            callee, *tokens = frames.call_S4[s].tolist()
            before, after = int(places.before_S[s]), int(places.after_S[s])
            reads = places.reads[int(frames.program_M[m])][before]
            inputs = [*frames.obs_SF[s].tolist(), *frames.arguments_M3[m].tolist()]
            inputs = [value if i in reads else 0 for i, value in enumerate(inputs)]
            called = (callee if callee == RETURN else rows[callee], *tokens)
            goes = codes[row][after] if after else 0
            key = (row, *inputs[:fields], *inputs[fields:], *called, codes[row][before], goes)
            found[key] += int(frames.count_M[m])
    return found


def test_examples_are_the_different_steps_with_their_counts() -> None:
    """Of two worlds; red where steps are told apart by what they do not read, or alike in spite of what they do."""
    objective = two_worlds()
    for number, every in forced(objective).examples.items():
        columns = (every.row_E, every.obs_EF, every.arguments_E3, every.call_E4, every.code_E, every.after_E)
        found = torch.cat([column.reshape(len(every), -1) for column in columns], 1).tolist()
        plain = plain_examples(objective, number)
        assert [tuple(one) for one in found] == list(plain)
        assert every.count_E.tolist() == list(plain.values())
        assert len(every) < objective.given[number].steps
        for row, code, seen in zip(every.row_E.tolist(), every.code_E.tolist(), every.seen_EI.tolist(), strict=True):
            assert seen == seen_by(objective.library, row, code)[1:]


def test_steps_that_a_proof_brings_join_the_examples() -> None:
    """All steps of ZERO, of which its few traces show some; those that are known keep their counts."""
    objective = make_objective(forcing(rate=1e-9, updates=1), validated=False)
    frames = objective.given[0]
    shortest = frames.select(frames.length_M <= 2)
    objective = FrameObjective(objective.library, [shortest], forcing(), finders=objective.finders)
    supervision, row = forced(objective), objective.memory.index("strip.ZERO")
    before = {tuple(one) for one in _zero(supervision, row)}
    steps = text_steps(objective.library, strip(), "strip.ZERO")
    supervision.check = lambda ranks: ({}, True)  # type: ignore[method-assign]
    objective.validate = lambda turn: Validation(2, 1, steps=(steps,))
    counted = int(supervision.examples[0].count_E.sum())
    supervision.errors[row] = 0.125
    objective.evaluate(0)
    objective.evaluate(1)
    after = _zero(supervision, row)
    assert before < {tuple(one) for one in after}
    assert len(after) == 12, "two places, three symbols, at the end or not"
    assert int(supervision.examples[0].count_E.sum()) == counted, "no trace shows them"
    assert supervision.errors[row] == 0.125
    assert len(objective.steps) == 1, "steps that are known are not added again"


def _zero(supervision: ForcedStates, row: int) -> list[list[int]]:
    every = supervision.examples[0]
    return torch.cat([every.code_E[:, None], every.obs_EF], 1)[every.row_E == row].tolist()


def test_all_examples_right_means_all_frames_right() -> None:
    """Frames of all lengths stepped through one by one, each state by the core; and a wrong example makes one wrong."""
    objective = two_worlds(CORE)
    steps = Steps(objective)
    shares = []
    for _ in range(12):
        right = forced(objective).check(ALONE)[1]
        wrong = [len(stepped_wrong(objective.library, x.table, x)) for x in objective.given]
        shares.append(sum(wrong))
        assert not (right and sum(wrong))
        if right:
            break
        steps.take(10)
    assert right
    assert shares[0] > 20


def test_what_contradicts_itself_is_never_all_right() -> None:
    """One call changed, with finders that do not mind: both calls stay, and hardly one of them leads."""
    library, given_ = untrained(CORE), dataset(strip()).frames
    places = finders_of([dataset(strip())])[0][0](given_)
    calls = given_.call_S4.clone()
    home = int((given_.program_M == strip().table.id("HOME")).nonzero()[0])
    calls[int(given_.start_M[home])] = torch.tensor([strip().table.id("ROUND"), 0, 0, 0], dtype=calls.dtype)
    broken = replace(given_, call_S4=calls)
    objective = FrameObjective(library, [broken], forcing(), finders=[lambda frames: places])
    Steps(objective).take(60)
    found = objective.evaluate(60)
    assert found.scores.keys() == {"strip.HOME"}
    assert not found.solved


# --- what is drawn ----------------------------------------------------------------------------------------------------


def test_all_examples_are_drawn_where_they_are_few() -> None:
    supervision = forced(two_worlds())
    assert supervision._draw().tolist() == list(range(len(supervision.row_E)))


@pytest.mark.parametrize(("wrong", "again"), [([], 0), ([7], 4), ([0, 7, 12], 5)])
def test_of_many_examples_some_are_drawn_and_those_that_were_wrong_again(wrong: list[int], again: int) -> None:
    """A quarter of an update are wrong ones, at most 4 times each; the others by 1 / sqrt(examples of the program)."""
    supervision = forced(two_worlds())
    count = len(supervision.row_E)
    supervision.near_E = torch.zeros(count, dtype=torch.bool)
    supervision.config = replace(supervision.config, examples=20)
    supervision.wrong_E = torch.isin(torch.arange(count), torch.tensor(wrong, dtype=torch.int64))
    seen, draws, before = Counter[int](), 3000, torch.random.get_rng_state()
    for _ in range(draws):
        drawn = supervision._draw().tolist()
        assert drawn == sorted(drawn)
        assert len(drawn) == 20
        seen.update(drawn)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert len(seen) == count
    assert sum(seen[e] for e in wrong) >= draws * again
    size_N = Counter(supervision.row_E.tolist())
    usual = {e: row for e, row in enumerate(supervision.row_E.tolist()) if e not in wrong}
    few, many = (bound(usual.values(), key=size_N.__getitem__) for bound in (min, max))
    means = [np.mean([seen[e] for e, row in usual.items() if row == r]) for r in (few, many)]
    assert size_N[few] < size_N[many]
    assert means[0] > 1.15 * means[1]


def test_few_wrong_examples_are_drawn_4_times_at_most() -> None:
    supervision = forced(two_worlds())
    supervision.config = replace(supervision.config, examples=80)
    supervision.row_E = supervision.row_E.repeat(10)
    supervision.near_E = torch.zeros(len(supervision.row_E), dtype=torch.bool)
    supervision.wrong_E = torch.arange(len(supervision.row_E)) == 3
    assert 4 <= supervision._draw().tolist().count(3) <= 5


def test_half_of_the_other_examples_were_near_to_being_wrong() -> None:
    """And no more than there are: red where they are forgotten, or drawn from all."""
    supervision = forced(two_worlds())
    count = len(supervision.row_E)
    supervision.config = replace(supervision.config, examples=20)
    supervision.wrong_E = torch.zeros(count, dtype=torch.bool)
    for near, drawn in (([2, 5, 9], 3), (list(range(0, count, 2)), 10)):
        supervision.near_E = torch.isin(torch.arange(count), torch.tensor(near))
        hits = [sum(e in near for e in supervision._draw().tolist()) for _ in range(300)]
        assert min(hits) >= drawn
    list(supervision.losses(0, ALONE))
    nll_E, _ = supervision._scores(torch.arange(count))
    supervision._look(torch.arange(count), ALONE)
    assert supervision.near_E.tolist() == (nll_E > NEAR).tolist()


def test_the_rate_falls_with_the_share_of_wrong_examples() -> None:
    """1 from 5 % on, then the root of the share by 5 %, times the usual fall; at least 0.3, but for the warm-up."""
    supervision = forced(two_worlds())
    supervision.row_E = supervision.row_E.repeat(1000)[:10_000]
    share = supervision.schedule.share
    for wrong, expected in ((10_000, 1.0), (500, 1.0), (125, 0.5), (20, 0.2), (1, 0.0447), (0, 0)):
        supervision.wrong_E = torch.arange(10_000) < wrong
        for update in (4, 50, 200):
            usual = learning_rate_share(supervision.config, update)
            assert share(update) == pytest.approx(max(usual * expected, 0.3 * min(1, (update + 1) / 10)))


def test_among_pictures_the_rate_falls_lower() -> None:
    objective = make_objective(forcing(), validated=False)
    supervision = forced(objective)
    supervision.wrong_E = torch.zeros(len(supervision.row_E), dtype=torch.bool)
    assert supervision.schedule.share(200) == 0.3
    (spec,) = objective.core.worlds
    objective.core.worlds = (replace(spec, channels=(Channel("seen", (1, 1, 1), fields=(spec.fields[0].name,)),)),)
    assert supervision.schedule.share(200) == 0.05


def test_a_check_looks_at_the_first_examples_of_each_program_and_at_all_before_training_ends(monkeypatch) -> None:
    """Wrong are those that were looked at; with one of each row right, and some that were wrong, all are looked at."""
    monkeypatch.setattr("npi.training.forced.FIRST", 1)
    objective = two_worlds()
    supervision, looked = forced(objective), []
    rows = supervision.row_E.tolist()
    first = [rows.index(row) for row in sorted(set(rows))]
    many = max(first, key=lambda e: rows.count(rows[e]))

    def scores(index_D: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        looked.append(index_D.tolist())
        return torch.zeros(len(index_D)), torch.isin(index_D, bad)

    supervision._scores = scores  # type: ignore[method-assign]
    one, other, *_ = (e for e, row in enumerate(rows) if row == rows[many])
    bad = torch.tensor([one, other])
    supervision.wrong_E = torch.zeros(len(rows), dtype=torch.bool)
    assert supervision.check(ALONE) == ({rows[one]: 1}, False)
    assert looked == [sorted(first)]
    bad = torch.tensor([len(rows) - 1])
    assert supervision.check(ALONE) == ({rows[-1]: 1}, False)
    assert looked[1:] == [sorted(first), list(range(len(rows)))]
    assert supervision.wrong_E.nonzero().tolist() == [[len(rows) - 1]]
    assert supervision.check(ALONE) == ({rows[-1]: 1}, False)
    assert looked[3:] == [sorted({*first, len(rows) - 1})], "what was wrong is looked at before all are"
    bad = torch.tensor([], dtype=torch.int64)
    assert supervision.check(ALONE) == ({}, True)
    assert not supervision.wrong_E.any()


def test_only_what_was_drawn_is_noted() -> None:
    supervision = forced(two_worlds())
    supervision.config = replace(supervision.config, examples=5)
    supervision.wrong_E = torch.zeros(len(supervision.row_E), dtype=torch.bool)
    state = supervision.generator.get_state()
    drawn = supervision._draw()
    supervision.generator.set_state(state)
    list(supervision.losses(0, ALONE))
    _, wrong_D = supervision._scores(drawn)
    assert supervision.wrong_E.nonzero()[:, 0].tolist() == drawn[wrong_D].unique().tolist()
    touched = {row for row, error in supervision.errors.items() if error != 1.0}
    rows = supervision.row_E[drawn]
    expected = {r: 0.9 + 0.1 * float(wrong_D[rows == r].float().mean()) for r in rows.unique().tolist()}
    assert touched <= set(rows.tolist())
    assert {row: supervision.errors[row] for row in expected} == pytest.approx(expected)


def test_traces_without_a_text_are_learned_by_inferred_places() -> None:
    """Places by merging alone; the core runs the frames."""
    library, found = untrained(CORE), replace(dataset(strip()), programs=None)
    objective = objective_on(library, [found], forcing())
    Steps(objective).take(100)
    assert objective.evaluate(100).solved
    assert not stepped_wrong(library, strip().table, found.frames)
