"""What people are told of a row that is not right: where it is wrong, in words, and what would help."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from envs.spec import ProgramTable
from npi.universal.induction.replay import Replay
from npi.universal.plan import Plan
from npi.universal.proof import Mistake, Proof
from npi.universal.symbols import names_of


def notes(name: str, plan: Plan, table: ProgramTable, proof: Proof | None, replay: Replay | None) -> Iterator[str]:
    """Lines on one program; none where its row is right.

    Args:
        proof: against its text, where it has one. replay: against its frames, where its states were inferred.
    """
    wrong_proof, wrong_replay = proof is not None and not proof.holds, replay is not None and not replay.holds
    if not wrong_proof and not wrong_replay:
        return
    if replay is not None and wrong_replay:
        yield f"{name} is wrong in {replay.wrong:,} of {replay.frames:,} frames:"
        yield from map(in_words, replay.mistakes)
    if proof is not None and wrong_proof:
        yield f"{name} is wrong in {proof.wrong:,} of {proof.decisions:,} configurations:"
        yield from map(in_words, proof.mistakes)
    bare = name.rpartition(".")[2]
    if replay is None:
        yield widest(bare, plan)
    elif wrong_replay:
        yield f"{thin(plan, table)}; or raise --updates or --starts"
    else:
        yield (
            f"{bare} is right in all {replay.frames:,} frames, and no frame shows what it does there: "
            f"{thin(plan, table)}; or learn it from its text, without --from-traces"
        )


def in_words(mistake: Mistake) -> str:
    """One wrong decision."""
    return f"  state {mistake.state} sees {mistake.seen}: {mistake.calls}, where {mistake.should} is right"


def widest(bare: str, plan: Plan) -> str:
    """What helps where the text is known: the decision with the most configurations is to be split."""
    state = max(plan.states, key=lambda state: len(state.outcome_M))
    return (
        f"one of its decisions looks at {len(state.inputs)} things in {len(state.outcome_M):,} configurations: let a "
        f"program that {bare} calls look at some of them, or raise --updates or --starts"
    )


def thin(plan: Plan, table: ProgramTable) -> str:
    """What helps where states were inferred: of which state the most configurations were never seen."""
    possible = [
        math.prod(len(names_of(read, table.world, plan.signature)) for read in state.inputs) for state in plan.states
    ]
    seen = [len(np.unique(state.seen_MR, axis=0)) for state in plan.states]
    number = max(range(len(seen)), key=lambda n: possible[n] - seen[n])
    if possible[number] == seen[number]:
        return "give traces whose frames are longer or more varied"
    return (
        f"state {number} was seen in {seen[number]:,} of the {possible[number]:,} configurations of what it reads, "
        "so give more traces, or others (--traces, --seed)"
    )


def too_large(*, inferred: bool) -> str:
    """What helps where a program does not fit the core."""
    more = "give more traces, which may show that it looks at less; or " if inferred else ""
    return f"{more}split it into programs that call each other, or train a core whose rows have more room"
