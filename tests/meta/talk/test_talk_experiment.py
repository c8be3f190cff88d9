"""``npi reproduce tools-that-learn`` with rows that take no time: what is kept, skipped, refused, written."""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from meta.talk.comparison import unpaired
from meta.talk.experiment import ToolsThatLearn
from meta.talk.page import NOT_TO_QUOTE
from meta.talk.row import Effort, Found, Picture, Row, Run
from npi.cli.main import main
from npi.reproduce.ledger import Ledger, Stopped


def row(key: str, run: Callable[[Run], Found], needs: str = "") -> Row:
    return Row(
        key, f"Title of {key}", f"claim of {key}", f"paper of {key}", f"score of {key}", f"control of {key}", run,
        Effort(problems=4), Effort(problems=40), lambda: needs,
    )  # fmt: skip


def good(run: Run) -> Found:
    """Its score depends on the seed."""
    run.say(1, 1, "update 1 of 1")
    score_B = torch.tensor([10.0, 11.0, 12.0, 11.0]).repeat(10) + run.seed
    return Found(
        unpaired(score_B, torch.tensor([1.0, 2.0]).repeat(20)), {"other": 5.0 + run.seed}, {"data": "its <own> data"},
        Picture("x", "y", {"ours": [[1, 2], [3, 4]]}),
    )  # fmt: skip


def bad(run: Run) -> Found:
    return Found(unpaired(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 2.0, 2.9]), higher=False))


LACKING = "it needs a voice: apt-get install voice"

ROWS = {one.key: one for one in (row("one", good), row("two", good), row("mute", good, LACKING))}


def use(monkeypatch: pytest.MonkeyPatch, rows: Mapping[str, Row] = ROWS) -> None:
    monkeypatch.setattr("meta.talk.experiment.EXPERIMENT", ToolsThatLearn(rows))


def ran(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["reproduce", "tools-that-learn", "--quick", "--out", str(folder), *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_all_rows_stand_on_the_page(tmp_path: Path, capsys, monkeypatch) -> None:
    use(monkeypatch)
    code, out, err = ran(capsys, tmp_path / "out", "--seeds", "0..2")
    assert code == 0, err
    assert f"skipped: mute: {LACKING}" in err
    assert "1 of 6  Title of one, seed 0: 11 beside 1.5" in err
    assert "one      2      13       1.5" in out
    page, web = ((tmp_path / "out" / f"page.{kind}").read_text() for kind in ("md", "html"))
    assert NOT_TO_QUOTE in page
    assert "| Title of one | score of one | 12.0 (11.0–13.0) | 1.5 (1.5–1.5) |" in page
    assert f"| Title of mute | skipped: {LACKING} |" in page
    assert "- **Beside it**: other 6.0 (5.0–7.0)" in page
    for said in (
        "claim of two",
        "paper of two",
        "npi reproduce tools-that-learn --quick --only two",
        "Seeds**: 0, 1, 2",
    ):
        assert said in page
    assert all(said in web for said in ("claim of two", "its &lt;own&gt; data", "data:image/png;base64,"))
    assert (tmp_path / "out" / "pictures" / "one.png").read_bytes().startswith(b"\x89PNG")
    data = json.loads((tmp_path / "out" / "results.json").read_text())
    assert data["quick"]
    assert [one["found"]["comparison"]["score"] for one in data["rows"]["two"]] == [11.0, 12.0, 13.0]


def test_a_finished_row_is_not_repeated(tmp_path: Path, capsys, monkeypatch) -> None:
    use(monkeypatch)
    assert ran(capsys, tmp_path / "out", "--only", "two")[0] == 0
    assert "not made yet" in (tmp_path / "out" / "page.md").read_text()
    monkeypatch.setitem(ROWS, "two", row("two", lambda run: pytest.fail("a finished row was run again")))
    use(monkeypatch)
    code, _, err = ran(capsys, tmp_path / "out")
    assert (code, "1 of 2 stages were done before" in err) == (0, True), err
    page = (tmp_path / "out" / "page.md").read_text()
    assert page.index("## Title of one") < page.index("## Title of two")


def test_a_stopped_row_leaves_no_file_and_resumes(tmp_path: Path, capsys, monkeypatch) -> None:
    began = list[Path]()

    def slow(run: Run) -> Found:
        began.append(run.folder)
        if len(began) == 1:
            raise Stopped
        return good(run)

    use(monkeypatch, {"one": row("one", good), "slow": row("slow", slow)})
    code, _, err = ran(capsys, tmp_path / "out")
    assert (code, "stopped after 1 of 2 stages; the same command resumes" in err) == (130, True), err
    assert [path.name for path in (tmp_path / "out" / "stages" / "seed-0").iterdir()] == ["one.json"]
    code, _, err = ran(capsys, tmp_path / "out")
    assert (code, "1 of 2 stages were done before" in err) == (0, True), err
    assert began[0] == began[1]  # where its training lies


def test_an_interrupt_is_heeded_before_a_row(tmp_path: Path, capsys, monkeypatch) -> None:
    use(monkeypatch)
    monkeypatch.setattr("npi.cli.reproduce.stop_on_interrupt", lambda: nullcontext(lambda: True))
    code, out, _ = ran(capsys, tmp_path / "out")
    assert (code, out.startswith("skipped")) == (130, True)


def test_other_settings_are_refused(tmp_path: Path, capsys, monkeypatch) -> None:
    use(monkeypatch)
    assert ran(capsys, tmp_path / "out", "--only", "one")[0] == 0
    monkeypatch.setitem(ROWS, "one", Row(**{**vars(ROWS["one"]), "quick": Effort(problems=5)}))
    use(monkeypatch)
    code, _, err = ran(capsys, tmp_path / "out", "--only", "one")
    assert (code, "one.json was made with other settings (problems)" in err) == (2, True)
    words = ["reproduce", "tools-that-learn", "--out", str(tmp_path / "out"), "--only", "one"]
    assert main(words) == 2  # full ones beside quick ones, too
    assert "(mode, problems)" in capsys.readouterr().err


def test_a_row_close_to_its_control_ends_with_1(tmp_path: Path, capsys, monkeypatch) -> None:
    use(monkeypatch, {"bad": row("bad", bad)})
    code, out, _ = ran(capsys, tmp_path / "out")
    assert code == 1
    assert re.search(r"less than 5 standard errors better than its control: bad, seed 0 \(-0\.\d\)", out)
    assert "(**less than 5**)" in (tmp_path / "out" / "page.md").read_text()


def test_what_is_missing_is_told_before_the_work(tmp_path: Path, capsys, monkeypatch) -> None:
    use(monkeypatch)
    monkeypatch.setattr(Ledger, "run", lambda *_: pytest.fail("work was begun"))
    code, _, err = ran(capsys, tmp_path / "out", "--only", "one", "--only", "mute")
    assert (code, f"the row mute cannot be made here: {LACKING}" in err) == (2, True)
    code, _, err = ran(capsys, tmp_path / "out", "--only", "three")
    assert (code, "tools-that-learn has no part three; there are one, two, mute" in err) == (2, True)
    there = __import__("importlib.util").util.find_spec
    monkeypatch.setattr("npi.reproduce.plots.find_spec", lambda name: None if name == "matplotlib" else there(name))
    code, _, err = ran(capsys, tmp_path / "out")
    assert (code, "pip install 'npi-engine[plots]'" in err) == (2, True)
    assert not (tmp_path / "out").exists()


def test_other_folders_are_left_alone(tmp_path: Path, capsys, monkeypatch) -> None:
    use(monkeypatch)
    (tmp_path / "note").write_text("mine")
    assert ran(capsys, tmp_path)[0] == 2
    assert ran(capsys, tmp_path / "note")[0] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["note"]


def test_json_is_all_of_it(tmp_path: Path, capsys, monkeypatch) -> None:
    use(monkeypatch)
    code, out, _ = ran(capsys, tmp_path / "out", "--json", "--only", "one")
    (found,) = json.loads(out)["rows"]
    assert (code, found["key"], found["found"]["comparison"]["score"]) == (0, "one", 11.0)


def test_an_unknown_experiment_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "tools-that-lear"]) == 2
    assert "did you mean 'tools-that-learn'?" in capsys.readouterr().err
