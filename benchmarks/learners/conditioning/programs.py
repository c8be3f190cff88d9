"""Rows of programs: a discrete core whose two layers a row conditions in one of four ways.

A core is trained on addition and bubble sort; RJMP and MAX are then learned as rows beside it, as it stands.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from benchmarks.common import ROOT
from benchmarks.learners.conditioning.modes import Conditioner
from npi.core.config import CoreConfig, TrainConfig
from npi.core.discrete import DiscreteTrunk
from npi.core.recurrent import recurrent
from npi.jobs.train import gather, new_library
from npi.reproduce.ledger import Result
from npi.training.examples import bits_for
from npi.training.frame_objective import FrameObjective
from npi.training.induction.inferred_places import finders_of
from npi.training.learn_rows import LearnConfig, RowObjective, new_rows
from npi.training.loop import Descent, Objective, frozen
from npi.training.ranks import ALONE

TRAINED, NEW = ("addition", "bubblesort"), "max"

ROW, EVERY = 64, 25


def conditioned(trunk: DiscreteTrunk, mode: str, row: int, generator: torch.Generator) -> None:
    """Give a trunk another conditioning; its own is no longer used.

    What lasts a batch is then the row itself, and whether its program uses the state.
    """
    conditioner = Conditioner(mode, row, [trunk.hidden] * 2, scale=0.5, generator=generator)
    del trunk.film
    trunk.conditioner = conditioner

    def advance(x_BX: torch.Tensor, cond_BC: torch.Tensor, code_B1: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        first, second = conditioner(cond_BC[:, :row])
        bits = ((code_B1 - 1) & trunk.places).ne(0).to(x_BX.dtype) * 2 - 1
        state = torch.where(code_B1 > 0, bits, 0.0) * (cond_BC[:, row:] if cond_BC.shape[1] > row else 1.0)
        below = torch.relu(first(x_BX + trunk.state(state)))
        above = torch.relu(second(trunk.middle(below)))
        return above, trunk.bit(above)

    trunk.condition = lambda embeddings_NP: embeddings_NP  # type: ignore[method-assign]
    trunk.advance = advance  # type: ignore[method-assign]


def run(mode: str, seed: int, row: int = ROW) -> Result:
    """Updates until every step is right: of a core and its rows, and of new rows beside the frozen core."""
    training, learning = TrainConfig(seed=seed), LearnConfig(seed=seed)
    datasets = gather([ROOT / "programs" / f"{name}.npi" for name in (*TRAINED, NEW)], traces=8, seed=seed)
    finders, most = finders_of(datasets)
    known = datasets[: len(TRAINED)]
    library = new_library(CoreConfig(row=row, bits=bits_for(most)), known, seed=seed)
    core = recurrent(library.core)
    assert isinstance(core.trunk, DiscreteTrunk)
    conditioned(core.trunk, mode, row, torch.Generator().manual_seed(seed))
    began = time.process_time()
    whole = FrameObjective(library, [one.frames for one in known], training, finders=finders[: len(TRAINED)])
    trained = _updates(whole, training.updates, lambda: not sum(whole.supervision.check(ALONE)[0].values()))
    seconds = time.process_time() - began
    fresh = new_rows(library, datasets[len(TRAINED) :])
    near = library.near(fresh[0].sees or ())
    rows = RowObjective(near, datasets[len(TRAINED) :], fresh, learning, finders[len(TRAINED) :])

    def one_start_is_right() -> bool:
        wrong = rows.supervision.check(ALONE)[0]
        return len({(row - rows.old) // len(fresh) for row in wrong}) < learning.starts

    with frozen(rows.core):
        learned = _updates(rows, learning.updates, one_start_is_right)
    parameters = sum(weight.numel() for weight in core.trunk.conditioner.parameters())
    return {"CPU seconds": seconds, "parameters": parameters, "trained": trained, "learned": learned}


def _updates(objective: Objective, most: int, done: Callable[[], bool]) -> int | None:
    """Updates until a check finds nothing wrong; none where that is not reached."""
    descent = Descent(objective.groups(), objective.schedule)
    for update in range(most):
        descent.update(objective, update)
        if (update + 1) % EVERY == 0 and done():
            return update + 1
    return None
