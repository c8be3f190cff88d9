"""The collection that comes with the engine: every program of it runs, as it does in the library that it was."""

from __future__ import annotations

import pytest

import npi
from envs.product import audible
from envs.speech import espeak
from npi.library.collection import Collection
from npi.library.examples import cards, shipped
from npi.library.library import Library
from tests.support.small_collections import fingerprint_of

TOOLS = shipped()["tools"]

MAX_BYTES = 6_000_000

CALLERS = ("announce.announce", "build.build", "clerk.clerk", "sortcards.sortcards", "tune.tune", "weigh.weigh")


@pytest.fixture(scope="module")
def tools() -> Collection:
    return Collection.open(TOOLS)


def test_it_is_as_large_as_its_card_says() -> None:
    size = sum(path.stat().st_size for path in TOOLS.rglob("*") if path.is_file())
    assert size < MAX_BYTES
    assert f"{size / 1e6:.1f} MB" in cards()[TOOLS]


@pytest.mark.parametrize("name", ["few_shot", "black_box", "optimisation"])
def test_what_also_comes_by_itself_puts_out_the_same(name: str, tools: Collection) -> None:
    """Second way: the library of its own. The collection's has more rows, which are left out."""
    own = Library.open(shipped()[name])
    found = next(one for one in tools.libraries if one.core.digest() == own.core.digest())
    more = found.memory.of(sorted({info.generation for info in own.memory.infos}))[1]
    assert [info.name for info in more.infos] == [info.name for info in own.memory.infos]
    found = Library(found.core, more, list(own.sets))
    assert fingerprint_of(found) == fingerprint_of(own)


def test_a_caller_hosts_rows_of_the_members(tools: Collection) -> None:
    """So another row of a member can stand in, and what a tool does is the same alone."""
    members = {one.core.digest(): one for one in tools.libraries}
    for name in CALLERS:
        for host in tools.library(task=name).hosts:
            mine = {info.name: row for info, row in zip(host.memory.infos, host.memory.embeddings_NP, strict=True)}
            there = members[host.core.digest()].memory
            known = [info.name for info in there.infos if info.name in mine]
            assert known
            assert all(mine[one].equal(there.embeddings_NP[there.index(one)]) for one in known)


def test_cores_are_there_once() -> None:
    files = [path.name for path in TOOLS.rglob("core-*")]
    assert len(files) == len({*files}) == len(Collection.open(TOOLS).libraries)


@pytest.mark.parametrize(
    ("task", "inputs"),
    [("add", ["96", "125"]), ("max", ["3,9,2"]), ("weigh", ["5"]), ("build", ["5", "a,c,b"]), ("heaviest", ["4"])],
)
def test_programs_run_to_the_right_end(task: str, inputs: list[str]) -> None:
    """Problems that the tools are right in; the callers' proofs hold for any answer."""
    assert npi.run(task, inputs, library=TOOLS).right


def test_every_task_has_a_member_and_callers_are_proved(tools: Collection) -> None:
    assert {*CALLERS, "voices.say_v04_f2", "harlow.pick", "puzzlebox.solve", "reaching.reaching"} <= {*tools.tasks()}
    for name in ("announce.ANNOUNCE", "clerk.CLERK", "sortcards.SORTCARDS", "weigh.WEIGH"):
        (proof,) = [one for one in npi.certify(TOOLS, [name]) if one.program == name]
        assert proof.proved


def test_a_sum_is_said_by_two_voices(tools: Collection) -> None:
    if not espeak.available():
        pytest.skip("espeak-ng's library is not installed")
    programs, _ = tools.task("announce")
    assert audible(programs.world)
    one, two = (
        npi.run("announce", {"a": 5, "b": 8}, library=TOOLS, rows=rows) for rows in ({}, {"SAY": "voices.V03_M2"})
    )
    assert (one.result, one.right) == (two.result, True)
    assert [run.heard[0].text for run in (one, two)] == ["1 3"] * 2
    assert one.heard[0].sound.sample_T.tobytes() != two.heard[0].sound.sample_T.tobytes()
