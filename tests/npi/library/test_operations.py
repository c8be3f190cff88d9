"""Rows that go from library to library: nothing else changes, and nothing can call what it could not call before."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dsl import loads
from envs.stepper import Observation
from npi.core.recurrent import may_call
from npi.library import operations
from npi.library.kinds import fingerprint
from npi.library.library import Library, LibraryError, check_texts
from npi.library.program_files import held_in
from npi.library.row_file import RowFile
from npi.recurrent import learn
from npi.training.dataset import Dataset
from npi.training.learn_rows import new_rows
from tests.support.operation_helpers import file_of, grown, hasty, of, versions_of
from tests.support.tiny import LSTM, SMALL, configurations, strip, untrained


def generations(library: Library) -> dict[str, int]:
    """Of learned packs, by the file that their rows are named after."""
    return {i.name.partition(".")[0]: i.generation for i in library.memory.infos if i.generation}


def callable_pairs(library: Library) -> set[tuple[str, str]]:
    names = [info.name for info in library.memory.infos]
    return {(names[p], names[q]) for p, q in may_call(library.memory).nonzero().tolist()}


def outputs(library: Library, name: str) -> list[torch.Tensor]:
    """What the core decides in 300 random configurations of a file's programs."""
    table = (strip() if name == "strip" else file_of(name)).table
    obs, program, arguments = configurations(table, 300, generator=torch.Generator().manual_seed(3))
    hidden = torch.randint(9, (300, 1), generator=torch.Generator().manual_seed(4))
    found = library.stepper(table, memo=False).step(Observation(obs), program, arguments, hidden)
    return [found.call_B4, found.hidden_BH]


def same_outputs(one: Library, two: Library, names: Sequence[str]) -> bool:
    return all(torch.equal(a, b) for n in names for a, b in zip(outputs(one, n), outputs(two, n), strict=True))


def rows_of(library: Library, names: Sequence[str]) -> list[int]:
    return [place for place, info in enumerate(library.memory.infos) if info.name.partition(".")[0] in names]


def through_a_file(library: Library, tmp_path: Path, *programs: str, alone: bool = False) -> RowFile:
    operations.pack(library, programs, alone=alone).save(tmp_path / "rows.npirow")
    return RowFile.open(tmp_path / "rows.npirow")


# --- out and in again -------------------------------------------------------------------------------------------------


def test_a_row_file_holds_all_that_is_known(tmp_path: Path) -> None:
    library = grown("turn")
    found = through_a_file(library, tmp_path, "TURN")
    (pack,) = found.packages
    assert found.core == library.core.digest()
    assert pack.names == ("turn.RUN", "turn.TURN")
    assert pack.entry == {"learned": ["turn.RUN", "turn.TURN"], "seed": 0, "updates": 1}
    assert set(pack.needs) == {
        f"strip.{n}" for n in "MOVE SCAN HOME STAY ROUND ZERO BOTH".split()
    }  # fmt: skip
    assert [held.programs.digest for held in pack.texts] == [file_of("turn").digest]
    for name, part in library.memory.named_parameters():
        assert torch.equal(pack.parameters[name], part[8:]), name
    assert [(i.signature, i.source) for i in pack.infos] == [(i.signature, i.source) for i in library.memory.infos[8:]]
    operations.pack(library, ["RUN"]).save(tmp_path / "again.npirow")
    assert (tmp_path / "again.npirow").read_bytes() == (tmp_path / "rows.npirow").read_bytes()


@pytest.mark.parametrize("name", ["turn", "twist", "again"])
def test_removed_and_added_again_it_is_the_same_to_the_bit(tmp_path: Path, name: str) -> None:
    """The first, the middle and the last of three packs; ``again`` calls ``turn``, which goes and comes with it."""
    library = grown("turn", "twist", "again")
    assert generations(library) == {"turn": 1, "twist": 2, "again": 3}
    file = through_a_file(library, tmp_path, *(["again.AGAIN"] if name != "twist" else ["TWIST"]))
    less = operations.remove(library, [f"{name}.{name.upper()}"], with_callers=True)
    gone = {"turn": ("turn", "again"), "twist": ("twist",), "again": ("again",)}[name]
    assert {n.partition(".")[0] for n in less.removed} == set(gone)
    left = [n for n in ("strip", "turn", "twist", "again") if n not in gone]
    assert [held.stem for held in held_in(less.library.sets)] == left
    assert same_outputs(less.library, library, left)
    back = operations.add(less.library, [file])
    assert back.library.rows_digest() == library.rows_digest()
    assert back.library.memory.infos == library.memory.infos
    assert set(back.library.tasks()) == set(library.tasks())
    assert same_outputs(back.library, library, ["strip", "turn", "twist", "again"])
    every = range(len(library.memory))
    assert fingerprint(library.core, back.library.memory, every) == fingerprint(library.core, library.memory, every)


@pytest.mark.parametrize("config", [SMALL, LSTM], ids=["discrete", "lstm"])
def test_old_rows_and_their_outputs_stay_to_the_bit(config) -> None:
    one, two = untrained(config), untrained(config)
    learn(one, [of("turn")], hasty(), keep_unsolved=True)
    learn(two, [of("twist")], hasty(1), keep_unsolved=True)
    before, count, core = copy.deepcopy(one), len(one.memory), one.core.digest()
    found = operations.add(one, [operations.pack(two, ["TWIST"])])
    assert found.library.memory.infos[:count] == before.memory.infos
    for name, part in before.memory.named_parameters():
        assert torch.equal(getattr(found.library.memory, name)[:count], part), name
    assert one.rows_digest() == before.rows_digest() == found.library.rows_digest(count) == found.rows
    assert found.core == core == found.library.core.digest()
    assert (
        found.outputs
        == fingerprint(before.core, before.memory, count)
        == fingerprint(one.core, found.library.memory, count)
    )
    new, theirs = rows_of(found.library, ["twist"]), rows_of(two, ["twist"])
    for name, part in two.memory.named_parameters():
        assert torch.equal(getattr(found.library.memory, name)[new], part[theirs]), name
    assert [i.name for i in one.memory.infos] == [i.name for i in before.memory.infos]  # it is left as it is


def test_what_is_there_already_is_left_alone(tmp_path: Path) -> None:
    library = grown("turn", "twist")
    found = operations.add(library, [through_a_file(library, tmp_path, "TURN", "TWIST")])
    assert (found.added, found.removed) == ((), ())
    assert found.there == ("turn.RUN", "turn.TURN", "twist.RUN", "twist.TWIST")
    assert found.library.history == library.history
    assert found.library.memory.infos == library.memory.infos


def test_two_files_may_have_programs_of_one_name() -> None:
    found = operations.add(grown("turn"), [operations.pack(grown("twist"), ["TWIST"])]).library
    names = [info.name for info in found.memory.infos]
    assert {"turn.RUN", "twist.RUN"} <= set(names)
    with pytest.raises(LibraryError, match=r"several programs are called RUN: turn.RUN, twist.RUN; give one with its"):
        operations.pack(found, ["RUN"])
    assert set(found.tasks()) == {"strip.both", "turn.turn", "twist.twist"}


# --- who may call whom ------------------------------------------------------------------------------------------------


def test_rows_of_two_people_may_not_call_each_other() -> None:
    """Both learned a first generation after the core's; with one number, or one above the other, a row could."""
    one, two = grown("turn"), grown("twist", seed=1)
    assert generations(one)["turn"] == generations(two)["twist"] == 1
    for found in (operations.merge(one, two).library, operations.merge(two, one).library):
        assert sorted(generations(found).values()) == [1, 2]
        pairs = callable_pairs(found)
        assert pairs == callable_pairs(one) | callable_pairs(two)
        assert not any({a.partition(".")[0], b.partition(".")[0]} == {"turn", "twist"} for a, b in pairs)


def test_a_later_row_that_uses_both_leaves_each_as_it_was() -> None:
    """In its table are both packs: a key of one that fits everything would come between the other and its calls."""
    merged = operations.merge(grown("turn"), grown("twist", seed=1)).library
    learn(merged, [of("both")], hasty(), keep_unsolved=True)
    table = file_of("both").table
    obs, program, arguments = configurations(table, 400, generator=torch.Generator().manual_seed(1))
    zero = torch.zeros(400, 1, dtype=torch.int64)
    with torch.no_grad():
        merged.core.end.bias.fill_(-1000)
        merged.memory.keys_NK[rows_of(merged, ["twist"])] = 1000 * merged.core.find.bias
    call = merged.stepper(table, memo=False).step(Observation(obs), program, arguments, zero).call_B4[:, 0]
    twist = {table.id("twist.RUN"), table.id("TWIST")}
    of_turn = (program == table.id("turn.RUN")) | (program == table.id("TURN"))
    assert not twist & set(call[of_turn].tolist())
    assert twist & set(call[program == table.id("both.BOTH")].tolist())
    assert merged.memory.infos[-1].sees == (0, 1, 2)


def test_what_was_learned_on_learned_rows_keeps_its_order() -> None:
    """The second library's chain is renumbered as a whole."""
    one, two = grown("twist"), grown("turn", "again", seed=1)
    found = operations.merge(one, two).library
    assert generations(found) == {"twist": 1, "turn": 2, "again": 3}
    assert {i.name: i.sees for i in found.memory.infos if i.generation} == {
        "twist.RUN": (0,), "twist.TWIST": (0,), "turn.RUN": (0,), "turn.TURN": (0,), "again.AGAIN": (0, 2)
    }  # fmt: skip
    assert callable_pairs(found) == callable_pairs(one) | callable_pairs(two)
    assert same_outputs(found, two, ["turn", "again"])
    assert same_outputs(found, one, ["strip", "twist"])


def test_rows_that_see_everything_before_them_see_nothing_that_comes_later() -> None:
    """As libraries say it that were written before rows named what they see; the numbers of what goes become free."""
    library = grown("turn", "twist", "both")
    library.memory.infos = tuple(replace(info, sees=None) for info in library.memory.infos)
    before = callable_pairs(library)
    assert ("twist.RUN", "turn.RUN") in before
    plain = operations.remove(library, ["both.BOTH"]).library
    assert callable_pairs(plain) == {p for p in before if "both.BOTH" not in p}
    less = operations.remove(plain, ["TURN"]).library  # twist sees it, and its file does not use it
    assert [i.sees for i in less.memory.infos if i.generation == 2] == [(0,), (0,)]
    found = operations.add(less, [operations.pack(grown("turn", seed=5), ["TURN"])]).library
    assert generations(found) == {"turn": 1, "twist": 2}
    assert not any({a.partition(".")[0], b.partition(".")[0]} == {"turn", "twist"} for a, b in callable_pairs(found))
    with pytest.raises(LibraryError, match=r"TURN cannot be removed: both.BOTH calls them"):
        operations.remove(library, ["TURN"])


def test_rows_see_what_their_files_use_and_no_more() -> None:
    library = grown("turn", "twist")
    (fresh,) = new_rows(library, [of("again")])
    assert (fresh.generation, fresh.sees) == (3, (0, 1))
    assert [info.sees for info in library.memory.infos[-2:]] == [(0,), (0,)]


def test_what_may_be_called_among_some_rows_is_a_part_of_all() -> None:
    library = grown("turn", "twist", "again")
    rows = torch.tensor([11, 0, 8, 12, 3])
    assert torch.equal(may_call(library.memory, rows), may_call(library.memory)[rows][:, rows])


def test_learning_beside_other_rows_comes_to_the_same_numbers() -> None:
    """A pack that the file does not use takes no part: to the bit what is learned without it."""
    near, far = grown(), grown("twist", seed=7)
    for library in (near, far):
        learn(library, [of("turn")], hasty(3), keep_unsolved=True)
    for name, part in near.memory.named_parameters():
        ours, theirs = part[rows_of(near, ["turn"])], getattr(far.memory, name)[rows_of(far, ["turn"])]
        assert torch.equal(ours, theirs), name
    assert same_outputs(near, far, ["strip", "turn"])


# --- packing ----------------------------------------------------------------------------------------------------------


def test_a_program_comes_with_what_it_calls_unless_alone(tmp_path: Path) -> None:
    library = grown("twist", "turn", "again")
    assert operations.pack(library, ["AGAIN"]).names == ("turn.RUN", "turn.TURN", "again.AGAIN")
    alone = through_a_file(library, tmp_path, "AGAIN", alone=True)
    assert alone.names == ("again.AGAIN",)
    with pytest.raises(LibraryError, match=r"again.AGAIN needs turn.RUN, turn.TURN, which the library does not have"):
        operations.add(grown("twist"), [alone])
    found = operations.add(grown("turn"), [alone])
    assert found.added == ("again.AGAIN",)
    assert same_outputs(found.library, library, ["again"])


def test_what_was_learned_from_traces_alone_travels_without_a_text(tmp_path: Path) -> None:
    library = untrained(SMALL)
    learn(library, [replace(of("turn"), programs=None, source="of traces")], hasty(), keep_unsolved=True)
    file = through_a_file(library, tmp_path, "TURN")
    (pack,) = file.packages
    assert pack.texts == ()
    assert set(pack.needs) == {info.name for info in library.memory.infos[1:8]}
    found = operations.add(untrained(SMALL), [file]).library
    assert found.rows_digest() == library.rows_digest()
    assert [held.stem for held in held_in(found.sets)] == ["strip"]
    assert same_outputs(found, library, ["turn"])
    with pytest.raises(LibraryError, match=r"RUN cannot be removed alone: turn.TURN was learned together with it"):
        operations.remove(found, ["RUN"])


def test_files_that_were_learned_at_once_are_one_pack() -> None:
    library = untrained(SMALL)
    learn(library, [of("turn"), of("twist")], hasty(), keep_unsolved=True)
    assert operations.pack(library, ["TWIST"]).names == ("turn.RUN", "turn.TURN", "twist.RUN", "twist.TWIST")
    with pytest.raises(LibraryError, match=r"TWIST cannot be removed alone: turn.RUN, turn.TURN were learned"):
        operations.remove(library, ["TWIST"])
    assert len(operations.remove(library, ["TWIST", "TURN"]).removed) == 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("strip.SCAN", "strip.SCAN was trained with the core itself.* only programs that were learned later can be"),
        ("TWRN", "has no program TWRN; did you mean TURN?"),
        ("turn.TRN", "has no program turn.TRN; did you mean turn.TURN?"),
        ("xyzzy", "has no program xyzzy; npi library list shows what there is"),
        ("ACT", "has no program ACT"),
    ],
)
def test_what_cannot_be_packed_or_removed(name: str, message: str) -> None:
    for work in (operations.pack, operations.remove):
        with pytest.raises(LibraryError, match=message):
            work(grown("turn"), [name])


# --- removing ---------------------------------------------------------------------------------------------------------


def test_what_others_call_stays_unless_they_go_too() -> None:
    library = grown("turn", "again")
    with pytest.raises(LibraryError, match=r"TURN cannot be removed: again.AGAIN calls them; .*--with-callers"):
        operations.remove(library, ["TURN"])
    with pytest.raises(LibraryError, match=r"RUN cannot be removed alone: turn.TURN calls it.*one pack"):
        operations.remove(grown("turn"), ["RUN"])
    assert operations.remove(grown("turn"), ["RUN"], with_callers=True).removed == ("turn.RUN", "turn.TURN")
    found = operations.remove(library, ["TURN"], with_callers=True)
    assert found.removed == ("turn.RUN", "turn.TURN", "again.AGAIN")
    assert found.library.rows_digest() == grown().rows_digest()
    assert found.library.history[-1] == {"removed": list(found.removed)}


def test_tasks_over_removed_programs_go_with_them() -> None:
    """A file without programs of its own, in which somebody tried others."""
    library = grown("turn")
    sources = [("strip.npi", grown().sets[0].sources[0][1]), *file_of("turn").sources[1:]]
    text = 'use "turn.npi"\n' + sources[1][1].partition("\n\ntask")[2].join(["\ntask", ""])
    tried = Dataset.from_programs(_load([*sources, ("tried.npi", text)]), traces=1, seed=0).programs
    library.sets.append(tried)
    assert "tried.turn" in library.tasks()
    assert set(operations.remove(library, ["TURN"]).library.tasks()) == {"strip.both"}
    assert set(operations.merge(grown("turn"), library).library.tasks()) == {"strip.both", "turn.turn", "tried.turn"}


def _load(sources):
    from traces.generation.generate import load_sources

    return load_sources(sources)


# --- other versions ---------------------------------------------------------------------------------------------------


def test_other_rows_of_a_name_are_refused_or_replaced() -> None:
    ours, theirs = grown("turn"), grown("turn", seed=1)
    file = operations.pack(theirs, ["TURN"])
    one, two = versions_of(ours)["turn.TURN"][:12], versions_of(theirs)["turn.TURN"][:12]
    with pytest.raises(LibraryError, match=rf"turn.TURN is there already, as version {one} \({two} in the.*--replace"):
        operations.add(ours, [file])
    found = operations.add(ours, [file], replace=True)
    assert found.added == found.removed == ("turn.RUN", "turn.TURN")
    assert found.library.rows_digest() == theirs.rows_digest()
    assert same_outputs(found.library, theirs, ["strip", "turn"])
    assert len(held_in(found.library.sets)) == 2


def test_rows_that_others_call_are_not_replaced() -> None:
    with pytest.raises(LibraryError, match=r"turn.RUN, turn.TURN cannot be replaced while again.AGAIN calls them"):
        operations.add(grown("turn", "again"), [operations.pack(grown("turn", seed=1), ["TURN"])], replace=True)


def test_rows_that_came_with_the_core_are_not_replaced() -> None:
    """A library whose core was trained with what another one learned."""
    file = operations.pack(grown("turn"), ["TURN"])
    library = untrained(SMALL, strip(), file_of("turn"))
    with pytest.raises(LibraryError, match="names that were trained with the core itself"):
        operations.add(library, [replace(file, core=library.core.digest())], replace=True)


def test_a_callee_of_other_numbers_is_named() -> None:
    file = operations.pack(grown("turn", "again"), ["AGAIN"], alone=True)
    with pytest.raises(LibraryError, match=r"AGAIN was learned with other numbers of turn.RUN, turn.TURN \(of turn"):
        operations.add(grown("turn", seed=1), [file])
    library = grown()
    with torch.no_grad():
        library.memory.keys_NK[3, 0] += 1
    with pytest.raises(LibraryError, match=r"TURN was learned with other numbers of strip.HOME \(of strip.HOME: "):
        operations.add(library, [operations.pack(grown("turn"), ["TURN"])])


def test_the_rows_of_the_core_must_be_the_same_also_where_they_are_not_called() -> None:
    more = loads(strip().sources[0][1] + '\nprogram EXTRA "Home":\n    HOME\n', path="strip.npi")
    library, file = untrained(SMALL, more), operations.pack(grown("turn"), ["TURN"])
    ours, theirs = library.memory.state_dict(), grown().memory.state_dict()
    with torch.no_grad():
        for name, part in theirs.items():
            ours[name][:8] = part
    with pytest.raises(LibraryError, match="the rows that were trained with the core are not those of this library"):
        operations.add(library, [replace(file, core=library.core.digest())])


def test_another_core_is_refused_with_both_hashes() -> None:
    other = untrained(SMALL, seed=1)
    file = operations.pack(grown("turn"), ["TURN"])
    with pytest.raises(LibraryError, match=f"for core {file.core}, and the library has core {other.core.digest()}"):
        operations.add(other, [file])
    with pytest.raises(LibraryError, match=f"different cores, {other.core.digest()} and {file.core}"):
        operations.merge(other, grown("turn"))


def test_a_text_that_says_otherwise_is_refused() -> None:
    """The same rows, and a used file that was changed since."""
    file, library = operations.pack(grown("turn"), ["TURN"]), grown()
    edited = strip().sources[0][1].replace("P != 0 and not last(P)", "not last(P) and P != 0")
    library.sets[0] = loads(edited, path="strip.npi")
    library.memory.infos = tuple(replace(i, source=library.sets[0].digest) for i in library.memory.infos)
    with pytest.raises(LibraryError, match=r"strip.ZERO has another text in .*turn.npi than in strip.npi"):
        operations.add(library, [file])
    check_texts(grown("turn", "twist", "again").sets)


def test_merging_libraries_with_other_rows_of_one_name() -> None:
    one, two = grown("turn", "twist"), grown("turn", "again", seed=1)
    a, b = (versions_of(library)["turn.TURN"][:12] for library in (one, two))
    with pytest.raises(LibraryError, match=rf"turn.TURN \({a} in the first, {b} in the second\); say --prefer"):
        operations.merge(one, two)
    with pytest.raises(LibraryError, match=r"again.AGAIN was learned with other numbers of turn.RUN, turn.TURN"):
        operations.merge(one, two, prefer="first")
    found = operations.merge(one, two, prefer="second")
    assert found.added == ("turn.RUN", "turn.TURN", "again.AGAIN")
    assert found.removed == ("turn.RUN", "turn.TURN")
    assert same_outputs(found.library, two, ["turn", "again"])
    assert same_outputs(found.library, one, ["strip", "twist"])
    kept = operations.merge(one, grown("turn", seed=1), prefer="first")
    assert kept.library.rows_digest() == one.rows_digest()
    with pytest.raises(LibraryError, match=r"turn.RUN, turn.TURN cannot be replaced while again.AGAIN calls them"):
        operations.merge(two, one, prefer="second")
