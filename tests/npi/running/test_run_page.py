"""A run as a page in a notebook, and whose run a page says it is."""

import html
import json
import re
from pathlib import Path
from typing import Any

import npi
from meta.optimisation.learner import LEARNER
from npi.cli.main import main
from npi.running.run_page import FRAME_STEPS
from npi.universal.core import SHIPPED
from tests.support.paths import PROGRAMS


def document(page: str) -> dict[str, Any]:
    """What a page's code reads."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return dict(json.loads(found[1]))


def test_a_notebook_shows_a_run_as_its_page() -> None:
    run = npi.run("add", {"a": 96, "b": 125}, programs=PROGRAMS / "addition.npi")
    shown = run._repr_html_()
    found = re.fullmatch(r'<iframe sandbox="allow-scripts" style="[^"]*" srcdoc="([^"]*)"></iframe>', shown)
    assert found is not None
    data = document(html.unescape(found[1]))
    assert data["title"] == "add(a = 96, b = 125)"
    (one,) = data["runs"]
    assert (one["by"], one["right"], one["verdict"]) == (
        "program text",
        True,
        "right: number(OUT) = 221, expected number(OUT) = 221",
    )
    assert len(one["step"]) == run.steps


def test_a_long_run_is_cut_in_a_notebook() -> None:
    digits = 10 ** (FRAME_STEPS // 8)
    run = npi.run("add", {"a": digits, "b": digits}, programs=PROGRAMS / "addition.npi")
    data = document(html.unescape(run._repr_html_()))
    assert run.steps > FRAME_STEPS == len(data["runs"][0]["step"])
    assert f"the first {FRAME_STEPS:,} of {run.steps:,} steps" in data["notes"][0]


def test_a_cores_run_is_the_cores(tmp_path: Path) -> None:
    library = npi.Library.open(SHIPPED)
    npi.learn(library, [PROGRAMS / "examples" / "reverse.npi"])
    assert (
        document(html.unescape(npi.run("reverse", ["abc"], library=library)._repr_html_()))["runs"][0]["by"] == "core"
    )


def test_the_page_of_a_learned_program_does_not_say_program_text(tmp_path: Path) -> None:
    """There is no text: nothing was compared with one, and the core decided."""
    quick = {"updates": 1, "batch": 4, "truncation": 20, "check_every": 1, "problems": 4}
    settings = type(LEARNER.training)(**{**LEARNER.training.to_json(), **quick})
    npi.train([PROGRAMS / "learning" / "quadratic.npi"], out=tmp_path / "library", training=settings)
    html_page = str(tmp_path / "page.html")
    assert main(["run", "quadratic", "7", "--library", str(tmp_path / "library"), "--html", html_page]) == 0
    page = (tmp_path / "page.html").read_text()
    (one,) = document(page)["runs"]
    assert (one["by"], one["other"]) == ("core", "")
    assert "program text" not in page
