"""Libraries of different cores in one folder: each is as it was, one answers for each name, what is wrong is told."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import npi
from envs.support.plugins import offered
from npi.cli.console import check_folder
from npi.jobs.members import member_to_learn
from npi.learners import interface as registry
from npi.learners.interface import register_learner
from npi.library import members as module
from npi.library import operations
from npi.library.collection import Collection, combined
from npi.library.index import listing, listings
from npi.library.library import Library, LibraryError
from npi.library.manifest import is_collection, vacant
from npi.library.members import Member, apportioned, libraries_below, located, members, settled
from npi.library.operations import RowFile
from tests.support.clear import clear, proved
from tests.support.forks import forked, killed
from tests.support.learned_tools import callers, players
from tests.support.operation_helpers import file_of, grown
from tests.support.small_collections import (
    KINDS,
    LEARNERS,
    collection_of,
    fingerprint_of,
    library_of,
    readings_of,
)
from tests.support.tape_programs import contents
from tests.support.tiny import LSTM, SMALL, strip, tape, untrained
from tests.support.tiny_learner import LEARNER
from tests.support.universal_helpers import SWAP

RUN = {
    "discrete": ("strip.both", "turn.turn", "twist.twist"),
    "lstm": ("tape.erase",),
    "universal": ("fruit.swap",),
    "few-shot": (),
    "black-box": ("plain.plain",),
    "optimiser": ("quadratic.quadratic",),
}
"""Tasks of each that are run here; drawing alphabets for the few-shot core takes half a minute."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of every kind of core; tests leave it as it is."""
    place = tmp_path_factory.mktemp("collection") / "tools"
    collection_of(*KINDS).save(place)
    return place


# --- what members share ----------------------------------------------------------------------------------------------


def test_a_core_is_stored_once_however_many_host_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A learner's library as a member, and inside of another one that calls its programs."""
    monkeypatch.setattr(registry, "_REGISTERED", {})
    register_learner(LEARNER)
    place, one, two = tmp_path / "tools", callers(), players()
    for library, name in ((one, "callers"), (two, "players")):
        library.save(tmp_path / name)
    combined([one, two]).save(place)
    cores = list(place.rglob("core-*"))
    assert [path.parent for path in cores] == [place, place]
    alone = sum(path.stat().st_size for name in ("callers", "players") for path in (tmp_path / name).rglob("core-*"))
    host = next((tmp_path / "players").glob("core-*")).stat().st_size
    assert sum(path.stat().st_size for path in cores) == alone - host
    for library, name in ((one, "callers"), (two, "players")):
        found = Library.open(place, core=library.member().label)
        found.save(tmp_path / f"{name} again")
        assert contents(tmp_path / f"{name} again") == contents(tmp_path / name)
    assert npi.run("desk.both", {"episode": 4}, library=place).events == npi.run(
        "desk.both", {"episode": 4}, library=tmp_path / "callers"
    ).events  # fmt: skip
    Collection.open(place).without(two.core.digest()).save(place)
    assert len([*place.rglob("core-*")]) == 2  # the host's is still named
    shutil.rmtree(place)
    combined([two, grown("turn")]).save(place)
    assert len([*place.rglob("core-*")]) == 2


def test_a_collection_whose_members_have_their_cores_inside_is_read(small: Path) -> None:
    """As collections were written before cores lay beside members; a save brings them there."""
    after, opened = contents(small), Collection.open(small)
    for library in opened.libraries:
        library.contents().write(small / library.contents().member_folder)
    for core in small.glob("core-*"):
        core.unlink()
    assert len([*small.rglob("core-*")]) == 2
    assert (
        npi.run("turn", ["1,0"], library=small, steps=50).steps
        == npi.run("turn", ["1,0"], library=opened, steps=50).steps
    )
    Collection.open(small).save(small)
    assert contents(small) == after


def test_libraries_below_a_folder(small: Path, tmp_path: Path) -> None:
    """Hosts, members, states of trainings and other folders are none."""
    for name in ("work/b", "work/a/deep", "work/one.training"):
        _saved(grown("turn"), tmp_path / name)
    (tmp_path / "work" / "notes").mkdir()
    (tmp_path / "work" / "notes" / "manifest.json").write_text("{}")
    assert libraries_below(tmp_path / "work") == [tmp_path / "work" / "a" / "deep", tmp_path / "work" / "b"]
    assert libraries_below(small) == [small]


def _saved(library: Library, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    library.save(folder)


# --- each is as it was ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_member_puts_out_is_bit_identical(made: Path, kind: str) -> None:
    """Second way: the library by itself, which was never in a collection."""
    own, found = library_of(kind), Library.open(made, core=kind)
    assert (found.core.digest(), found.rows_digest()) == (own.core.digest(), own.rows_digest())
    assert found.memory.infos == own.memory.infos
    assert fingerprint_of(found) == fingerprint_of(own)
    assert readings_of(found, RUN[kind]) == readings_of(own, RUN[kind])
    assert [one.digest for one in found.sets] == [one.digest for one in own.sets]
    assert found.history == own.history


@pytest.fixture(scope="module")
def learners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of every kind of learner of which no core comes with the engine."""
    place = tmp_path_factory.mktemp("learners") / "tools"
    collection_of(*LEARNERS).save(place)
    return place


@pytest.mark.parametrize("kind", LEARNERS)
def test_what_a_learners_member_puts_out_is_bit_identical(learners: Path, kind: str) -> None:
    """Second way: the library by itself. Tasks that need recordings, or alphabets drawn, are not run."""
    own, found = library_of(kind), Library.open(learners, core=kind)
    assert (found.core.digest(), found.rows_digest()) == (own.core.digest(), own.rows_digest())
    assert fingerprint_of(found) == fingerprint_of(own)
    tasks = [] if kind in ("memory", "wavenet", "wavernn") else list(own.tasks())[:1]
    assert readings_of(found, tasks) == readings_of(own, tasks)


def test_every_kind_of_learner_is_in_a_collection_here() -> None:
    assert {*KINDS, *LEARNERS} >= {*offered(registry.GROUP)}


def test_every_program_and_task_is_there_once(made: Path) -> None:
    own = {name: library_of(kind).core.digest() for kind in KINDS for name in library_of(kind).tasks()}
    opened = Collection.open(made)
    assert {name: library.core.digest() for name in own for library in [opened.library(task=name)]} == own
    assert opened.tasks().keys() == own.keys()
    programs = [card.name for one in listings(made) for card in one.programs]
    assert sorted(programs) == sorted(
        info.name for kind in KINDS for info in library_of(kind).memory.infos if not info.primitive
    )
    for name in programs:
        assert listing(made, program=name).core == located(made, program=name).core
    assert [task.name for _, task in (opened.task("swap"), opened.task("fruit.swap"))] == ["swap", "swap"]


def test_a_collection_written_twice_is_the_same_bytes(made: Path, tmp_path: Path) -> None:
    Collection.open(made).save(tmp_path / "other")
    assert contents(tmp_path / "other") == contents(made)
    before = contents(made)
    Collection.open(made).save(made)
    assert contents(made) == before


def test_run_and_evaluate_take_the_member_that_has_the_task(made: Path) -> None:
    own = library_of("discrete")
    for library in (made, str(made), Collection.open(made)):
        assert npi.run("both", ["1,0,2"], library=library, steps=50).events == npi.run(
            "both", ["1,0,2"], library=own, steps=50
        ).events  # fmt: skip
    scores = npi.evaluate(["turn", "twist"], library=made, sizes=[3], count=5, steps=50)
    assert [replace(one, seconds=0) for one in scores] == [
        replace(one, seconds=0)
        for one in npi.evaluate(["turn.turn", "twist.twist"], library=own, sizes=[3], count=5, steps=50)
    ]
    (score,) = npi.evaluate(["quadratic"], library=made, count=4)
    (alone,) = npi.evaluate(["quadratic"], library=library_of("optimiser"), count=4)
    assert score.scores == alone.scores
    with pytest.raises(ValueError, match="some of these tasks are of learners' cores"):
        npi.evaluate(["turn", "quadratic"], library=made)
    with pytest.raises(LibraryError, match=r"has no task 'trun'; did you mean 'turn'"):
        npi.run("trun", library=made)


def test_python_functions_take_the_member_that_is_meant(tmp_path: Path) -> None:
    place, lstm = tmp_path / "tools", untrained(LSTM, strip(), tape())
    combined([proved(), library_of("universal"), lstm]).save(place)
    (program,) = (one.name for one in clear().programs[:1])
    assert [one.proved for one in npi.certify(place, [program], out=tmp_path / "it")][:1] == [True]
    assert not any(finding.fault for finding in npi.check_certificate(tmp_path / "it", place))
    (tmp_path / "cards.npi").write_text(SWAP.format(name="cards", values='"one" or "two"'))
    learned = npi.learn(place, [tmp_path / "cards.npi"])
    assert learned.solved
    assert Library.open(place, program="cards.SWAP").core.digest() == library_of("universal").core.digest()
    assert npi.run("cards.swap", ["two,one"], library=place).right
    for refused in (npi.certify, npi.compile):
        with pytest.raises(LibraryError, match="collection of libraries with different cores"):
            refused(place)
    with pytest.raises(LibraryError, match="no core that begins with 'gru'"):
        npi.learn(place, [tmp_path / "cards.npi"], core="gru")
    compiled = npi.compile(Library.open(place, core="universal"), out=tmp_path / "all.npic")
    assert "cards.swap" in compiled.tasks()


def test_a_member_is_chosen_by_its_core(made: Path) -> None:
    labels = [one.label for one in members(made)]
    assert [label.rpartition("-")[0] for label in labels] == [*KINDS]
    for kind, label in zip(KINDS, labels, strict=True):
        digest = library_of(kind).core.digest()
        for word in (kind, label, digest, digest[:9]):
            assert Library.open(made, core=word).core.digest() == digest
    for word in ("discret-", "", "tools"):
        with pytest.raises(LibraryError, match="has no core that begins"):
            Library.open(made, core=word)
    with pytest.raises(LibraryError, match=r"several cores that begin with '[0-9a-f]'"):
        Library.open(
            made, core=next(d for d in "0123456789abcdef" if sum(one.core[0] == d for one in members(made)) > 1)
        )
    with pytest.raises(LibraryError, match=f"collection of libraries with different cores .*{labels[0]}, .*--core"):
        Library.open(made)
    with pytest.raises(LibraryError, match=r"turn.TURN and fruit.SWAP are of different members"):
        Library.open(made, program=["turn.TURN", "fruit.SWAP"])


def test_a_library_is_chosen_from_as_it_is(tmp_path: Path) -> None:
    untrained(SMALL, strip()).save(tmp_path / "one")
    assert Library.open(tmp_path / "one", task="nothing").core.config == SMALL
    with pytest.raises(LibraryError, match="has no core that begins with 'lstm'; it has discrete-"):
        Library.open(tmp_path / "one", core="lstm")
    (found,) = apportioned(tmp_path / "one", ["both"])
    assert found[1] == ["both"]
    assert Collection.open(tmp_path / "one").yields == [()]


# --- names that several have ------------------------------------------------------------------------------------------


def test_a_name_in_two_members_is_refused_with_both_and_what_to_do() -> None:
    """Also where both have the same program file: one core each was trained on it."""
    one, two = untrained(SMALL, strip()), untrained(LSTM, strip())
    assert one.sets[0].digest == two.sets[0].digest
    with pytest.raises(LibraryError, match=r"strip.MOVE \(and .*discrete-.*lstm-.*--prefer first or second.*rename"):
        combined([one, two])


@pytest.mark.parametrize("prefer", ["first", "second"])
def test_the_preferred_member_answers_and_the_other_still_runs_its_own(tmp_path: Path, prefer: Any) -> None:
    """A program that calls one whose name another member answers for calls its own, as before."""
    one, two = grown("turn"), untrained(LSTM, strip(), tape())
    combined([one, two], prefer=prefer).save(tmp_path / "tools")
    chosen, other = (one, two) if prefer == "first" else (two, one)
    assert Library.open(tmp_path / "tools", task="both").core.digest() == chosen.core.digest()
    assert Library.open(tmp_path / "tools", program="HOME").core.digest() == chosen.core.digest()
    found = {label.partition("-")[0]: member for member in members(tmp_path / "tools") for label in [member.label]}
    left = found[other.core.config.kind].yields
    assert {"strip.HOME", "strip.both"} <= set(left)
    assert not found[chosen.core.config.kind].yields
    assert fingerprint_of(Library.open(tmp_path / "tools", task="turn")) == fingerprint_of(one)
    assert fingerprint_of(Library.open(tmp_path / "tools", task="erase")) == fingerprint_of(two)
    hidden = Library.open(tmp_path / "tools", core=other.core.config.kind)
    assert readings_of(hidden, ["strip.both"]) == readings_of(other, ["strip.both"])
    names = [name for _, mine in apportioned(tmp_path / "tools") for name in mine]
    assert len(names) == len(set(names))


def test_a_program_that_a_host_runs_is_no_second_one_of_its_name() -> None:
    """A discrete core has a row for it as for whatever its texts name, and never computes it."""
    row = grown("turn").memory.infos[-1]
    mine = Member.of(Path("a"), "discrete", "0" * 64, rows=[row], hosted=[], files=[("x.npi", ["go"])])
    hosted = Member.of(Path("a"), "discrete", "0" * 64, rows=[row], hosted=[row], files=[("x.npi", ["go"])])
    assert (mine.names, hosted.names) == (("turn.TURN", "x.go"), ("x.go",))
    other = Member.of(Path("b"), "tiny", "1" * 64, rows=[row], hosted=[], files=[])
    assert [one.yields for one in settled([hosted, other])] == [(), ()]
    with pytest.raises(LibraryError, match=r"turn.TURN stands in two libraries"):
        settled([mine, other])


def test_what_would_clash_is_refused_before_anything_is_learned(tmp_path: Path) -> None:
    combined([grown("turn"), library_of("universal")]).save(tmp_path)
    with pytest.raises(LibraryError, match=r"strip.MOVE \(and .*stands in two libraries"):
        member_to_learn(tmp_path, [strip()], core="universal")
    assert member_to_learn(tmp_path, [file_of("twist")], core="discrete").core.config == SMALL


def named(kind: str, *names: str, yields: tuple[str, ...] = ()) -> Member:
    return Member(Path(kind), kind, f"{len(kind):064x}", names, (), yields)


@pytest.mark.parametrize(
    ("there", "prefer", "left"),
    [
        ([named("a", "x", "y"), named("bb", "z")], None, [(), ()]),
        ([named("a", "x", "y"), named("bb", "y", "x")], "first", [(), ("y", "x")]),
        ([named("a", "x", "y"), named("bb", "y"), named("ccc", "y")], "second", [("y",), ("y",), ()]),
        ([named("a", "x", yields=("x",)), named("bb", "x")], None, [("x",), ()]),
        ([named("a", "x", yields=("x",)), named("bb", "z")], None, [(), ()]),  # the one that answered is gone
        ([named("a", "x", yields=("x",)), named("bb", "x", yields=("x",))], None, [(), ("x",)]),
        ([named("a", "x", yields=("x",)), named("bb", "x"), named("ccc", "x")], "first", [("x",), (), ("x",)]),
    ],
)
def test_of_each_name_one_member_answers(there: list[Member], prefer: Any, left: list[tuple[str, ...]]) -> None:
    assert [one.yields for one in settled(there, prefer)] == left


def test_members_of_one_core_become_one(tmp_path: Path) -> None:
    """Second way: the merge of the two libraries alone."""
    alone = operations.merge(grown("turn"), grown("twist", seed=1)).library
    tools = combined([collection_of("lstm", "discrete"), grown("twist", seed=1)], prefer="first")
    again = combined([grown("turn"), library_of("lstm"), grown("twist", seed=1)])
    assert len(tools.libraries) == len(again.libraries) == 2
    merged = again.library(task="turn")
    assert merged.rows_digest() == alone.rows_digest()
    assert merged.memory.infos == alone.memory.infos
    again.save(tmp_path / "tools")
    assert readings_of(Library.open(tmp_path / "tools", task="twist"), ["turn", "twist"]) == readings_of(
        alone, ["turn", "twist"]
    )
    with pytest.raises(LibraryError, match="both libraries have other rows of one name"):
        combined([collection_of("lstm", "discrete"), grown("turn", seed=1)])


def test_without_a_member_its_names_are_others_again(small: Path) -> None:
    tools = combined([Collection.open(small), collection_of("universal")])
    clash = combined([tools, untrained(replace(LSTM, hidden=25), tape(), strip())], prefer="first")
    assert [bool(names) for names in clash.yields] == [False, False, False, True]
    left = clash.without(clash.libraries[0].core.digest())
    assert left.library(task="both").core.digest() == clash.libraries[3].core.digest()
    assert "tape.ERASE" in left.yields[2]
    with pytest.raises(LibraryError, match="one member at least"):
        combined([grown()]).without(grown().core.digest())


# --- changes ----------------------------------------------------------------------------------------------------------


def test_a_library_saved_to_a_collection_replaces_its_member(small: Path) -> None:
    lstm = fingerprint_of(Library.open(small, core="lstm"))
    library = Library.open(small, task="turn")
    file = operations.pack(grown("twist"), ["TWIST"])
    operations.add(library, [file]).library.save(small)
    assert is_collection(small)
    assert fingerprint_of(Library.open(small, core="lstm")) == lstm
    found = Library.open(small, task="twist")
    assert found.rows_digest() == operations.add(grown("turn"), [file]).library.rows_digest()
    assert len([*small.glob("member-*")]) == 2
    with pytest.raises(LibraryError, match="another process has changed"):
        library.save(small)
    with pytest.raises(LibraryError, match=r"without a member of core discrete-.*npi library merge"):
        untrained(SMALL, strip(), seed=4).save(small)
    clash = untrained(LSTM, tape())
    clash.keep_files([strip()])
    with pytest.raises(LibraryError, match=r"strip.both stands in two libraries"):
        clash.save(small)
    assert len([*small.glob("member-*")]) == 2
    (place, _) = small.glob("member-*")
    with pytest.raises(LibraryError, match="is a member of a collection; save to the collection's folder"):
        Library.open(place).save(place)


def test_two_that_change_different_members_lose_nothing(small: Path) -> None:
    one, two = Library.open(small, task="turn"), Library.open(small, task="erase")
    operations.add(one, [operations.pack(grown("twist"), ["TWIST"])]).library.save(small)
    two.history.append({"note": "changed"})
    two.save(small)
    assert {"twist.twist", "tape.erase"} <= Collection.open(small).tasks().keys()
    assert Library.open(small, task="erase").history[-1] == {"note": "changed"}
    stale = Collection.open(small)
    two.history.append({"note": "again"})
    two.save(small)
    with pytest.raises(LibraryError, match=r"another process has changed .* since this collection was read"):
        stale.save(small)


def test_processes_side_by_side_are_all_heard(small: Path, tmp_path: Path) -> None:
    """One adds rows to one member, the other writes the other one, at once."""
    operations.pack(grown("twist"), ["TWIST"]).save(tmp_path / "twist.npirow")

    def both(number: int) -> None:
        library = Library.open(small, core=("discrete", "lstm")[number])
        if number:
            library.history.append({"note": "here"})
            library.save(small)
        else:
            operations.add(library, [RowFile.open(tmp_path / "twist.npirow")]).library.save(small)

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(lambda number: forked(lambda: both(number)), (0, 1))) == [0, 0]
    assert "twist.twist" in Collection.open(small).tasks()
    assert Library.open(small, core="lstm").history[-1:] == [{"note": "here"}]


@pytest.mark.parametrize("read", [lambda place: Library.open(place, core="discrete"), listings, Collection.open])
def test_a_reader_sees_one_state_whole(small: Path, monkeypatch: pytest.MonkeyPatch, read: Callable) -> None:
    """A member is replaced whenever a manifest has been read, so that its folder is gone; red without a second look."""
    real, left = module.read_manifest, [3]

    def replaced(place: Path) -> Any:
        found = real(place)
        if left[0]:
            left[0] -= 1
            with monkeypatch.context() as undone:
                undone.setattr(module, "read_manifest", real)
                library = Library.open(small, core="discrete")
                library.history.append({"turn": left[0]})
                library.save(small)
        return found

    monkeypatch.setattr(module, "read_manifest", replaced)
    read(small)
    assert left == [0]
    assert Library.open(small, core="discrete").history[-1] == {"turn": 0}


def test_a_kill_at_any_file_operation_of_a_save(tmp_path: Path) -> None:
    """Of a whole collection, and of one member in it: what was or what is, and nothing is left in the way."""
    place, kills = tmp_path / "tools", 0
    old, new = combined([grown("turn"), library_of("lstm")]), combined([grown("turn"), library_of("universal")])
    new.save(tmp_path / "meant")
    for one in (old, new):
        one.origin = None
    for _ in killed(lambda: new.save(place), step=5):
        kills += 1
        check_folder(place, collection=True)
        assert vacant(place) or {"turn.turn", "fruit.swap"} <= Collection.open(place).tasks().keys()
    assert contents(place) == contents(tmp_path / "meant")
    old.save(place)
    before, member = contents(place), grown("turn", "twist")
    for _ in killed(lambda: member.save(place), step=3):
        kills += 1
        tasks = Collection.open(place).tasks().keys()
        assert {"turn.turn", "tape.erase"} <= tasks
        if "twist.twist" not in tasks:
            Collection.open(place).save(place)
            assert contents(place) == before
    assert "twist.twist" in Collection.open(place).tasks()
    assert len([*place.iterdir()]) == 5  # the manifest, two members, and their two cores beside them
    assert kills > 8


def test_a_library_gives_way_to_a_collection_and_back(tmp_path: Path) -> None:
    place = tmp_path / "tools"
    grown("turn").save(place)
    combined([grown("turn"), library_of("lstm")]).save(place)
    assert {path.name.partition("-")[0] for path in place.iterdir()} == {"manifest.json", "member", "core"}
    check_folder(place, collection=True)
    with pytest.raises(ValueError, match="is a collection of several libraries; name another folder"):
        check_folder(place)
    with pytest.raises(LibraryError, match="is a collection of several libraries"):
        npi.train([strip()], out=place, core=SMALL, training=npi.TrainConfig(updates=1))
