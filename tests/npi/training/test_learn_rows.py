"""New rows beside a core that does not change: what is learned, what stays to the bit, what starts cannot see."""

import copy
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from envs.stepper import Observation
from npi.core.config import FORCED, LEARNED
from npi.core.recurrent import may_call
from npi.jobs.train import learn_into
from npi.library.kinds import fingerprint
from npi.library.library import Library, LibraryError
from npi.recurrent import learn
from npi.running.evaluate import run_problems
from npi.training.dataset import Dataset
from npi.training.forced import ForcedStates
from npi.training.frame_objective import place
from npi.training.induction.inferred_places import finders_of
from npi.training.learn_rows import LearnConfig, RowObjective, RowResult, new_rows
from npi.training.loss import Rules, frame_loss, score, take_share
from npi.training.unrolled import UnrolledFrames
from tests.support.tiny import (
    CORE,
    LSTM,
    SMALL,
    STATES,
    STRIP,
    TURN,
    Steps,
    configurations,
    dataset,
    names_seen,
    plain_end,
    strip,
    tape,
    trained,
    turn,
    untrained,
)
from traces.generation.generate import load_sources
from traces.machine.lockstep import Status

CONFIG = LearnConfig(starts=3, updates=300, frames=32, check_every=20, problems=16)
SHORT = LearnConfig(starts=2, updates=3, frames=8, check_every=2, problems=4, rate=1e-9)
BOTH = pytest.mark.parametrize("states", STATES)


@cache
def _taught(states: str) -> tuple[Library, RowResult]:
    library = trained(states)
    return library, learn(library, [dataset(turn())], replace(CONFIG, states=states))


def taught(states: str = FORCED) -> tuple[Library, RowResult]:
    """The strip's library with TURN and RUN, and what learning them came to; copies."""
    return copy.deepcopy(_taught(states))


def search(starts: int = 3, seed: int = 0, states: str = LEARNED) -> RowObjective:
    library = untrained(SMALL)
    datasets = [dataset(turn())]
    config = LearnConfig(starts=starts, states=states, updates=10, frames=16, problems=4, seed=seed)
    finders = finders_of(datasets)[0] if states == FORCED else []
    return RowObjective(library, datasets, new_rows(library, datasets), config, finders)


def unrolled(found: RowObjective) -> UnrolledFrames:
    assert isinstance(found.supervision, UnrolledFrames)
    return found.supervision


def forced(found: RowObjective) -> ForcedStates:
    assert isinstance(found.supervision, ForcedStates)
    return found.supervision


@BOTH
def test_two_programs_are_learned_in_seconds_as_rows_only(states: str) -> None:
    """TURN calls an old program and a new one; judged in plain Python on lists beyond those of training."""
    library, found = taught(states)
    assert found.solved
    assert found.rows == ("turn.RUN", "turn.TURN")
    assert found.numbers == CORE.row + CORE.key + 2**CORE.bits + 1
    assert found.wrong == {}
    assert found.validation.passed
    assert found.updates <= CONFIG.updates
    task = turn().tasks[0]
    problems = [
        p for n in (1, 5, 8) for p in task.draw(n, 30, generator=torch.Generator().manual_seed(n), spread=False)
    ]
    outcome = run_problems(library.stepper(turn().table), turn(), problems)
    for problem, reading in zip(problems, outcome.read(turn().world), strict=True):
        items, at = plain_end(problem.values["items"], "turn")
        assert (reading["A"], reading["at(P)"]) == (items, [at])
    assert set(outcome.status_N.tolist()) == {Status.DONE}


def test_core_old_rows_and_old_outputs_stay_to_the_bit() -> None:
    """Against the library as it was, number by number, and by the digests that are reported."""
    before, (library, found) = trained(), taught()
    for name, value in before.core.state_dict().items():
        assert torch.equal(library.core.state_dict()[name], value), name
    for name, value in before.memory.state_dict().items():
        assert torch.equal(library.memory.state_dict()[name][: len(before.memory)], value), name
    assert library.memory.infos[: len(before.memory)] == before.memory.infos
    assert found.unchanged
    assert found.before.core == found.after.core == before.core.digest() == library.core.digest()
    assert found.before.rows == found.after.rows == before.rows_digest()
    assert found.before.outputs == found.after.outputs == fingerprint(before.core, before.memory, len(before.memory))
    table = strip().table
    obs, program, arguments = configurations(table, 500, generator=torch.Generator().manual_seed(3))
    hidden = torch.randint(33, (500, 1), generator=torch.Generator().manual_seed(4))
    one = before.stepper(table, memo=False).step(Observation(obs), program, arguments, hidden)
    two = library.stepper(table, memo=False).step(Observation(obs), program, arguments, hidden)
    assert torch.equal(one.call_B4, two.call_B4)
    assert torch.equal(one.hidden_BH, two.hidden_BH)


def test_old_programs_cannot_call_new_rows_and_new_ones_can_call_both() -> None:
    library, _ = taught()
    allowed, infos = may_call(library.memory), library.memory.infos
    assert [i.generation for i in infos] == [0] * 8 + [1, 1]
    assert not allowed[:8, 8:].any()
    assert allowed[8:].all()
    with torch.no_grad():  # a key that fits everything an old program looks for
        library.memory.keys_NK[8:] = 1000 * library.core.find.bias
        library.core.end.bias.fill_(-1000)
    table = turn().table
    stepper = library.stepper(table, memo=False)
    obs, program, arguments = configurations(table, 300, generator=torch.Generator().manual_seed(5))
    callee = stepper.step(Observation(obs), program, arguments, torch.zeros(300, 1, dtype=torch.int64)).call_B4[:, 0]
    fresh = {table.id("RUN"), table.id("TURN")}
    by = {old: set() for old in (True, False)}
    for p, c in zip(program.tolist(), callee.tolist(), strict=True):
        by[p not in fresh].add(c)
    assert not by[True] & fresh
    assert by[False] & fresh


@pytest.mark.parametrize("mutate", ["core", "old row", "key"])
def test_the_probe_notices_any_change_of_what_was_there(mutate: str) -> None:
    library = untrained(SMALL, strip(), tape())
    before = fingerprint(library.core, library.memory, 9)
    assert fingerprint(library.core, library.memory, 9) == before
    with torch.no_grad():
        if mutate == "core":
            library.core.adapter(1).arguments.bias[3] += 1e-3
        elif mutate == "old row":
            library.memory.embeddings_NP[4, 0] += 1e-3
        else:
            library.memory.keys_NK[0, 0] += 1e-3
    assert fingerprint(library.core, library.memory, len(library.memory)) != before


@pytest.mark.parametrize("config", [SMALL, LSTM], ids=["discrete", "lstm"])
def test_the_probe_overlooks_rows_that_came_later(config) -> None:
    library = untrained(config)
    before, count = fingerprint(library.core, library.memory, 8), len(library.memory)
    fresh = new_rows(library, [dataset(turn())])
    more = library.memory.drawn(fresh, generator=torch.Generator().manual_seed(0))
    assert fingerprint(library.core, more, count) == before
    assert fingerprint(library.core, more, len(more)) != before


# --- what is kept where it does not work ------------------------------------------------------------------------------


@BOTH
def test_unsolved_learning_leaves_the_library_as_it_was(states: str) -> None:
    library = trained()
    memory, digest, sets = library.memory, library.rows_digest(), list(library.sets)
    found = learn(library, [dataset(turn())], replace(SHORT, states=states))
    assert not found.solved
    assert library.memory is memory
    assert (library.rows_digest(), library.sets) == (digest, sets)
    assert found.unchanged
    assert found.updates == 3
    assert "turn.TURN" in found.wrong
    assert found.wrong.keys() <= {"turn.RUN", "turn.TURN"}
    assert all(p.requires_grad for p in library.core.parameters())


def test_unsolved_rows_are_kept_where_that_is_asked_for() -> None:
    library = trained()
    found = learn(library, [dataset(turn())], SHORT, keep_unsolved=True)
    assert not found.solved
    assert [i.name for i in library.memory.infos[8:]] == ["turn.RUN", "turn.TURN"]
    assert [s.digest for s in library.sets] == [strip().digest, turn().digest]
    assert found.unchanged


def test_an_interrupted_search_leaves_the_core_trainable_and_unchanged() -> None:
    library = trained()
    before = library.core.digest()

    def interrupt() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(library, [dataset(turn())], CONFIG, stop=interrupt)
    assert all(p.requires_grad for p in library.core.parameters())
    assert library.core.digest() == before
    assert not learn(library, [dataset(turn())], CONFIG, stop=lambda: True).solved


def test_material_given_twice_is_learned_and_kept_once() -> None:
    library = trained()
    learn(library, [dataset(strip()), dataset(turn()), dataset(turn())], SHORT, keep_unsolved=True)
    assert [s.digest for s in library.sets] == [strip().digest, turn().digest]
    assert len(library.memory) == 10


def test_what_cannot_be_learned() -> None:
    with pytest.raises(LibraryError, match=r"already has every program of strip.npi; there is nothing to learn"):
        learn(untrained(SMALL), [dataset(strip())], SHORT)
    with pytest.raises(LibraryError, match="never seen world 'tape'"):
        learn(untrained(SMALL), [dataset(tape())], SHORT)
    edited = STRIP.replace("P != 0 and not last(P)", "not last(P) and P != 0")
    changed = load_sources([("strip.npi", edited), ("turn.npi", TURN)])
    with pytest.raises(LibraryError, match=r"strip.ZERO has another text in .*turn.npi than in strip.npi"):
        learn(untrained(SMALL), [Dataset.from_programs(changed, traces=1, seed=0)], SHORT)
    with pytest.raises(ValueError, match="starts must be at least 1"):
        LearnConfig(starts=0)


# --- starts side by side ----------------------------------------------------------------------------------------------


@BOTH
def test_starts_may_call_old_rows_and_their_own_only(states: str) -> None:
    found = search(starts=3, states=states)
    assert found.old == 8
    reach = found.supervision.rules.reach_NN == 0
    for p in range(14):
        for q in range(14):
            mine = (p - 8) // 2 if p >= 8 else None
            theirs = (q - 8) // 2 if q >= 8 else None
            assert bool(reach[p, q]) == (theirs is None or mine == theirs), (p, q)


def loss_of_start(found: RowObjective, start: int) -> tuple[torch.Tensor, list[bool]]:
    """Of all frames, or all examples, of one start, and which of them are wrong."""
    rows = {8 + 2 * start, 9 + 2 * start}
    if isinstance(found.supervision, ForcedStates):
        mine = torch.isin(found.supervision.row_E, torch.tensor(sorted(rows))).nonzero()[:, 0]
        assert set(found.supervision.row_E[mine].tolist()) == rows
        nll, wrong = found.supervision._scores(mine)
        return nll.sum(), wrong.tolist()
    source = unrolled(found).curriculum.sources[start]
    drawn = take_share([[source.batch(torch.arange(len(source.frames)))]])
    assert set(drawn.program_D.tolist()) == rows
    args = (found.core, found.memory, found.supervision.rules, drawn)
    loss, wrong = frame_loss(*args, noise=0.5, generator=torch.Generator().manual_seed(0))
    return loss, wrong.tolist()


@BOTH
def test_a_start_learns_as_if_the_others_were_not_there(states: str) -> None:
    """Other starts' rows get other numbers: loss, errors and gradient of this start stay the same to the bit."""
    found = search(starts=3, states=states)
    results = []
    for seed in (1, 2):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in (found.memory.keys_NK, found.memory.embeddings_NP):
                for rows in (slice(8, 10), slice(12, 14)):
                    parameter[rows] = 30 * torch.randn(parameter[rows].shape, generator=generator)
        found.memory.zero_grad()
        loss, wrong = loss_of_start(found, 1)
        loss.backward()
        grads = [found.memory.keys_NK.grad, found.memory.embeddings_NP.grad]
        for grad in grads:
            assert grad is not None
            assert (grad[8:10] == 0).all()
            assert (grad[12:14] == 0).all()
        results.append((loss.item(), wrong, [g[10:12].tolist() for g in grads]))
    assert results[0] == results[1]
    assert all(any(v for row in grad for v in row) for grad in results[0][2])


@BOTH
def test_one_update_leaves_old_rows_and_moves_every_start(states: str) -> None:
    found = search(starts=3, states=states)
    before = {n: p.detach().clone() for n, p in found.memory.named_parameters()}
    Steps(found).take(3)
    for name, parameter in found.memory.named_parameters():
        assert torch.equal(parameter[:8], before[name][:8]), name
    for row in range(8, 14):
        assert not torch.equal(found.memory.embeddings_NP[row], before["embeddings_NP"][row])


def test_each_start_begins_with_its_own_numbers_and_becomes_a_memory_of_its_own() -> None:
    found = search(starts=3)
    seen = set()
    for start in range(3):
        memory = found.library.memory.extended(found.fresh, found.parameters(start))
        assert [i.name for i in memory.infos[8:]] == ["turn.RUN", "turn.TURN"]
        assert torch.equal(memory.keys_NK[8:], found.memory.keys_NK[8 + 2 * start : 10 + 2 * start])
        assert torch.equal(memory.embeddings_NP[:8], found.library.memory.embeddings_NP)
        seen.add(tuple(memory.embeddings_NP[8:].flatten().tolist()))
    assert len(seen) == 3


def test_a_start_judged_apart_gets_the_scores_that_it_got_among_others() -> None:
    """Its rows as a memory of their own, its frames renumbered to them."""
    found = search(starts=3)
    library = Library(found.core, found.library.memory.extended(found.fresh, found.parameters(2)), [])
    whole = dataset(turn()).frames
    fresh = (whole.program_M >= turn().table.id("RUN")).nonzero()[:, 0]
    alone = place(library, whole).batch(fresh)
    source = unrolled(found).curriculum.sources[2]
    among = source.batch(torch.arange(len(source.frames)))
    assert len(among) == len(fresh)
    with torch.no_grad():
        memory = library.memory
        rules = Rules.of(library.core, memory, may_call(memory))
        (one,) = score(library.core, library.core.tables(memory), rules, [alone])
        (two,) = score(library.core, library.core.tables(found.memory), found.supervision.rules, [among])
    torch.testing.assert_close(one.nll_B, two.nll_B, rtol=1e-4, atol=1e-4)
    assert torch.equal(one.wrong_B, two.wrong_B)


def test_new_rows_of_every_start_see_what_their_frames_need() -> None:
    found = search(starts=3)
    library = Library(found.core, found.memory, [])
    for start in range(3):
        assert names_seen(library, 8 + 2 * start) == {"last(P)"}
        assert names_seen(library, 9 + 2 * start) == {"state"}


def test_new_rows_of_every_start_see_in_each_place_what_their_text_reads_there() -> None:
    """RUN looks before and after its one call; TURN makes two calls, and never looks."""
    found = search(starts=3, states=FORCED)
    library, codes = Library(found.core, found.memory, []), forced(found).codes
    for start in range(3):
        run, back = 8 + 2 * start, 9 + 2 * start
        assert [names_seen(library, run, code) for code in codes[run].values()] == [{"state", "last(P)"}] * 2
        assert [names_seen(library, back, code) for code in codes[back].values()] == [{"state"}] * 3
        for row in (run, back):
            assert all(not names_seen(library, row, code) for code in range(9) if code not in codes[row].values())
    assert all(list(codes[row].values()) == [*range(len(codes[row]))] for row in range(8, 14))


def test_only_frames_of_new_programs_are_learned_from() -> None:
    found = search(starts=2)
    rows = {int(r) for s in unrolled(found).curriculum.sources for r in s.frames.program_M}
    assert rows == {8, 9, 10, 11} == set(forced(search(starts=2, states=FORCED)).row_E.tolist())
    names = {i.name for i in found.memory.infos[8:]}
    assert names == {f"turn.{n} (start {s})" for n in ("RUN", "TURN") for s in (0, 1)}


@BOTH
def test_frames_of_failed_problems_keep_what_is_known_about_errors(states: str) -> None:
    """A start that has every frame right and fails its tasks keeps its errors, so its share of the frames stays."""
    found = search(starts=2, states=states)
    before = {row: 0.01 * row for row in found.supervision.errors}
    if isinstance(found.supervision, ForcedStates):
        found.supervision.errors = dict(before)
    else:
        for group in unrolled(found).curriculum.groups:
            group.error = before[group.row]
    assert not found._validated(0, 1)  # untrained rows solve nothing
    assert len(found.frames) == 2
    assert found.supervision.errors == before
    if states == LEARNED:
        assert len(unrolled(found).curriculum.sources) == 2 * 2


# --- seeds and files --------------------------------------------------------------------------------------------------


@BOTH
def test_the_same_seed_gives_the_same_rows_and_nothing_touches_the_global_generator(states: str) -> None:
    def rows(seed: int) -> str:
        library = trained()
        config = replace(SHORT, seed=seed, rate=0.05, states=states)
        learn(library, [dataset(turn())], config, keep_unsolved=True)
        return library.rows_digest()

    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one = rows(0)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert rows(0) == one
    assert rows(1) != one


def test_learning_into_a_folder(tmp_path: Path) -> None:
    for name, text in (("strip.npi", STRIP), ("turn.npi", TURN)):
        (tmp_path / name).write_text(text)
    trained().save(tmp_path / "library")
    before = (tmp_path / "library" / "manifest.json").read_bytes()
    found = learn_into(tmp_path / "library", [tmp_path / "turn.npi"], config=SHORT, device="cpu")
    assert not found.solved
    assert (tmp_path / "library" / "manifest.json").read_bytes() == before
    found = learn_into(tmp_path / "library", [tmp_path / "turn.npi"], config=CONFIG, device="cpu", out=tmp_path / "new")
    assert found.solved
    assert (tmp_path / "library" / "manifest.json").read_bytes() == before
    old, new = Library.open(tmp_path / "library"), Library.open(tmp_path / "new")
    assert new.core.digest() == old.core.digest()
    assert new.rows_digest(len(old.memory)) == old.rows_digest()
    assert list(new.tasks()) == ["strip.both", "turn.turn"]
    assert new.history[-1]["learned"] == ["turn.RUN", "turn.TURN"]
    (core,) = (tmp_path / "library").glob("core-*")
    assert (tmp_path / "new" / core.name).read_bytes() == core.read_bytes()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_learning_on_cuda() -> None:
    library = trained()
    library.core.to("cuda")
    library.memory.to("cuda")
    found = learn(library, [dataset(turn())], CONFIG)
    assert found.solved
    assert found.unchanged
