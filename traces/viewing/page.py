"""A run as a page: one HTML file that needs no network and no other file; the call tree, the pad at every step.

The page's text, style and code lie in ``traces/viewing/assets``. What they show is one JSON document in the page, in
which nothing can end the element that holds it; the code shows it as text, never as markup; and the page's own policy
lets the browser run and load nothing but what is in these files. Pictures are data in the document too.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from envs.spec import RETURN, ProgramTable
from envs.stepper import Observation, Stepper
from traces.recording.batch import Ints, TraceBatch
from traces.recording.text import call_text, name_text, time_order
from traces.viewing.states import States

MAX_STEPS = 200_000
"""A page holds the beginning of a run that is longer."""


@dataclass(frozen=True)
class Comparison:
    """Two opinions about the steps of one trace, in the order of the trace's columns.

    Attributes:
        calls_S4: what the other stepper would have called.
        compared_S: whether it was asked: not after the first difference in a frame, where it would speak of a way
            that it would not have gone. A frame that is called later begins anew for both.
        differs_S: whether it was asked and would have called something else.
    """

    calls_S4: Ints
    compared_S: NDArray[np.bool_]
    differs_S: NDArray[np.bool_]


def compare(stepper: Stepper, trace: TraceBatch) -> Comparison:
    """Ask a stepper about every frame of some traces: one step of all frames at a time.

    The stepper sees what was observed, with its own hidden numbers.
    """
    calls_S4 = np.zeros_like(trace.calls)
    compared_S = np.zeros(trace.steps, bool)
    differs_S = np.zeros(trace.steps, bool)
    frame_m = np.flatnonzero(trace.length > 0)  # frames that still agree and go on
    hidden_MH = torch.zeros(len(trace.program), stepper.width, dtype=stepper.dtype)
    number = 0
    with torch.no_grad():
        while len(frame_m):
            step_m, index_m = trace.start[frame_m] + number, torch.from_numpy(frame_m)
            decision = stepper.step(
                Observation(torch.from_numpy(trace.obs[step_m].astype(np.int64))),
                torch.from_numpy(trace.program[frame_m].astype(np.int64)),
                torch.from_numpy(trace.arguments[frame_m].astype(np.int64)),
                hidden_MH[index_m],
            )
            hidden_MH[index_m] = decision.hidden_BH
            other_m4 = decision.call_B4.numpy().copy()
            other_m4[other_m4[:, 0] == RETURN, 1:] = 0
            differs_m = (other_m4 != trace.calls[step_m]).any(axis=1)
            calls_S4[step_m], compared_S[step_m], differs_S[step_m] = other_m4, True, differs_m
            number += 1
            frame_m = frame_m[~differs_m & (trace.length[frame_m] > number)]
    return Comparison(calls_S4, compared_S, differs_S)


@dataclass(frozen=True)
class Take:
    """One run as a page shows it.

    Attributes:
        by: who decided, ``"core"``.
        states: its states; None where they are not known, and only what was observed is shown.
        verdict: how it ended, in words; empty where nothing is to be said. right: whether that is good.
        other: who else was asked, ``"program text"``, and ``comparison``, what it said; None where none was.
    """

    by: str
    trace: TraceBatch
    states: States | None = None
    verdict: str = ""
    right: bool = True
    other: str = ""
    comparison: Comparison | None = None


def page(title: str, takes: Sequence[Take], *, notes: Sequence[str] = (), most_steps: int = MAX_STEPS) -> str:
    """The page's text.

    Args:
        takes: at least one, of one table; the first is shown first. notes: sentences below the title.
        most_steps: of each run, the rest is left out and a note says so.
    """
    table, notes = takes[0].trace.table, list(notes)
    for take in takes:
        if take.trace.steps > most_steps:
            held = f"the first {most_steps:,} of {take.trace.steps:,} steps"
            notes.append(f"This page holds {held} of the {take.by}'s run; the rest is left out.")
    runs = [run_document(take, most_steps=most_steps) for take in takes]
    document = {
        "title": title,
        "notes": notes,
        "primitives": table.primitives,
        "names": [name_text(table, callee) for callee in range(len(table))],
        "docs": [signature.doc for signature in table.signatures],
        "fields": [  # a core sees a picture in place of those that are pictured
            {"name": field.name, "values": field.values, "pictured": number not in table.world.seen}
            for number, field in enumerate(table.world.fields)
        ],
        "runs": runs,
        "pictures": shared_pictures(runs),
    }
    return fill({"title": escape(title), "data": script_json(document)})


def run_document(take: Take, *, most_steps: int = MAX_STEPS) -> dict[str, Any]:
    """What the page's code reads of one run: steps in the order of time, as numbers of different calls and sights."""
    trace = take.trace
    order_S = time_order(trace)[:most_steps]
    seen_UF, seen_S = distinct(trace.obs[order_S])
    others_D4 = np.zeros((0, 4), trace.calls.dtype)
    differing: list[int] = []
    alone: list[list[int]] = []
    if take.comparison is not None:
        differing = np.flatnonzero(take.comparison.differs_S[order_S]).tolist()
        others_D4 = take.comparison.calls_S4[order_S[differing]]
        alone = stretches(~take.comparison.compared_S[order_S])
    calls_U4, numbers = distinct(np.concatenate([trace.calls[order_S], others_D4]))
    return {
        "by": take.by,
        "verdict": take.verdict,
        "right": take.right,
        "other": take.other if take.comparison is not None else "",
        "head": _call(trace.table, [int(trace.program[0]), *trace.arguments[0].tolist()]),
        "calls": [_call(trace.table, call) for call in calls_U4.tolist()],
        "seen": seen_UF.tolist(),
        "step": numbers[: len(order_S)].tolist(),
        "sight": seen_S.tolist(),
        "differing": differing,
        "instead": numbers[len(order_S) :].tolist(),
        "alone": alone,
        "whole": len(order_S) == trace.steps,
        "states": None if take.states is None else take.states.to_json(),
    }


def shared_pictures(runs: Sequence[dict[str, Any]]) -> list[str]:
    """The different pictures of all states, which from now on name theirs by their places in this list."""
    places: dict[str, int] = {}
    for run in runs:
        if run["states"] is not None and "pictures" in run["states"]:
            run["states"]["pictures"] = [
                places.setdefault(picture, len(places)) for picture in run["states"]["pictures"]
            ]
    return list(places)


def distinct(rows_SK: Ints) -> tuple[Ints, Ints]:
    """The different rows, the most frequent first (their numbers are the shortest), and each row's number."""
    if not len(rows_SK):
        return rows_SK, np.zeros(0, np.int64)
    rows_UK, number_S, count_U = np.unique(rows_SK, axis=0, return_inverse=True, return_counts=True)
    order_U = np.argsort(-count_U, kind="stable")
    place_U = np.empty_like(order_U)
    place_U[order_U] = np.arange(len(order_U))
    return rows_UK[order_U], place_U[number_S.reshape(-1)]


def stretches(flag_S: np.ndarray[Any, np.dtype[np.bool_]]) -> list[list[int]]:
    """``[first, last + 1]`` of each run of true flags."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flag_S, [False]]).astype(np.int8)))
    return [[int(begin), int(end)] for begin, end in edges.reshape(-1, 2)]


def _call(table: ProgramTable, call: Sequence[int]) -> list[Any]:
    return [call[0], call_text(table, call)]


def script_json(document: object) -> str:
    """JSON that can stand inside a ``script`` element: no character in it means anything to HTML or JavaScript."""
    text = json.dumps(document, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def fill(values: Mapping[str, str]) -> str:
    """The template with ``{{name}}`` replaced by values, and by the page's own style, code and policy."""
    folder = files("traces.viewing") / "assets"
    style = (folder / "page.css").read_text("utf-8")
    code = "\n".join((folder / name).read_text("utf-8") for name in ("model.js", "pad.js", "view.js"))
    own = f"style-src {_hash(style)}; script-src {_hash(code)}; img-src data:"
    policy = f"default-src 'none'; {own}; base-uri 'none'"
    parts = {**values, "style": style, "code": code, "policy": policy}
    template = (folder / "page.html").read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
