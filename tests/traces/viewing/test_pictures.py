"""Pictures of call graphs, states and pages of runs, as structures; ``test_pages.py`` has them in a browser."""

import base64
import hashlib
import json
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch

from dsl import compile_teacher, load, loads
from dsl.callgraph.layout import Box, call_graph, circle_edges, draw
from dsl.callgraph.svg import picture, svg
from envs.scratchpad.config import NOWHERE
from envs.spec import RETURN
from npi.cli.main import main
from npi.cli.run_files import drawn_again
from npi.running.evaluate import run_problems
from npi.running.run_page import take_of
from npi.running.runs import Run, RunnableTask, run_once
from tests.support.picture_helpers import (
    ADDITION,
    EVIL,
    HOSTILE,
    PROGRAMS,
    SORT,
    Slip,
    document,
    frames_of,
    sort_slip,
    teacher_run,
)
from traces.generation.generate import generate
from traces.recording.batch import TraceBatch
from traces.recording.text import time_order
from traces.viewing.page import Take, compare, distinct, page, script_json, stretches
from traces.viewing.states import StatesError, states

FILES = sorted([*PROGRAMS.glob("*.npi"), *(PROGRAMS / "examples").glob("*.npi")])
FILES += sorted((PROGRAMS / "recursive").glob("*.npi"))

ROUND = """\
world pad is scratchpad:
    row A of 0..1
    pointer P on A at left

program EVEN "Go on to ODD":
    if not last(P):
        ACT(P, RIGHT)
        ODD

program ODD "Go on to EVEN":
    if not last(P):
        ACT(P, RIGHT)
        EVEN

program DEEP "Call itself":
    if not last(P):
        ACT(P, RIGHT)
        DEEP

task go(items: list of 0..1):
    A = items
    run EVEN
    expect last(P)
    train items of 1..3
    test items of 3

task deep(items: list of 0..1):
    A = items
    run DEEP
    expect last(P)
    train items of 1..3
    test items of 3
""".replace("expect last(P)", "expect at(P) == len(items) - 1")


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_every_program_file_is_drawn_without_overlaps(file: Path) -> None:
    graph = call_graph(load(file))
    drawing = draw(graph, world="w")
    assert {box.name for box in drawing.boxes} == set(graph)
    assert {(line.caller, line.callee) for line in drawing.lines} == set(graph.edges)
    for one, two in combinations(drawing.boxes, 2):
        assert abs(one.x - two.x) >= (one.width + two.width) / 2 or abs(one.y - two.y) >= (one.height + two.height) / 2
    for box in drawing.boxes:
        assert box.x - box.width / 2 > 0
        assert box.x + box.width / 2 < drawing.width
        assert box.y + box.height / 2 < drawing.height
    at = {box.name: box for box in drawing.boxes}
    programs = [box.y for box in drawing.boxes if box.kind != "primitive"]
    assert all(box.y > max(programs) for box in drawing.boxes if box.kind == "primitive")
    assert all(at[line.caller].y < at[line.callee].y for line in drawing.lines if not line.recursive)
    for line in drawing.lines:
        ends = (line.points[0], at[line.caller]), (line.points[-1], at[line.callee])
        assert all(
            abs(y - box.y) < box.height / 2 + 0.1 and abs(x - box.x) < box.width / 2 + 0.1 for (x, y), box in ends
        )
    (region,) = drawing.regions
    assert all(inside(box, region) == (box.kind == "primitive") for box in drawing.boxes)


def inside(box: Box, region: Any) -> bool:
    return bool(region.x < box.x < region.x + region.width and region.y < box.y < region.y + region.height)


def test_recursions_are_the_calls_that_can_come_back() -> None:
    """Against a search that knows nothing of components: from the callee the caller can be reached."""
    graph = call_graph(loads(ROUND))
    back = {(a, b) for a, b in graph.edges if a == b or nx.has_path(graph, b, a)}
    names = {tuple(name.rpartition(".")[2] for name in edge) for edge in back}
    assert names == {("EVEN", "ODD"), ("ODD", "EVEN"), ("DEEP", "DEEP")}
    assert circle_edges(graph) == back
    drawing = draw(graph, world="w")
    assert {(line.caller, line.callee) for line in drawing.lines if line.recursive} == back
    text = svg(drawing, title="t")
    assert text.count('class="line circle"') == 3
    assert "calls itself (recursion)" in text
    mermaid = picture(graph, ".mmd", title="t", world="w").decode()
    edges = [line for line in mermaid.splitlines() if "-->" in line]
    (style,) = re.findall(r"linkStyle ([\d,]+) ", mermaid)
    assert len(style.split(",")) == 3
    own = next(edge for edge in edges if edge.split()[0] == edge.split()[2])
    assert str(edges.index(own)) in style.split(",")


def test_an_svg_is_well_formed_and_tells_what_programs_do() -> None:
    text = picture(call_graph(loads(HOSTILE)), ".svg", title="<a & b>", world='w "<">').decode()
    root = ET.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    tips = [title.text for title in root.iter(f"{space}title")]
    assert tips[0] == "<a & b>"
    assert any(tip is not None and tip.endswith(f"MARK: {EVIL}") for tip in tips)
    assert not list(root.iter(f"{space}img")) + list(root.iter(f"{space}script"))
    assert {g.get("class") for g in root.iter(f"{space}g")} == {"region", "program", "primitive"}


def test_the_command_writes_each_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for suffix, begins in ((".svg", b"<svg "), (".png", b"\x89PNG\r\n"), (".mmd", b"flowchart TD\n")):
        out = tmp_path / f"sort{suffix}"
        assert main(["graph", str(PROGRAMS / "bubblesort.npi"), "--out", str(out)]) == 0
        assert out.read_bytes().startswith(begins)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "sort.png" in printed.err
    assert main(["graph", str(PROGRAMS / "max.npi"), "--out", str(tmp_path / "a.gif")]) == 2
    assert ".svg, .png or .mmd" in capsys.readouterr().err
    assert main(["graph", str(PROGRAMS / "max.npi"), "--program", "RESET", "--out", str(tmp_path / "part.svg")]) == 0
    assert "RJMP" not in (tmp_path / "part.svg").read_text()


def test_a_png_without_matplotlib_is_a_clear_error(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["graph", str(PROGRAMS / "max.npi"), "--out", str(tmp_path / "a.png")]) == 2
    assert "npi-engine[pictures]" in capsys.readouterr().err


PADS = [file for file in FILES if "is scratchpad" in file.read_text() or 'use "' in file.read_text()]


@pytest.mark.parametrize("file", PADS, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_states_are_what_was_observed_and_end_as_the_run(file: Path) -> None:
    """Rows that hold places among them, of which is observed whether there is one."""
    programs = load(file)
    config = programs.world.config  # type: ignore[attr-defined]
    generator = torch.Generator().manual_seed(3)
    for task in programs.tasks:
        size = sorted(task.train_sizes)[min(2, len(task.train_sizes) - 1)]
        (problem,) = task.draw(size, 1, generator=generator, spread=False)
        found = run_once(compile_teacher(programs), programs, task, problem)
        take, notes = take_of(programs, problem, found.trace, by="teacher")
        shots = take.states
        assert not notes
        states = list(frames_of(shots, found.steps))
        seeing = [(p, pointer.row) for p, pointer in enumerate(shots.pointers) if pointer.sees]
        for event, (at, cells) in zip(found.events, states, strict=False):
            values = [cells[row].get(at[p], shots.rows[row].empty) for p, row in seeing]
            places = [config.rows[row].places for _, row in seeing]
            seen = [int(value == NOWHERE) if place else value for value, place in zip(values, places, strict=True)]
            assert seen == list(event.obs[: len(seeing)])
        (reading,) = run_problems(compile_teacher(programs), programs, [problem]).read(programs.world)
        at, cells = states[-1]
        assert at == [reading[f"at({pointer.name})"][0] for pointer in shots.pointers]
        for row, content in zip(shots.rows, cells, strict=True):
            filled = [column for column, value in content.items() if value != row.empty]
            inside = range(min(filled), max(filled) + 1) if filled else ()
            assert [content.get(column, row.empty) for column in inside] == reading[row.name]


def test_states_of_other_observations_are_refused() -> None:
    found = teacher_run(ADDITION, "add", "96", "125")
    order = time_order(found.trace)
    obs = found.trace.obs[order].copy()
    obs[7, 0] = 3
    with pytest.raises(StatesError, match="at step 8 "):
        states(ADDITION.world, found.problem.layout, found.trace.calls[order], obs, primitives=1)


def test_time_order_is_the_walk() -> None:
    found = teacher_run(SORT, "sort", "3,1,2")
    order = time_order(found.trace)
    assert sorted(order.tolist()) == list(range(found.steps))
    assert order.tolist() == list(steps_of(found.trace, 0))


def steps_of(trace: TraceBatch, frame: int) -> Iterator[int]:
    """The steps of a frame, each with those of the frame that it calls after it."""
    for step in range(trace.length[frame]):
        yield int(trace.start[frame]) + step
        for called in np.flatnonzero((trace.parent == frame) & (trace.parent_step == step)):
            yield from steps_of(trace, int(called))


def test_a_trace_of_a_set_gets_its_problem_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = generate(SORT, task="sort", traces={2: 3, 4: 4}, seed=5, out=tmp_path / "set", shard_traces=3)
    for index in range(len(found)):
        again = drawn_again(found, index)
        take, notes = take_of(*again, found.trace(index), by="teacher")
        assert take.states is not None
        assert not notes
    out = tmp_path / "trace.html"
    assert main(["show", str(tmp_path / "set"), "--trace", "6", "--html", str(out)]) == 0
    assert document(out.read_text())["runs"][0]["states"]["kind"] == "pad"


def test_the_teacher_agrees_with_itself() -> None:
    found = teacher_run(ADDITION, "add", "96", "125")
    comparison = compare(compile_teacher(ADDITION), found.trace)
    assert comparison.compared_S.all()
    assert not comparison.differs_S.any()
    assert (comparison.calls_S4 == found.trace.calls).all()


def test_the_first_difference_is_where_the_runs_part() -> None:
    found, take = sort_slip()
    meant = teacher_run(SORT, "sort", "3,1,2,7,5")
    part = next(i for i, (a, b) in enumerate(zip(found.events, meant.events, strict=False)) if a != b)
    data = document(page("sort", [take]))["runs"][0]
    assert data["differing"][0] == part
    assert data["calls"][data["instead"][0]][1] == "ACT(P1, SWAP, P2)"
    slips = [i for i, e in enumerate(found.events) if e.call[0] == RETURN and missed_swap(found, i)]
    assert data["differing"] == slips


def missed_swap(found: Run, step: int) -> bool:
    """Whether a return is COMPSWAP's first decision although P1 > P2."""
    event, before = found.events[step], found.events[step - 1]
    return before.call[0] == SORT.table.id("COMPSWAP") and event.obs[0] > event.obs[1]


class Elements(HTMLParser):
    """The elements of a page and the text of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scripts: list[str] = []
        self.policy = ""
        self._raw = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"] or ""
        assert not [name for name in given if name.startswith("on")]
        assert "src" not in given
        assert not (given.get("href") or "").startswith("http")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] in ("script", "style"):
            self.scripts.append(data)


def test_a_page_is_whole_and_runs_nothing_but_its_own_code() -> None:
    _, take = sort_slip()
    text = page("sort", [take])
    elements = Elements(text)
    assert elements.tags.count("script") == 2
    assert not {"img", "link", "iframe", "object"} & set(elements.tags)
    style, data, code = (s for s in elements.scripts if s.strip())
    for part in (style, code):
        digest = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in elements.policy
    assert elements.policy.startswith("default-src 'none';")
    assert "unsafe" not in elements.policy
    assert "://" not in code.replace("http://www.w3.org/2000/svg", "") + style


def test_names_and_docs_are_never_markup() -> None:
    programs = loads(HOSTILE)
    found = teacher_run(programs, "mark", "<i>,</script>")
    take, _ = take_of(programs, found.problem, found.trace, by=EVIL, verdict=EVIL)
    text = page(EVIL, [take], notes=[EVIL])
    elements = Elements(text)
    assert elements.tags.count("script") == 2
    assert not {"img", "b", "i"} & (set(elements.tags) - {"i"})
    data = document(text)
    assert data["title"] == EVIL
    assert EVIL in data["docs"]


def test_json_in_a_script_has_no_sign_of_html() -> None:
    text = script_json({"a": "<!--<script>&\u2028\u2029\ud800"})
    assert not set("<>&\u2028\u2029") & set(text)
    assert text.isascii()
    assert json.loads(text) == {"a": "<!--<script>&\u2028\u2029\ud800"}


def test_a_long_run_is_cut_with_a_note() -> None:
    found = teacher_run(ADDITION, "add", "96", "125")
    data = document(page("add", [Take("core", found.trace)], most_steps=10))
    assert data["runs"][0]["step"].__len__() == 10
    assert data["runs"][0]["whole"] is False
    assert data["notes"] == ["This page holds the first 10 of 38 steps of the core's run; the rest is left out."]


def test_numbers_of_rows_and_stretches() -> None:
    rows = np.array([[1, 2], [3, 4], [3, 4], [1, 2], [3, 4]])
    unique, numbers = distinct(rows)
    assert (unique[numbers] == rows).all()
    assert numbers.tolist() == [1, 0, 0, 1, 0]
    assert stretches(np.array([True, True, False, True])) == [[0, 2], [3, 4]]
    assert stretches(np.array([False])) == []


def test_run_and_show_write_pages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = tmp_path / "run.html", tmp_path / "show.html"
    assert main(["run", "add", "96", "125", "--teacher", str(PROGRAMS / "addition.npi"), "--html", str(one)]) == 0
    assert "run.html" in capsys.readouterr().err
    assert main(["show", str(PROGRAMS / "addition.npi"), "--task", "add", "96", "125", "--html", str(two)]) == 0
    first, second = (document(file.read_text())["runs"][0] for file in (one, two))
    assert first["step"] == second["step"]
    assert first["states"] == second["states"]
    assert first["verdict"].startswith("right: ")


def test_a_core_that_goes_wrong_has_both_runs_on_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slipping = RunnableTask("bubblesort.sort", SORT, SORT.task("sort"), Slip(SORT))
    monkeypatch.setattr("npi.cli.run.open_to_run", lambda library, **_: SORT)
    monkeypatch.setattr("npi.running.runs.runnable_tasks", lambda *_: [slipping])
    out = tmp_path / "run.html"
    assert main(["run", "sort", "3,1,2,7,5", "--quiet", "--html", str(out)]) == 1
    core, meant = document(out.read_text())["runs"]
    assert (core["by"], core["other"], meant["by"], meant["other"]) == ("core", "program text", "program text", "")
    assert core["verdict"].startswith("wrong: ")
    assert meant["verdict"].startswith("right: ")
    assert core["differing"]
