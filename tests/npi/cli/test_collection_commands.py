"""Commands on a collection: each takes the member that is meant, and says which there are where nothing tells."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from npi.learners import interface as registry
from npi.learners.interface import register_learner
from npi.library import operations
from npi.library.collection import Collection, combined
from npi.library.examples import shipped
from npi.library.library import Library
from npi.library.members import members
from tests.support.clear import clear, proved
from tests.support.learned_tools import arms, players
from tests.support.operation_helpers import TWIST, grown, versions_of
from tests.support.small_collections import fingerprint_of
from tests.support.tape_programs import contents, document, npi
from tests.support.tiny import LSTM, SMALL, STRIP, strip, tape, untrained
from tests.support.tiny_learner import LEARNER
from tests.support.universal_helpers import SWAP, taught


@pytest.fixture(autouse=True)
def learner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_REGISTERED", {})
    register_learner(LEARNER)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The libraries of which the collection is made, and the collection; tests leave them as they are."""
    folder = tmp_path_factory.mktemp("kept")
    registry._REGISTERED["tiny"] = LEARNER
    for name, library in PARTS.items():
        library().save(folder / name)
    combined([Library.open(folder / name) for name in PARTS]).save(folder / "tools")
    (folder / "strip.npi").write_text(STRIP)
    (folder / "twist.npi").write_text(TWIST)
    (folder / "cards.npi").write_text(SWAP.format(name="cards", values='"one" or "two"'))
    (folder / "third.npi").write_text(arms("THIRD"))
    del registry._REGISTERED["tiny"]
    return folder


PARTS = {
    "sorting": lambda: grown("turn"),
    "tape": lambda: untrained(LSTM, tape()),
    "all": lambda: taught("fruit"),
    "arms": players,
}


@pytest.fixture
def tools(kept: Path, tmp_path: Path) -> Path:
    """A copy, to be changed."""
    return Path(shutil.copytree(kept / "tools", tmp_path / "tools"))


def labels(place: Path) -> dict[str, str]:
    """The labels of the members, by the kinds of their cores."""
    return {one.kind: one.label for one in members(place)}


# --- merge, list, info, show ------------------------------------------------------------------------------------------


def test_merge_says_what_it_made(capsys: pytest.CaptureFixture[str], kept: Path, tmp_path: Path) -> None:
    before = contents(kept)
    words = ["library", "merge", *(kept / name for name in PARTS), "--out", tmp_path / "tools"]
    code, out, _ = npi(capsys, *words)
    assert code == 0
    lines = [line.split() for line in out.splitlines()[2:6]]
    assert lines == [
        [labels(kept / "tools")["discrete"], "9", "2"],
        [labels(kept / "tools")["lstm"], "2", "1"],
        [labels(kept / "tools")["universal"], "2", "1"],
        [labels(kept / "tools")["tiny"], "2", "2"],
    ]
    assert contents(tmp_path / "tools") == contents(kept / "tools")
    assert contents(kept) == before
    found = document(capsys, *words)
    assert [core["kind"] for core in found["cores"]] == ["discrete", "lstm", "universal", "tiny"]
    assert found["cores"][1]["tasks"] == ["tape.erase"]


def test_merge_into_a_collection(capsys: pytest.CaptureFixture[str], kept: Path, tools: Path, tmp_path: Path) -> None:
    """What was learned for one of its cores goes to that member; three libraries of one core are one."""
    grown("twist", seed=1).save(tmp_path / "twist")
    assert npi(capsys, "library", "merge", tools, tmp_path / "twist", "--out", tools)[0] == 0
    assert {"turn.turn", "twist.twist", "tape.erase"} <= Collection.open(tools).tasks().keys()
    words = [kept / "sorting", tmp_path / "twist", kept / "sorting", "--out", tmp_path / "one"]
    code, out, _ = npi(capsys, "library", "merge", *words)
    assert code == 0
    assert "added       twist.RUN, twist.TWIST" in out
    assert Library.open(tmp_path / "one").rows_digest() == Library.open(tools, core="discrete").rows_digest()
    code, _, err = npi(capsys, "library", "merge", *words[:2], "--out", tools)
    assert code == 2
    assert f"--out {tools} is a collection of several libraries" in err


def test_merge_takes_the_libraries_below_a_folder(
    capsys: pytest.CaptureFixture[str], kept: Path, tmp_path: Path
) -> None:
    """As those that npi reproduce keeps; states of trainings are left out, and a folder without any is refused."""
    for place, name in (("work/a", "sorting"), ("work/deep/b", "tape"), ("work/c.training", "sorting")):
        shutil.copytree(kept / name, tmp_path / place)
    assert npi(capsys, "library", "merge", tmp_path / "work", "--out", tmp_path / "all")[0] == 0
    npi(capsys, "library", "merge", kept / "sorting", kept / "tape", "--out", tmp_path / "both")
    assert contents(tmp_path / "all") == contents(tmp_path / "both")
    (tmp_path / "none" / "more").mkdir(parents=True)
    for place, said in ((tmp_path / "none", "there is no library in"), (kept / "sorting", "is one library, and there")):
        code, _, err = npi(capsys, "library", "merge", place, "--out", tmp_path / "new")
        assert (code, said in err) == (2, True), err
    assert not (tmp_path / "new").exists()


def test_what_comes_with_the_engine_is_known_by_its_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of that name goes before it."""
    monkeypatch.chdir(tmp_path)
    there = str(shipped()["few_shot"])
    assert document(capsys, "library", "list", "few_shot") == document(capsys, "library", "list", there)
    for words in (["info", "optimisation", "mlp.OPTIMISE"], ["diff", "black_box", "black_box"]):
        assert npi(capsys, "library", *words)[0] == 0
    assert npi(capsys, "library", "extract", "tools", "black-box", "--out", tmp_path / "searcher")[0] == 0
    assert npi(capsys, "library", "extract", "tools", "black-box", "--out", tmp_path / "it", "--remove")[0] == 2
    (tmp_path / "few_shot").mkdir()
    assert npi(capsys, "library", "list", "few_shot")[0] == 2


def test_list(capsys: pytest.CaptureFixture[str], kept: Path) -> None:
    place, label = kept / "tools", labels(kept / "tools")
    code, out, _ = npi(capsys, "library", "list", place)
    assert code == 0
    version = versions_of(grown("turn"))["turn.TURN"][:12]
    lines = [line.split() for line in out.splitlines()]
    assert ["turn.TURN", label["discrete"], version] in [line[:3] for line in lines]
    assert ["tape.ERASE", label["lstm"]] in [line[:2] for line in lines]
    assert ["arms.DRAW", label["tiny"]] in [line[:2] for line in lines]
    assert "15 programs, 4 cores" in out
    assert f"core {label['lstm']}: {untrained(LSTM, tape()).core.digest()}, " in out
    found = document(capsys, "library", "list", place, "--name", "er")
    assert [(row["name"], row["kind"]) for row in found["rows"]] == [
        (name, kind) for name, kind in (("strip.ZERO", "discrete"), ("tape.ERASE", "lstm"), ("arms.OTHER", "tiny"))
    ]
    assert found["rows"][1]["core"] == found["cores"][1]["core"] == untrained(LSTM, tape()).core.digest()
    assert "3 programs of 15, 4 cores" in npi(capsys, "library", "list", place, "--name", "er")[1]


def test_list_leaves_out_what_another_member_answers_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    combined([grown(), untrained(LSTM, strip(), tape())], prefer="second").save(tmp_path / "tools")
    rows = document(capsys, "library", "list", tmp_path / "tools")["rows"]
    assert {row["kind"] for row in rows} == {"lstm"}
    assert len(rows) == len({row["name"] for row in rows}) == 9
    words = ["library", "info", tmp_path / "tools", "HOME", "--json"]
    assert document(capsys, *words[:-1])["version"] == versions_of(untrained(LSTM, strip(), tape()))["strip.HOME"]
    hidden = document(capsys, *words[:-1], "--core", "discrete")
    assert hidden["version"] == versions_of(grown())["strip.HOME"]
    shown = document(capsys, "show", tmp_path / "tools")["members"]
    assert [len(one["programs"]) for one in shown] == [0, 9]


def test_info_and_show(capsys: pytest.CaptureFixture[str], kept: Path) -> None:
    out = npi(capsys, "library", "info", kept / "tools", "TURN")[1]
    assert f"core      {labels(kept / 'tools')['discrete']}\n" in out
    assert npi(capsys, "library", "info", kept / "sorting", "TURN")[1] in out.replace(
        f"  core      {labels(kept / 'tools')['discrete']}\n", ""
    )
    found = document(capsys, "show", kept / "tools")
    assert [one["core"] for one in found["members"]] == [one.core for one in members(kept / "tools")]
    out = npi(capsys, "show", kept / "tools")[1]
    assert f"{kept / 'tools'}: a collection of 4 libraries" in out
    assert all(f"  npi run {task} " in out for task in Collection.open(kept / "tools").tasks())


# --- one member taken -------------------------------------------------------------------------------------------------


def test_run_and_eval(capsys: pytest.CaptureFixture[str], kept: Path) -> None:
    words = ["run", "swap", "pear,apple", "--quiet"]
    alone, found = (npi(capsys, *words, "--library", kept / name) for name in ("all", "tools"))
    assert found[:2] == alone[:2]
    assert alone[0] == 0
    code, out, _ = npi(capsys, "eval", "swap", "arms.draw", "--library", kept / "tools", "--count", 4)
    assert code == 0
    assert {"fruit.swap", "arms.draw"} <= set(out.split())
    both = document(capsys, "eval", "swap", "arms.draw", "--library", kept / "tools", "--count", 4)
    (one,) = document(capsys, "eval", "arms.draw", "--library", kept / "arms", "--count", 4)
    assert both[0]["scores"] == one["scores"]
    assert both[1]["accuracy"] == 1
    every = document(capsys, "eval", "--library", kept / "tools", "--count", 2, code=1)
    names = {score["task"] for score in every}
    assert names == {"strip.both", "turn.turn", "tape.erase", "fruit.swap", "arms.draw", "arms.other"}
    core = document(capsys, "eval", "--library", kept / "tools", "--core", "universal", "--count", 1)
    assert {score["task"] for score in core} == {"fruit.swap"}


def test_pack_add_and_remove(capsys: pytest.CaptureFixture[str], kept: Path, tools: Path, tmp_path: Path) -> None:
    file = tmp_path / "turn.npirow"
    assert npi(capsys, "library", "pack", tools, "TURN", "--out", file)[0] == 0
    others = {one.kind: one.core for one in members(tools)}
    assert npi(capsys, "library", "remove", tools, "TURN")[0] == 0
    assert "turn.turn" not in Collection.open(tools).tasks()
    code, out, _ = npi(capsys, "library", "add", tools, file)
    assert code == 0
    assert "added       turn.RUN, turn.TURN" in out
    back = Library.open(tools, task="turn")
    assert fingerprint_of(back) == fingerprint_of(Library.open(kept / "sorting"))
    assert {one.kind: one.core for one in members(tools)} == others
    assert fingerprint_of(Library.open(tools, core="lstm")) == fingerprint_of(Library.open(kept / "tape"))


def test_extract(capsys: pytest.CaptureFixture[str], kept: Path, tools: Path, tmp_path: Path) -> None:
    """What comes out is what went in, file by file."""
    for kind, name in (("lstm", "tape"), ("tiny", "arms")):
        assert npi(capsys, "library", "extract", tools, kind, "--out", tmp_path / name)[0] == 0
        assert contents(tmp_path / name) == contents(kept / name)
    found = document(capsys, "library", "extract", tools, "lstm", "--out", tmp_path / "gone", "--remove")
    assert found["tasks"] == ["tape.erase"]
    assert contents(tmp_path / "gone") == contents(kept / "tape")
    assert [one.kind for one in members(tools)] == ["discrete", "universal", "tiny"]
    for kind in ("discrete", "universal"):
        assert npi(capsys, "library", "extract", tools, kind, "--out", tmp_path / kind, "--remove")[0] == 0
    code, _, err = npi(capsys, "library", "extract", tools, "tiny", "--out", tmp_path / "last", "--remove")
    assert code == 2
    assert "one member at least" in err


def test_certify_and_compile(capsys: pytest.CaptureFixture[str], kept: Path, tools: Path, tmp_path: Path) -> None:
    assert npi(capsys, "certify", "fruit.HOME", "--library", tools)[0] == 0
    assert npi(capsys, "certify", "--library", tools, "--core", "universal")[0] == 0
    assert npi(capsys, "compile", "--library", tools, "--core", "universal", "--out", tmp_path / "all.npic")[0] == 0
    one, two = (
        document(capsys, "run", "swap", "pear,apple,plum", "--library", place)
        for place in (tmp_path / "all.npic", kept / "all")
    )
    assert {**one, "seconds": 0} == {**two, "seconds": 0}


def test_a_certificate_is_checked_against_the_member_that_it_names(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    combined([untrained(LSTM, tape()), proved()]).save(tmp_path / "tools")
    program = clear().programs[0].name
    words = ["--library", tmp_path / "tools"]
    assert npi(capsys, "certify", program, *words, "--out", tmp_path / "it.certificate")[0] == 0
    assert npi(capsys, "certify", "--check", tmp_path / "it.certificate", *words)[0] == 0
    code, _, err = npi(capsys, "certify", "--check", tmp_path / "it.certificate", *words, "--core", "lstm")
    assert (code, "--core does not apply with --check" in err) == (2, True)


# --- learning ---------------------------------------------------------------------------------------------------------


def learn(capsys: pytest.CaptureFixture[str], file: Path, *words: object) -> tuple[int, str, str]:
    return npi(capsys, "learn", file, "--updates", 1, "--starts", 1, *words)


def test_the_member_learns_that_has_what_the_file_uses(
    capsys: pytest.CaptureFixture[str], kept: Path, tools: Path
) -> None:
    """Both the discrete and the universal core act in its world; one has the programs that it calls."""
    own = {one.kind: one.manifest and one.manifest.sha256 for one in members(tools)}
    code, out, err = learn(capsys, kept / "twist.npi", "--library", tools, "--keep", "--no-certify", "--traces", 2)
    assert code in (0, 1), err
    assert Library.open(tools, program="twist.TWIST").core.config == SMALL
    changed = {one.kind for one in members(tools) if one.manifest and one.manifest.sha256 != own[one.kind]}
    assert changed == {"discrete"}


def test_the_member_learns_whose_core_acts_in_the_world(
    capsys: pytest.CaptureFixture[str], kept: Path, tools: Path
) -> None:
    code, _, err = npi(capsys, "learn", kept / "cards.npi", "--library", tools)
    assert code == 0, err
    assert Library.open(tools, task="cards.swap").core.config.kind == "universal"
    assert npi(capsys, "run", "cards.swap", "two,one", "--library", tools)[0] == 0
    code, _, err = learn(capsys, kept / "third.npi", "--library", tools)
    assert code == 0, err
    assert Library.open(tools, task="third").core.config.kind == "tiny"


FREE = STRIP.replace("strip", "free").replace("world free is", "world strip is")


def test_where_several_fit_the_core_is_named(capsys: pytest.CaptureFixture[str], tools: Path, tmp_path: Path) -> None:
    (tmp_path / "free.npi").write_text(FREE)
    before = contents(tools)
    code, _, err = learn(capsys, tmp_path / "free.npi", "--library", tools)
    assert code == 2
    label = labels(tools)
    assert f"can learn these programs: {label['discrete']}, {label['universal']}; say which (--core)" in err
    assert contents(tools) == before
    words = ["--library", tools, "--core", "discrete", "--keep", "--no-certify", "--traces", 2]
    assert learn(capsys, tmp_path / "free.npi", *words)[0] in (0, 1)
    assert Library.open(tools, program="free.HOME").core.config == SMALL


BAD: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "none fits": (
        ["learn", "{here}/other.npi", "--library", "{tools}"],
        ["no member of", "it learns from texts and traces", "has never seen world arms"],
    ),
    "its name is another's": (
        ["learn", "{kept}/strip.npi", "--library", "{tools}", "--core", "universal"],
        ["strip.MOVE (and", "stands in two libraries of different cores"],
    ),
    "no such core": (["learn", "{kept}/cards.npi", "--library", "{tools}", "--core", "gru"], ["no core that begins"]),
    "several to certify": (["certify", "--library", "{tools}"], ["different cores", "tiny-", "--core"]),
    "several to compile": (["compile", "--library", "{tools}"], ["different cores", "discrete-", "--core"]),
    "two of a name": (["certify", "HOME", "turn.TURN", "--library", "{tools}"], ["several programs are called HOME"]),
    "of two members": (
        ["library", "remove", "{tools}", "turn.TURN", "fruit.HOME"],
        ["turn.TURN and fruit.HOME are of different members"],
    ),
    "diff": (["library", "diff", "{tools}", "{kept}/all"], ["collection of libraries with different cores", "extract"]),
    "a host": (["learn", "{kept}/cards.npi", "--library", "{here}/new", "--host", "{tools}"], ["different cores"]),
    "no such task": (["run", "trun", "1,2", "--library", "{tools}"], ["no task 'trun'; did you mean 'turn'?"]),
    "no folder": (["run", "x", "--library", "{kept}/none"], ["there is no folder"]),
    "add": (["library", "add", "{tools}", "{here}/foreign.npirow"], ["no core that begins with"]),
    "a file of learners": (
        ["eval", "--library", "{tools}", "--sizes", "3"],
        ["--sizes does not apply to a learner's library"],
    ),
    "train": (["train", "{kept}/strip.npi", "--out", "{tools}"], ["is a collection of several libraries"]),
    "a member's folder": (
        ["library", "remove", "{member}", "TURN"],
        ["is a member of a collection; save to the collection's folder"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_message(
    capsys: pytest.CaptureFixture[str], kept: Path, tools: Path, tmp_path: Path, case: str
) -> None:
    words, parts = BAD[case]
    (tmp_path / "other.npi").write_text(arms("DRAW", count=5))
    operations.pack(of_another_core(), ["SWAP"]).save(tmp_path / "foreign.npirow")
    (member,) = (one.place for one in members(tools) if one.kind == "discrete")
    before = contents(tools)
    places = {"kept": kept, "tools": tools, "here": tmp_path, "member": member}
    code, _, err = npi(capsys, *(word.format(**places) for word in words))
    assert code == 2
    assert [part for part in parts if part not in err] == [], err
    assert "Traceback" not in err
    assert contents(tools) == before


def of_another_core() -> Library:
    """Rows for a core that the collection does not have."""
    library = taught("fruit")
    with torch.no_grad():
        next(library.core.parameters()).add_(1)
    return library
