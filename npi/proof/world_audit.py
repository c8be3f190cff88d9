"""Whether a world does what a proof takes for granted, tried on runs of the teacher.

A proof rests on the declared domains of fields and rows, on the rules that observations obey, and on the effects of
calls. All three are checked on every step of traces: what was observed, and what came of it by the next step.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from dsl.program import ProgramSet
from envs.scratchpad.transitions import allowed, obeys, rules_of
from npi.proof.call_effects import call_effects, changed_by, domain_rules, domains
from traces.generation.generate import record_traces
from traces.recording.batch import TraceBatch
from traces.recording.text import call_text, observation_text
from traces.recording.unique_frames import FrameSet, unique_frames

TRACES = 4
"""Traces of each training size of each task that are tried before a proof."""


class UnsoundError(ValueError):
    """A world that does not do what it declares: nothing can be proved about programs in it."""


def audit(programs: ProgramSet, *, seed: int = 0) -> int:
    """Trace the tasks of a file and check every step; how many steps. Raises :class:`UnsoundError`."""
    batches = [
        record_traces(programs, task=task.name, traces=dict.fromkeys(task.train_sizes, TRACES), seed=seed)
        for task in programs.tasks
        if task.train_sizes
    ]
    return audit_traces(programs, batches) if batches else 0


def audit_traces(programs: ProgramSet, batches: Iterable[TraceBatch]) -> int:
    """Check every step of traces; how many. Raises :class:`UnsoundError` that shows a step that breaks a rule."""
    frames = unique_frames(batches)
    _check_observations(programs, frames)
    _check_steps(programs, frames)
    return frames.steps


def _check_observations(programs: ProgramSet, frames: FrameSet) -> None:
    spec, obs_SF = programs.world.spec, frames.obs_SF.to(torch.int64)
    sizes = [f.size for f in spec.fields]
    outside = ((obs_SF < 0) | (obs_SF >= torch.tensor(sizes))).nonzero()
    if len(outside):
        step, index = outside[0].tolist()
        raise UnsoundError(
            f"world {spec.name} shows {int(obs_SF[step, index])} in {spec.fields[index].name}, which is declared to "
            f"have the values 0 to {sizes[index] - 1}; fix the world or its declaration"
        )
    held = domains(programs)
    for rule in (*rules_of(spec), *domain_rules(programs, held)):
        broken = (~obeys(rule, sizes, obs_SF)).nonzero()
        if len(broken):
            names = ", ".join(spec.fields[i].name for i in rule.fields)
            seen = observation_text(frames.table, obs_SF[broken[0, 0]].tolist())
            raise UnsoundError(f"world {spec.name} breaks a rule that proofs rest on, about {names}: it shows {seen}")


def _check_steps(programs: ProgramSet, frames: FrameSet) -> None:
    spec, table = programs.world.spec, programs.table
    last = frames.start_M + frames.length_M - 1
    inner = torch.ones(frames.steps, dtype=torch.bool)
    inner[last] = False
    before = inner.nonzero()[:, 0]
    for call, effect in call_effects(programs, changed_by(programs)).items():
        mine = before[(frames.call_S4[before].to(torch.int64) == torch.tensor(call)).all(1)]
        was, now = (frames.obs_SF[mine + shift].to(torch.int64) for shift in (0, 1))
        wrong = (~allowed(spec, effect, was, now)).nonzero()
        if len(wrong):
            first = int(wrong[0, 0])
            raise UnsoundError(
                f"world {spec.name}: {call_text(table, call)} does what its effect does not allow: "
                f"from {observation_text(table, was[first].tolist())} to {observation_text(table, now[first].tolist())}"
            )
