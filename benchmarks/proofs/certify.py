"""Certified programs: how long they take, and attempts to prove the proofs wrong.

    python -m benchmarks.proofs.certify train                  # addition; with bubble sort, then MAX; every program
    python -m benchmarks.proofs.certify train --only addition  # one of: addition, together, programs
    python -m benchmarks.proofs.certify mutation               # 1,000 corruptions of a certified library
    python -m benchmarks.proofs.certify attack                 # 10 million steps on random and adversarial inputs

Results lie in ``runs/certify``; each part writes its table to ``docs/results``.
"""

from __future__ import annotations

import argparse
import copy
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from benchmarks.common import ROOT, each_seed, plain_arguments, results, run_recipe, write
from benchmarks.language.trained_and_certified import label, written
from dsl import compile_teacher, load
from dsl.program import ProgramSet
from dsl.tasks.task import Problem
from envs.stepper import Observation, Stepper
from npi.core.config import CoreConfig, TrainConfig
from npi.jobs.train import new_library
from npi.library.library import Library
from npi.program_memory import GATES
from npi.proof.call_effects import domains
from npi.proof.certificate import Certificate
from npi.proof.check_certificate import check
from npi.proof.counterexample import disagreements
from npi.proof.prove import Certifier, certificate_of, prove
from npi.recurrent import learn
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, spread
from npi.running.evaluate import run_problems
from npi.training.dataset import Dataset
from npi.training.examples import bits_for
from npi.training.frame_objective import FrameObjective
from npi.training.induction.inferred_places import finders_of
from npi.training.learn_rows import LearnConfig
from npi.training.loop import fit
from npi.training.validation import TaskValidator
from traces.generation.generate import record_traces
from traces.machine.lockstep import Budget, Status
from traces.recording.unique_frames import FrameSet, unique_frames

ADDITION, BUBBLESORT, MAX = (ROOT / "programs" / f"{name}.npi" for name in ("addition", "bubblesort", "max"))
MUTANTS = 1000
INPUTS = 10_000
ATTACK_STEPS = 10_000_000


class NotProvedError(RuntimeError):
    """Training spent its updates without a proof."""


def certified(
    sets: Sequence[ProgramSet],
    *,
    seed: int,
    core: CoreConfig | None = None,
    training: TrainConfig | None = None,
    found: Result | None = None,
) -> Library:
    """A library trained until every program of these files is proved; figures go into ``found``."""
    began = time.process_time()
    training = training or TrainConfig(seed=seed, certify=True)
    datasets = [Dataset.from_programs(programs, traces=32, seed=seed) for programs in sets]
    finders, most = finders_of(datasets)
    core = core or CoreConfig()
    library = new_library(replace(core, bits=max(core.bits, bits_for(most))), datasets, seed=seed)
    certifier = Certifier(TaskValidator(library, sets, training), library, sets, states=training.states)
    objective = FrameObjective(library, [m.frames for m in datasets], training, finders=finders, validate=certifier)
    progress = fit(objective, objective.schedule)
    if found is not None:
        found |= {"proved": progress.solved, "updates": progress.update, "seconds": time.process_time() - began}
        found |= {"rounds": certifier.rounds} | figures(library, check_it=progress.solved)
    elif not progress.solved:
        raise NotProvedError(f"{', '.join(s.path for s in sets)}: not proved after {training.updates} updates")
    return library


def figures(library: Library, *, check_it: bool) -> Result:
    """Configurations, least margin, CPU seconds of the walk and of the independent check, and whether that holds."""
    began = time.process_time()
    proofs = prove(library)
    walked = time.process_time()
    found: Result = {
        "configurations": sum(p.configurations for _, mine in proofs for p in mine),
        "margin": min(p.margin for _, mine in proofs for p in mine),
        "walk": walked - began,
    }
    if check_it:
        findings = check(certificate_of(library, proofs), library)
        found |= {"check": time.process_time() - walked, "holds": not any(f.fault for f in findings)}
    return found


# From nothing to a proof


def one_file(path: Path, seed: int) -> Result:
    found: Result = {}
    certified([load(path)], seed=seed, found=found)
    print(f"  {found}", flush=True)
    return found


def together(seed: int) -> Result:
    """Addition and bubble sort in one core; then MAX and RJMP learned as rows, and the old certificate checked."""
    found: Result = {}
    library = certified([load(ADDITION), load(BUBBLESORT)], seed=seed, found=found)
    if found["proved"]:
        old = certificate_of(library, prove(library))
        dataset = Dataset.from_programs(load(MAX), traces=8, seed=seed)
        learned = learn(library, [dataset], LearnConfig(seed=seed))
        found["learned"] = {"proved": learned.solved, "updates": learned.updates, "seconds": learned.seconds}
        found["learned"] |= figures(library, check_it=learned.solved)
        found["old_holds"] = not any(finding.fault for finding in check(old, library))
    print(f"  {found}", flush=True)
    return found


def certified_page(everything: Sequence[tuple[str, Sequence[Result]]]) -> dict[str, Content]:
    """The table of what has been trained: titles and the results of their seeds."""
    rows = [["what", "seeds", "proved", "CPU s", "rounds", "configurations", "margin", "CPU s: walk, check"]]
    for title, done in everything:
        rows.append(_row(title, done))
        learned = [r["learned"] for r in done if "learned" in r]
        if learned:
            held = sum(r["old_holds"] for r in done if "old_holds" in r)
            rows.append(_row(f"… and MAX, RJMP learned as rows (the old certificate holds in {held})", learned))
    seconds = [r["seconds"] for title, done in everything for r in done if title == "addition"]
    return {"programs": rows, "addition": f"{statistics.median(seconds or [math.nan]):.1f}", "seeds": str(len(seconds))}


def _row(title: str, done: Sequence[Result]) -> list[str]:
    good = [r for r in done if r["proved"]]
    return [
        title,
        str(len(done)),
        f"{len(good)} of {len(done)}",
        spread([r["seconds"] for r in done], 1),
        spread([r["rounds"] for r in done], 0) if "rounds" in done[0] else "not counted",
        spread([r["configurations"] for r in done], 0),
        f"{min(r['margin'] for r in done):.2f}",
        f"{max(r['walk'] for r in done):.2f}, {max((r.get('check', math.nan) for r in good), default=math.nan):.2f}",
    ]


# Mutation


def corrupted(library: Library, *, rows: bool, generator: torch.Generator) -> Library:
    """A copy in which one weight of the core, or one row, has other numbers."""
    mutant = Library(copy.deepcopy(library.core), copy.deepcopy(library.memory), library.sets)
    draw = torch.rand(4, generator=generator).tolist()
    size = 10 ** (4 * draw[0] - 3)  # 0.001 to 10
    with torch.no_grad():
        if rows:
            memory = mutant.memory
            programs = [i for i, info in enumerate(memory.infos) if not info.primitive]
            row = programs[int(draw[1] * len(programs))]
            if draw[2] < 0.2 and memory.gates_NF.shape[1]:
                place, bit = divmod(int(draw[3] * memory.gates_NF.shape[1] * GATES), GATES)
                memory.gates_NF[row, place] = int(memory.gates_NF[row, place]) ^ 1 << bit
            else:
                for numbers in (memory.keys_NK, memory.embeddings_NP):
                    numbers[row] += size * torch.randn(numbers.shape[1], generator=generator)
        else:
            weights = list(mutant.core.parameters())
            counts = torch.tensor([w.numel() for w in weights])
            place = int(draw[1] * int(counts.sum()))
            which = int(torch.searchsorted(counts.cumsum(0), place, right=True))
            flat = weights[which].view(-1)
            index = place - int(counts[:which].sum())
            if draw[2] < 0.25:  # one bit of the number
                flat.view(torch.int32)[index] ^= 1 << min(30, int(31 * draw[3]))
            else:
                flat[index] = (-flat[index], torch.zeros(()), flat[index] + 30 * size)[min(2, int(3 * draw[3]))]
    return mutant


def differing(library: Library, mutant: Library, certificate: Certificate) -> bool:
    """Whether the two cores call differently in some certified configuration; fields left out there hold anything."""
    generator = torch.Generator().manual_seed(0)
    for file in certificate.files:
        programs = next(s for s in library.sets if s.digest == file.digest)
        fields = programs.world.spec.fields
        for program in file.programs:
            rows = program.configurations.to(torch.int64)
            obs = torch.stack([torch.randint(f.size, (len(rows),), generator=generator) for f in fields], 1)
            for column, name in enumerate(program.fields, start=5):
                obs[:, programs.world.spec.field(name)] = rows[:, column]
            which = torch.full((len(rows),), programs.table.id(program.name))
            one, two = (
                x.stepper(programs.table, memo=False).step(Observation(obs), which, rows[:, :3], rows[:, 4:5]).call_B4
                for x in (library, mutant)
            )
            returns = (one[:, 0] == -1) & (two[:, 0] == -1)
            if not bool(((one == two).all(1) | returns).all()):
                return True
    return False


def frames_of_inputs(sets: Sequence[ProgramSet], inputs: int, *, seed: int) -> list[FrameSet]:
    """The different frames of the teacher's runs of this many random inputs, over all tasks and sizes alike."""
    tasks = [(programs, task) for programs in sets for task in programs.tasks if task.train_sizes]
    found = []
    for programs, task in tasks:
        each = math.ceil(inputs / len(tasks) / len(task.train_sizes))
        traces = record_traces(programs, task=task.name, traces=dict.fromkeys(task.train_sizes, each), seed=seed)
        found.append(unique_frames([traces]))
    return found


def mutation(seed: int, *, mutants: int = MUTANTS, inputs: int = INPUTS) -> Result:
    """Corrupt a certified library many times: what the checker says, against what truly changed."""
    began = time.process_time()
    sets = [load(ADDITION), load(BUBBLESORT)]
    library = certified(sets, seed=seed)
    certificate = certificate_of(library, prove(library))
    tried = frames_of_inputs(sets, inputs, seed=1_000_000 + seed)
    generator = torch.Generator().manual_seed(seed)
    found: Result = dict.fromkeys(("mutants", "changed", "caught", "missed", "passed", "passed_wrong", "spared"), 0)
    found["frames"] = sum(len(frames) for frames in tried)
    for number in range(mutants):
        mutant = corrupted(library, rows=bool(number % 2), generator=generator)
        fault = any(f.fault for f in check(certificate, mutant, hashes=False))
        changed = differing(library, mutant, certificate)
        found["mutants"] += 1
        found["changed"] += changed
        found["caught"] += changed and fault
        found["missed"] += changed and not fault
        found["spared"] += fault and not changed  # another state code or margin, and no other call in what was listed
        if not fault:
            found["passed"] += 1
            found["passed_wrong"] += any(disagreements(mutant.stepper(frames.table), frames) for frames in tried)
        if number % 100 == 99:
            print(f"  {found}, {time.process_time() - began:.0f} s", flush=True)
    found["seconds"] = time.process_time() - began
    return found


def mutation_page(done: Sequence[Result]) -> dict[str, Content]:
    head = ["seed", "corruptions", "change a decision", "of these caught", "pass the checker", "of these wrong"]
    keys = ("seed", "mutants", "changed", "caught", "passed", "passed_wrong")
    return {"corruptions": [head, *([r[key] for key in keys] for r in done)]}


# Attack


def addition_attacks(programs: ProgramSet, generator: torch.Generator) -> Iterator[tuple[str, list[Problem]]]:
    """Inputs that carry far, or not at all, or are of very different lengths; then random ones."""
    add = programs.task("add")

    def problems(pairs: Sequence[tuple[int, int]]) -> list[Problem]:
        return [add.problem({"a": a, "b": b}) for a, b in pairs]

    nines = [10**n - 1 for n in range(1, 101)]
    yield "all nines", problems([(a, b) for a in nines for b in (1, a)])
    yield "one digit against 10,000", problems([(10**10_000 - 1, 1), (7, 10**9_999), (10**10_000 - 1, 0)])
    yield "every pair below 100", problems([(a, b) for a in range(100) for b in range(100)])
    yield "long carries", problems([(10**n - 10**m, 10**m) for n in range(1, 60, 3) for m in range(n)])
    while True:
        size = int(torch.randint(1, 200, (1,), generator=generator))
        yield "random", add.draw(size, 256, generator=generator, spread=True)


def sorting_attacks(programs: ProgramSet, generator: torch.Generator) -> Iterator[tuple[str, list[Problem]]]:
    """Lists in order, in the wrong order, alike, and of one item; then random ones."""
    sort = programs.task("sort")
    for name, make in (
        ("in order", lambda n: sorted(i % 10 for i in range(n))),
        ("reversed", lambda n: sorted((i % 10 for i in range(n)), reverse=True)),
        ("alike", lambda n: [9] * n),
        ("0 and 9 in turn", lambda n: [9 * (i % 2) for i in range(n)]),
    ):
        yield name, [sort.problem({"items": make(n)}) for n in range(1, 41)]
    yield "every list of three", [sort.problem({"items": [i // 100, i // 10 % 10, i % 10]}) for i in range(1000)]
    while True:
        size = int(torch.randint(1, 50, (1,), generator=generator))
        yield "random", sort.draw(size, 128, generator=generator, spread=True)


def strewn(programs: ProgramSet, count: int, generator: torch.Generator) -> list[Problem]:
    """Pads that no task lays: anything in every row within its certified domain, empty rows too."""
    held, task = domains(programs), programs.tasks[0]
    rows = {row.name: row for row in programs.world.config.rows}
    found = []
    for _ in range(count):
        layout = {}
        for name, row in rows.items():
            values = torch.tensor([row.values.index(v) for v in held[name]])
            length = int(torch.randint(0 if row.blank else 1, 13, (1,), generator=generator))
            layout[name] = values[torch.randint(len(values), (length,), generator=generator)].tolist()
        found.append(Problem({}, layout, task.program, (0, 0, 0), 12))
    return found


def compared(stepper: Stepper, programs: ProgramSet, problems: Sequence[Problem]) -> tuple[int, int]:
    """Steps that the core took, and runs that did not end as the teacher's: with the same pad after as many steps."""
    teacher = run_problems(compile_teacher(programs), programs, problems)
    core = run_problems(stepper, programs, problems, budget=Budget(steps=int(teacher.steps_N.max()) + 16))
    same = (teacher.steps_N == core.steps_N) & (core.status_N == Status.DONE)
    readings = zip(teacher.read(programs.world), core.read(programs.world), strict=True)
    wrong = sum(not ok or one != two for ok, (one, two) in zip(same.tolist(), readings, strict=True))
    return int(core.steps_N.sum()), wrong


def attack(seed: int, *, steps: int = ATTACK_STEPS) -> Result:
    """Run certified addition and bubble sort on inputs meant to break them, until enough steps are done."""
    sets = [load(ADDITION), load(BUBBLESORT)]
    library = certified(sets, seed=seed)
    assert not any(f.fault for f in check(certificate_of(library, prove(library)), library))
    generator = torch.Generator().manual_seed(seed)
    began = time.process_time()
    found: Result = {"steps": 0, "inputs": 0, "failures": 0, "kinds": {}}
    sources = (addition_attacks(sets[0], generator), sorting_attacks(sets[1], generator))
    turn = 0
    while found["steps"] < steps or turn < 16:
        programs, source = sets[turn % 2], sources[turn % 2]
        kind, problems = next(source)
        batches = [(kind, problems)]
        if kind == "random":
            batches.append(("anything in every row", strewn(programs, 256, generator)))
        for name, mine in batches:
            done, wrong = compared(library.stepper(programs.table), programs, mine)
            label = f"{Path(programs.path).stem}, {name}"
            was = found["kinds"].get(label, [0, 0, 0])
            found["kinds"][label] = [was[0] + len(mine), was[1] + done, was[2] + wrong]
            found["steps"] += done
            found["inputs"] += len(mine)
            found["failures"] += wrong
        turn += 1
        print(f"  {kind}: {found['steps']:,} steps, {found['failures']} failures", flush=True)
    found["seconds"] = time.process_time() - began
    return found


def attack_page(done: Sequence[Result]) -> dict[str, Content]:
    rows = [["inputs", "how many", "steps", "failures"]]
    for name in dict.fromkeys(kind for r in done for kind in r["kinds"]):
        sums = [sum(r["kinds"].get(name, [0, 0, 0])[i] for r in done) for i in range(3)]
        rows.append([name, *(f"{n:,}" for n in sums)])
    rows.append(["all", *(f"{sum(r[key] for r in done):,}" for key in ("inputs", "steps", "failures"))])
    return {"inputs": rows}


def train_stages(options: argparse.Namespace) -> None:
    """Train what is asked for, and write the page of all that is finished."""
    stages: dict[str, Callable[[int], Result]] = {"addition": partial(one_file, ADDITION), "together": together}
    stages |= {label(path): partial(one_file, path) for path in written() if path != ADDITION}
    for name, run in stages.items() if not options.table else ():
        group = name if name in ("addition", "together") else "programs"
        asked = group != "programs" or not options.files or name in options.files
        if asked and group in (options.only or ("addition", "together", "programs")):
            each_seed(f"certify/{name}", options.seeds or ([0, 1] if group == "programs" else range(5)), run)
    titles = {"together": "addition and bubble sort in one core"}
    everything = [(titles.get(name, name), found) for name in stages if (found := results(f"certify/{name}"))]
    write("certified", certified_page(everything), [r for _, found in everything for r in found])


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.add_argument("part", choices=["train", "mutation", "attack"])
    parser.add_argument("--seeds", type=int, nargs="+", help="five for addition and together, two for programs, else 0")
    parser.add_argument("--only", choices=["addition", "together", "programs"], nargs="+")
    parser.add_argument("--files", nargs="+", help="with --only programs: such as examples/gcd; all by default")
    parser.add_argument("--table", action="store_true", help="only write the page from the stages that are finished")
    options = parser.parse_args()
    if options.part == "train":
        train_stages(options)
        return
    options.seeds = options.seeds or [0]
    run, contents = (mutation, mutation_page) if options.part == "mutation" else (attack, attack_page)
    run_recipe(options, f"certified-{options.part}", run, contents, name=f"certify/{options.part}")


if __name__ == "__main__":
    main()
