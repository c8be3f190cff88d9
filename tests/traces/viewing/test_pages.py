"""Pages of runs in a real browser, where there is one: keys, buttons, long runs, light and dark."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dsl import compile_teacher, loads
from envs.spec import RETURN
from npi.running.run_page import take_of
from tests.support.browser import MISSING, Browser, browser
from tests.support.picture_helpers import ADDITION, EVIL, HOSTILE, SORT, document, frames_of, sort_slip, teacher_run
from traces.recording.recorder import assemble
from traces.viewing.page import Take, page


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    if MISSING:
        pytest.skip(MISSING)
    with browser() as found:
        yield found


def written(folder: Path, text: str) -> Path:
    file = folder / "page.html"
    file.write_text(text)
    return file


def cells(window: Browser, row: int) -> str:
    """The texts of a row's cells, blanks as dots."""
    script = f"return [...document.querySelectorAll('.cell[data-at^=\"{row} \"]')].map((c) => c.textContent || '.')"
    return "".join(window.run(script))


def test_keys_step_through_the_run(window: Browser, tmp_path: Path) -> None:
    found = teacher_run(ADDITION, "add", "96", "125")
    take, _ = take_of(ADDITION, found.problem, found.trace, by="teacher", text=compile_teacher(ADDITION))
    window.open(written(tmp_path, page("add", [take])))
    assert window.text("#where") == "step 1 of 38"
    assert window.text(".opinion .call") == "ADD1"
    assert [cells(window, row).strip(".") for row in range(4)] == ["96", "125", "", ""]
    assert window.texts("#chips .chip") == ["IN16", "IN25", "CARRYblank", "OUTblank"]
    window.press("ArrowRight", "ArrowRight")
    assert window.text(".row.here .text") == "CARRY"
    assert cells(window, 3).strip(".") == "1"
    assert window.texts(".cell.changed") == ["1"]
    window.press("ArrowDown")  # past CARRY, to what stands beside it
    assert window.text(".row.here .text") == "return"
    assert cells(window, 2).strip(".") == "1"
    window.press("ArrowUp")
    assert window.text(".row.here .text") == "ADD1"
    assert window.text("#where") == "step 1 of 38"
    assert [cells(window, row).strip(".") for row in range(4)] == ["96", "125", "", ""]
    window.press("End")
    assert window.text("#where") == "the end after 38 steps"
    assert cells(window, 3).strip(".") == "221"
    window.press("Home", "ArrowRight", "ArrowLeft", "ArrowLeft")
    assert window.text("#where") == "step 1 of 38"
    window.press("End", " ")
    assert window.text("#play") == "❚❚ pause"
    window.press(" ")
    assert window.text("#play") == "▶ play"
    assert not window.complaints()


def test_every_state_on_the_page_is_that_of_the_run(window: Browser, tmp_path: Path) -> None:
    found = teacher_run(SORT, "sort", "3,1,2")
    take, _ = take_of(SORT, found.problem, found.trace, by="teacher")
    window.open(written(tmp_path, page("sort", [take])))
    states = list(frames_of(take.states, found.steps))
    script = "go(arguments[0]); return [run.states.at, [...run.states.cells[0].values()]]"
    order = [*range(found.steps + 1), *range(found.steps, -1, -3), found.steps // 2, 0]
    for position in order:
        at, (row,) = states[position]
        assert window.run(script, position) == [at, [value for _, value in sorted(row.items())]]


def test_the_tree_closes_and_opens(window: Browser, tmp_path: Path) -> None:
    found = teacher_run(ADDITION, "add", "96", "125")
    window.open(written(tmp_path, page("add", [Take("teacher", found.trace)])))
    every = len(window.texts(".row"))
    window.click('.row[data-node="1"] .turn')  # ADD1, which holds 7 steps
    assert len(window.texts(".row")) < every
    assert "7 steps inside" in window.text('.row[data-node="1"]')
    window.click("#returns")
    assert "return" not in window.texts(".row .text")
    window.click("#open")
    assert len(window.texts(".row")) == 1 + sum(event.call[0] != RETURN for event in found.events)
    window.press("c")
    assert window.text(".row.here .text") in ("ADD", "ADD1")
    assert not window.complaints()


def test_the_first_difference_is_found_by_button_and_key(window: Browser, tmp_path: Path) -> None:
    found, take = sort_slip()
    meant = teacher_run(SORT, "sort", "3,1,2,7,5")
    other, _ = take_of(SORT, meant.problem, meant.trace, by="program text")
    data = document(page("sort", [take]))["runs"][0]
    window.open(written(tmp_path, page("sort", [take, other])))
    assert "first at step" in window.text("#notes .bad")
    for reach in (lambda: window.click("#firstdiff"), lambda: window.press("Home", "f")):
        window.press("End")
        reach()
        assert window.text("#where b") == str(data["differing"][0] + 1)
        assert window.texts(".opinion .call") == ["return", "ACT(P1, SWAP, P2)"]
        assert window.text(".row.here .mark") == "first difference"
    window.press("n")
    assert window.text("#where b") == str(data["differing"][1] + 1)
    assert window.text(".row.here .mark") == "≠"
    window.press("p")
    assert window.text("#where b") == str(data["differing"][0] + 1)
    window.click("#takes button:last-child")
    assert window.text("#where").endswith(f"of {meant.steps}")
    assert window.run("return document.getElementById('differences').hidden")
    assert not window.complaints()


def test_hostile_names_stay_text(window: Browser, tmp_path: Path) -> None:
    programs = loads(HOSTILE)
    found = teacher_run(programs, "mark", "<i>,</script>")
    take, _ = take_of(programs, found.problem, found.trace, by=EVIL, verdict=EVIL, text=compile_teacher(programs))
    window.open(written(tmp_path, page(EVIL, [take], notes=[EVIL])))
    assert window.text("#title") == window.run("return document.title") == EVIL
    assert window.run("return typeof hacked") == "undefined"
    assert window.run("return document.querySelectorAll('img, b b, script').length") == 2
    assert "<i>" in window.texts(".cell text")
    assert not window.complaints()


def test_light_and_dark(window: Browser, tmp_path: Path) -> None:
    found = teacher_run(ADDITION, "add", "1", "2")
    window.open(written(tmp_path, page("add", [Take("teacher", found.trace)])))
    shade = "return getComputedStyle(document.body).backgroundColor"
    before = window.run(shade)
    window.press("t")
    assert window.run(shade) != before
    window.press("t")
    assert window.run(shade) == before


def test_a_hundred_thousand_steps_stay_usable(window: Browser, tmp_path: Path) -> None:
    """A made-up run: 12,500 times a program that moves six times and returns."""
    table, rounds = ADDITION.table, 12_500
    shift, move = table.id("LSHIFT"), [0, table.world.token("IN1"), table.world.token("LEFT"), 0]
    calls = np.array(([[shift, 0, 0, 0], *[move] * 6, [RETURN, 0, 0, 0]]) * rounds + [[RETURN, 0, 0, 0]])
    nothing = np.array([-1])
    meta = {"size": nothing, "seed": nothing, "status": np.array([0])}
    first, steps = np.array([[table.id("ADD"), 0, 0, 0]]), len(calls)
    trace = assemble(table, first, np.zeros(steps, np.int64), np.zeros((steps, 4), np.int16), calls, meta)
    text = page("long", [Take("teacher", trace)])
    assert len(text) < 1_000_000
    window.open(written(tmp_path, text))
    assert window.text("#where") == f"step 1 of {steps:,}"
    assert len(window.texts(".row")) < 120
    window.press("End", "ArrowLeft", "ArrowLeft")
    assert window.text("#where b") == f"{steps - 1:,}"
    window.click("#open")
    assert len(window.texts(".row")) < 120
    took = "const begin = performance.now(); for (let i = 0; i < 50; i++) go((i * 7919) % run.steps); "
    assert window.run(took + "return performance.now() - begin") < 5000
    assert window.text(".row.here .number") == f"{(49 * 7919) % steps + 1:,}"


def test_a_long_pad_is_cut_around_what_is_observed(window: Browser, tmp_path: Path) -> None:
    found = teacher_run(SORT, "sort", ",".join("9" + "1" * 59))
    take, _ = take_of(SORT, found.problem, found.trace, by="teacher")
    window.open(written(tmp_path, page("sort", [take])))
    drawn = "return [document.querySelectorAll('.cell.seen').length, new Set(run.states.at.slice(0, 2)).size]"
    for position in range(0, 440, 7):
        seen, stands = window.run(f"go({position}); {drawn}")
        assert seen == stands
    assert "of 0 to 59" in window.text(".legend")
    assert "COUNT" in "".join(window.texts(".pointer text"))
    assert any(text.endswith(" further") for text in window.texts(".pointer text"))
