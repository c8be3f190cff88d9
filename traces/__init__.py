"""The machine that runs programs, and the traces that it records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envs.support.lazy_exports import lazy

if TYPE_CHECKING:
    from traces.generation.generate import generate, record_traces
    from traces.generation.shards import generate_part, merge_parts
    from traces.machine.lockstep import run
    from traces.machine.outcome import Budget, Outcome, Status
    from traces.recording.batch import TraceBatch, concatenate
    from traces.recording.recorder import ManualRecorder, Recorder
    from traces.recording.text import text
    from traces.recording.unique_frames import ConflictError, FrameSet, check_rule, unique_frames
    from traces.storage.trace_set import TraceInfo, TraceSet, TraceSetWriter
    from traces.viewing.states import png

__all__ = [
    "Budget",
    "ConflictError",
    "FrameSet",
    "ManualRecorder",
    "Outcome",
    "Recorder",
    "Status",
    "TraceBatch",
    "TraceInfo",
    "TraceSet",
    "TraceSetWriter",
    "check_rule",
    "concatenate",
    "generate",
    "generate_part",
    "merge_parts",
    "png",
    "record_traces",
    "run",
    "text",
    "unique_frames",
]

__getattr__, __dir__ = lazy(__name__)
