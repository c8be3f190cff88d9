"""Certificates and their checker: what is right holds, and every kind of change to what was certified is found."""

import ast
import copy
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import npi.proof.check_certificate
from benchmarks.faults.hostile_files import TEXT as MARK
from benchmarks.proofs.certify import certified, corrupted, differing
from dsl import compile_teacher, load, loads
from dsl.program import ProgramSet
from envs.spec import BLANK, RETURN
from envs.stepper import Observation
from npi.core.config import CoreConfig, TrainConfig
from npi.library.library import Library, LibraryError
from npi.proof.certificate import TOLERANCE, Certificate, CertifiedFile, CertifiedProgram
from npi.proof.check_certificate import _CoreNumbers, _Fault, _FileCheck, check
from npi.proof.configuration_walk import Walk, _Decided
from npi.proof.counterexample import disagreements
from npi.proof.prove import certificate_of, prove
from tests.support.paths import ROOT
from traces.generation.generate import record_traces
from traces.recording.unique_frames import unique_frames

TEXTS = [p for p in sorted((ROOT / "programs").rglob("*.npi")) if p.parent.name not in ("learning", "tools")]
FILES = [p for p in TEXTS if not load(p).world.spec.rendered]


@cache
def _library() -> Library:
    training = TrainConfig(problems=16)
    return certified([loads(MARK)], seed=0, core=CoreConfig(hidden=64, bits=4, row=32, key=8), training=training)


@cache
def _certificate() -> Certificate:
    return certificate_of(_library(), prove(_library()))


def _faults(certificate: Certificate, library: Library, *, hashes: bool = True) -> set[str]:
    return {finding.fault for finding in check(certificate, library, hashes=hashes)}


def test_a_certificate_holds_and_survives_its_file(tmp_path: Path) -> None:
    certificate = _certificate()
    certificate.save(tmp_path / "a.certificate")
    again = Certificate.open(tmp_path / "a.certificate")
    findings = check(again, _library())
    assert {finding.fault for finding in findings} == {""}
    assert [finding.program.rpartition(".")[2] for finding in findings] == ["CLEAR", "NOTE", "MOVE"]
    assert sum(finding.configurations for finding in findings) == certificate.configurations == again.configurations
    assert all(f.margin == pytest.approx(p.margin, abs=1e-3) for f, p in zip(findings, _programs(again), strict=True))
    assert again.files[0].domains == {"A": ["x", "y", "blank"], "B": ["x", "y", "blank"], "N": ["1", "blank"]}


def _programs(certificate: Certificate) -> tuple[CertifiedProgram, ...]:
    return certificate.files[0].programs


def test_every_byte_of_the_file_counts(tmp_path: Path) -> None:
    """Red when the file is read without its seal."""
    _certificate().save(tmp_path / "a.certificate")
    data = (tmp_path / "a.certificate").read_bytes()
    for place in range(0, len(data), max(1, len(data) // 97)):
        changed = bytearray(data)
        changed[place] ^= 1
        (tmp_path / "b.certificate").write_bytes(bytes(changed))
        with pytest.raises(ValueError):
            Certificate.open(tmp_path / "b.certificate")


def test_one_bit_of_the_library_voids_it() -> None:
    """Red when a hash leaves out a part of the core or a row that is certified."""
    for part in ("core", "memory"):
        for name in getattr(_library(), part).state_dict():
            library = copy.deepcopy(_library())
            tensor = getattr(library, part).state_dict()[name]
            flat = tensor.view(torch.int32).flatten()
            flat[len(flat) // 2] ^= 1
            assert all(fault.startswith("void") for fault in _faults(_certificate(), library)), name


def test_another_text_voids_it() -> None:
    library = copy.deepcopy(_library())
    library.sets = [loads(MARK.replace("Write a mark", "Write one mark"))]
    assert all("does not hold" in fault for fault in _faults(_certificate(), library))


def _elsewhere(configurations: torch.Tensor) -> torch.Tensor:
    changed = configurations.clone()
    changed[0, 3] = 99
    return changed


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda s: s[:-1], "not listed"),
        (lambda s: s[1:], "not listed"),
        (_elsewhere, "there cannot be"),
        (lambda s: s[:, :-1], "columns"),
        (lambda s: torch.cat([s, s[:, -1:]], 1), "columns"),
        (lambda s: -s - 1, "there cannot be"),
    ],
)
def test_a_wrong_list_of_configurations_is_found(change: Callable[[torch.Tensor], torch.Tensor], fault: str) -> None:
    certificate = _certificate()
    (file,) = certificate.files
    first, *others = file.programs
    wrong = replace(file, programs=(replace(first, configurations=change(first.configurations)), *others))
    found = check(replace(certificate, files=(wrong,)), _library())
    assert fault in found[0].fault
    assert [finding.fault for finding in found[1:]] == ["", ""]


class _Agreeing:
    """A core that decides as the teacher, of whose two state bits the second is always in doubt."""

    @staticmethod
    def decide(walk: Walk, wave: torch.Tensor) -> _Decided:
        which = torch.full((len(wave),), walk.program.id)
        taught = walk.teacher.step(Observation(walk.observe(wave)), which, walk.arguments[wave[:, 0]], wave[:, 1:2])
        value, ones = torch.tensor([[1.0, 0.0]]).expand(len(wave), 2), torch.ones(len(wave))
        return _Decided(taught.call_B4, taught.hidden_BH, value, ones == 0, ones)

    @staticmethod
    def margins(*given: Any) -> tuple[np.ndarray, np.ndarray]:
        rows = len(given[-1])
        return np.ones(rows, np.float32), np.tile(np.array([1, 0], np.float32), (rows, 1))


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT).with_suffix("")) for path in FILES])
def test_walk_and_checker_find_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On every program file, with a core that is right: red when one of the two forgets a successor, or invents one."""
    _same_in_both(load(path), monkeypatch)


EDGES = """
world list is scratchpad:
    row A of 0..2
    pointer P, Q on A at left
    order P, Q

program MARK:
    while not last(P):
        ACT(P, WRITE, 0)
        ACT(P, RIGHT)
    while P != Q and not first(P):
        ACT(P, LEFT)
    ACT(P, WRITE, 2)

task mark(items: list of 0..2):
    A = items
    run MARK
    expect len(A) == len(items)
    train items of 1..4
    test items of 5
"""
"""Effects with guards (an end of a list) and with conditions (two pointers on one cell)."""

JOINED = EDGES.replace(
    "\nprogram",
    """
world cards is bandit(arms: 2)

world desk joins cards, list

program PULLS:
    while P > 0 and TRIAL < 2:
        PULL(1)
        ACT(P, WRITE, P - 1)

program""",
)


@pytest.mark.parametrize("text", [EDGES, JOINED], ids=["edges", "joined"])
def test_walk_and_checker_find_the_same_of_a_text(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when the checker applies no guard, when it takes a guard for one on another field, and when one of the two
    lets a call of a joined world change other parts."""
    _same_in_both(loads(text), monkeypatch)


def _same_in_both(programs: ProgramSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Walk, "decide", _Agreeing.decide)
    monkeypatch.setattr(npi.proof.check_certificate._CoreNumbers, "margins", _Agreeing.margins)
    library = Library.create(CoreConfig(hidden=8, bits=2, row=4, key=4), [programs.table], sets=[programs])
    with torch.no_grad():
        library.memory.gates_NF.zero_()  # a row sees its state, and what its text reads
        library.memory.gates_NF[:, :: library.core.words] = 1.0
    certificate = certificate_of(library, prove(library))
    assert _faults(certificate, library) == {""}
    (file,) = certificate.files
    checker = _FileCheck(library, programs, file, TOLERANCE)
    generator = torch.Generator().manual_seed(0)
    for program in file.programs:
        for left_out in torch.randint(len(program.configurations), (4,), generator=generator).tolist():
            kept = torch.arange(len(program.configurations)) != left_out
            with pytest.raises(_Fault):
                checker.program(replace(program, configurations=program.configurations[kept]))


def test_a_world_of_pictures_is_refused_by_that_name() -> None:
    """The walk lists nothing there, so the certificate is written by hand; red where the checker goes on."""
    programs = loads(PICTURED)
    library = Library.create(CoreConfig(hidden=8, bits=2, row=4, key=4), [programs.table], sets=[programs])
    (program,) = programs.programs
    listed = CertifiedProgram(program.name, 1.0, (), (), torch.zeros(1, 5, dtype=torch.int64))
    file = CertifiedFile("look.npi", programs.digest, "", {}, (listed,))
    certificate = Certificate("0", library.core.digest(), TOLERANCE, (file,))
    assert _faults(certificate, library, hashes=False) == {
        "its world shows pictures, and there is no list of all pictures"
    }


PICTURED = """
world street is cars(seen: 10, unseen: 6, novel: 6)

program LOOK:
    while AZIMUTH != TO_AZIMUTH:
        ACT(RIGHT)
"""


def test_a_program_remembers_where_its_state_moves_what_it_decides() -> None:
    """The gate as the checker reads it, against the numbers that the core works out in two codes: red where another bit
    of the mask, or another base, is read."""
    programs = loads(MARK)
    library = Library.create(CoreConfig(hidden=8, bits=2, row=4, key=4), [programs.table], sets=[programs])
    program = programs.programs[0]
    rows = torch.zeros(2, 5, dtype=torch.int64).numpy()
    rows[:, 4] = 1, 3  # two codes of the state
    observed, calls = np.zeros((2, len(programs.world.spec.fields)), np.int64), np.full((2, 4), -1)
    calls[:, 0] = RETURN
    remembering = []
    for mask in range(12):
        with torch.no_grad():
            library.memory.gates_NF.fill_(mask)
        numbers = _CoreNumbers(library, programs)
        _, (one, two) = numbers.margins(program.id, observed, rows, calls)
        assert numbers.remembers(program.id) == (not np.array_equal(one, two)), mask
        remembering.append(numbers.remembers(program.id))
    assert 0 < sum(remembering) < len(remembering)


def test_a_call_that_hardly_leads_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Right by less than another device may be off: red where the checker asks for no lead."""
    margins = npi.proof.check_certificate._CoreNumbers.margins

    def small(*given: Any) -> tuple[np.ndarray, ...]:
        margin, value = margins(*given)
        return np.where(margin > 0, np.minimum(margin, TOLERANCE / 2), margin), value

    monkeypatch.setattr(npi.proof.check_certificate._CoreNumbers, "margins", small)
    findings = check(_certificate(), _library())
    assert all("configurations the core decides otherwise" in finding.fault for finding in findings)


def test_what_it_owns_up_to_must_be_all() -> None:
    """Fields, changes, callees and domains that a certificate leaves out."""
    certificate = _certificate()
    (file,) = certificate.files
    clear, note, move = file.programs

    def faults(**changes: object) -> list[str]:
        return [f.fault for f in check(replace(certificate, files=(replace(file, **changes),)), _library())]  # type: ignore[arg-type]

    assert "calls" in faults(programs=(clear, note))[0]
    assert "does not say so" in faults(programs=(clear, replace(note, changes=()), move))[1]
    assert "does not say so" in faults(programs=(replace(clear, changes=()), note, move))[0]
    assert "left out" in faults(programs=(replace(clear, fields=()), note, move))[0]
    assert "never to hold" in faults(domains=dict(file.domains) | {"N": ["blank"]})[1]
    assert all("blanks" in fault for fault in faults(domains=dict(file.domains) | {"N": ["1"]}))
    assert all("blanks" in fault for fault in faults(domains={"A": file.domains["A"]}))
    without_y = dict(file.domains) | {"A": ["x", BLANK]}
    assert all("layouts can hold y there" in fault for fault in faults(domains=without_y))


def test_rows_that_are_added_leave_it_valid() -> None:
    """Red when the certificate covers rows that its programs cannot call."""
    library = copy.deepcopy(_library())
    last = library.memory.infos[-1]
    infos = [replace(last, name="later.MORE", generation=1)]
    library.memory = library.memory.drawn(infos, generator=torch.Generator().manual_seed(1))
    assert _faults(_certificate(), library) == {""}
    with torch.no_grad():
        library.memory.keys_NK[1] += 1e-6
    assert all("rows" in fault for fault in _faults(_certificate(), library))


def test_what_really_happens_is_among_the_configurations() -> None:
    """Red when the walk, and the checker with it, leaves out something that inputs lead to."""
    library, (file,) = _library(), _certificate().files
    programs = library.sets[0]
    teacher, stepper = compile_teacher(programs), library.stepper(programs.table)
    frames = unique_frames([record_traces(programs, task="clear", traces={3: 60, 9: 60}, seed=3)])
    listed = {programs.table.id(p.name): {tuple(row) for row in p.configurations.tolist()} for p in file.programs}
    fields = {programs.table.id(p.name): [programs.world.spec.field(f) for f in p.fields] for p in file.programs}
    padded = frames.pad(torch.arange(len(frames)))
    node, code = torch.zeros(len(frames), 1).long(), torch.zeros(len(frames), 1).long()
    met = 0
    for step in range(padded.mask_BT.shape[1]):
        obs = padded.obs_BTF[:, step]
        for frame in padded.mask_BT[:, step].nonzero()[:, 0].tolist():
            program = int(padded.program_B[frame])
            head = [*padded.arguments_B3[frame].tolist(), int(node[frame])]
            seen = obs[frame, fields[program]].tolist()
            codes = {int(code[frame]), 0} if step else {0}  # left at 0 where the program does not use its state
            assert any((*head, one, *seen) in listed[program] for one in codes), (program, head, seen)
            met += 1
        node = teacher.step(Observation(obs), padded.program_B, padded.arguments_B3, node).hidden_BH
        code = stepper.step(Observation(obs), padded.program_B, padded.arguments_B3, code).hidden_BH
    assert met == frames.steps


def test_corrupted_libraries_are_caught() -> None:
    """A small version of ``python -m benchmarks.proofs.certify mutation``: no change of a decision goes by
    unnoticed."""
    library, certificate = _library(), _certificate()
    programs = library.sets[0]
    frames = unique_frames([record_traces(programs, task="clear", traces=dict.fromkeys(range(1, 6), 60), seed=5)])
    generator = torch.Generator().manual_seed(0)
    caught = 0
    for number in range(40):
        mutant = corrupted(library, rows=bool(number % 2), generator=generator)
        fault = _faults(certificate, mutant, hashes=False) != {""}
        if differing(library, mutant, certificate):
            assert fault
            caught += 1
        if not fault:
            assert not disagreements(mutant.stepper(programs.table, memo=False), frames)
    assert 0 < caught < 40


def test_numbers_that_are_not_finite_are_found() -> None:
    """A closed gate hides a field by a product with 0, which hides no infinity."""
    library = copy.deepcopy(_library())
    with torch.no_grad():
        library.core.adapter(0).table[0, 0] = torch.inf
    assert all("finite" in fault for fault in _faults(_certificate(), library, hashes=False))
    with pytest.raises(LibraryError, match="not finite"):
        prove(library)


def test_it_shares_no_code_with_the_walk() -> None:
    tree = ast.parse(Path(npi.proof.check_certificate.__file__).read_text())
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not names & {
        "npi.proof.configuration_walk",
        "npi.proof.prove",
        "npi.proof.call_effects",
        "npi.proof.world_audit",
    }
    assert len(Path(npi.proof.check_certificate.__file__).read_text().splitlines()) < 300


def test_every_configuration_left_out_is_found() -> None:
    """Red when the checker skips a kind of beginning or a kind of step."""
    certificate = _certificate()
    (file,) = certificate.files
    for number, program in enumerate(file.programs):
        for left_out in range(0, len(program.configurations), max(1, len(program.configurations) // 40)):
            kept = torch.arange(len(program.configurations)) != left_out
            programs = list(file.programs)
            programs[number] = replace(program, configurations=program.configurations[kept])
            lacking = replace(certificate, files=(replace(file, programs=tuple(programs)),))
            assert check(lacking, _library())[number].fault
