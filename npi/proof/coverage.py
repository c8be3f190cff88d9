"""What of a program file a certificate covers: a proof of some programs says nothing about the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dsl.program import ProgramSet
from npi.proof.certificate import Certificate
from npi.proof.check_certificate import Finding


def uncovered(certificate: Certificate, findings: Sequence[Finding], programs: ProgramSet) -> list[str]:
    """The programs that a file brings and its tasks, in words, whose certificate is not there or does not hold.

    Programs that were learned from a signal have no text to be compared with: any answer of theirs is covered, and
    tasks that run them are not.

    Args:
        findings: of the whole certificate.
    """
    holds, place = set[str](), 0
    for file in certificate.files:
        mine = findings[place : place + len(file.programs)]
        place += len(file.programs)
        if file.digest == programs.digest:
            holds |= {finding.program for finding in mine if not finding.fault}
    stem = Path(programs.sources[-1][0]).stem
    bodies = [p.name for p in programs.programs if p.signal is None and p.name.partition(".")[0] == stem]
    runs = {task.name: programs.program(task.program).name for task in programs.tasks}
    found = [f"program {name}" for name in bodies if name not in holds]
    return found + [f"task {task}, which runs {name}" for task, name in runs.items() if name not in holds]
