"""Each row of the talk with next to no training: what it measures and what it is held against."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dsl import load
from envs.black_box.tables import Table
from envs.images.bindings import VARIABLE
from envs.objectives.world import Optimisee
from envs.speech.espeak import available
from envs.stepper import Action
from meta.connection_information.displays import SIMILAR, displays, outcomes
from meta.connection_information.lexicon import common_words, spelled
from meta.connection_information.network import evidence, read_letters
from meta.talk.page import picture
from meta.talk.row import Effort, Row, Run, file
from meta.talk.rows import ROWS, black_box, few_shot, imitation, modules, optimiser, programs
from npi.core.config import CoreConfig
from npi.jobs.train import learn_into
from npi.library.library import Library
from npi.library.wiring import SEAL
from npi.reproduce.ledger import Stopped
from npi.universal.core import SHIPPED
from tests.support.paths import PROGRAMS
from tests.support.tiny_paper import TINY

SMALL = {
    "many-programs": {"files": ("copy",)}, "hyper-parameters": {"data sets": 16},
    "metamimic": {"demonstrations": (1, 2)}, "network-ablation": {"widths": (8, 16)},
    "npi": {"recipe": "tiny"}, "max": {"recipe": "tiny"}, "wavenet": {"voices": 2, "seconds": 6.0},
    "wavernn": {"voices": 2, "seconds": 6.0},
}  # fmt: skip

THOROUGH = ("npi", "max", "wavenet", "wavernn")
"""Rows that train on pictures of cars, and those that need espeak-ng."""


def small(row: Row) -> Effort:
    """Two updates of two problems, tried on eight."""
    training = row.quick.training
    if training is not None:
        changed: dict[str, Any] = {"updates": 2, "batch": 4, "check_every": 2, "problems": 8}
        if hasattr(training, "optimizer_steps"):
            changed["optimizer_steps"] = 2
        training = replace(training, **changed)
    return Effort(training, 8, SMALL.get(row.key, {}))


def marked(keys: list[str]) -> list[Any]:
    return [pytest.param(key, marks=pytest.mark.thorough) if key in THOROUGH else key for key in keys]


@pytest.mark.parametrize("key", marked([*ROWS]))
def test_a_row_is_measured_beside_its_control(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if key in ("wavenet", "wavernn") and not available():
        pytest.skip("espeak-ng's library is not installed")
    monkeypatch.setenv(VARIABLE, "{}")
    monkeypatch.setattr(optimiser, "TUNED_ON", 8)
    monkeypatch.setattr(optimiser, "RATES", [1e-3, 1e-2])
    monkeypatch.setitem(programs.RECIPES, "tiny", TINY)
    row, told = ROWS[key], list[str]()
    place = tmp_path / "seed-3" / key
    run = Run(place, 3, small(row), lambda done, total, words: told.append(words))
    found = row.run(run)
    one = found.comparison
    assert all(map(math.isfinite, (one.score, one.control, one.multiple, *found.beside.values())))
    assert one.error > 0 or one.multiple == 0
    assert one.count >= 4
    assert json.loads(json.dumps(asdict(found)))["comparison"]["score"] == one.score
    assert picture(row, found, quick=True).startswith(b"\x89PNG")
    assert row.run(run).comparison == one  # what is finished is opened again, and comes to the same
    assert "CHANGED" not in str(found.facts)
    if row.quick.training is not None:
        assert any("update 2 of 2" in words for words in told)


@pytest.mark.parametrize("key", ["harlow", "metamimic"])
def test_a_stopped_row_resumes_to_the_same_numbers(key: str, tmp_path: Path) -> None:
    """It is stopped after the first of two updates; a check keeps the state."""
    row, asked = ROWS[key], list[int]()
    effort = replace(small(row), training=replace(small(row).training, check_every=1))  # type: ignore[type-var]

    def stop() -> bool:
        asked.append(1)
        return len(asked) == 1

    with pytest.raises(Stopped):
        row.run(Run(tmp_path / "stopped", 0, effort, stop=stop))
    resumed = row.run(Run(tmp_path / "stopped", 0, effort))
    assert resumed.comparison == row.run(Run(tmp_path / "whole", 0, effort)).comparison


def test_every_row_says_what_it_claims() -> None:
    assert len(ROWS) == 18
    for key, row in ROWS.items():
        assert row.key == key
        assert all((row.title, row.claim, row.paper, row.score, row.control))
        assert row.quick.to_json() != row.full.to_json()
        json.dumps(row.full.to_json())


# --- controls, by a second way ---------------------------------------------------------------------------------------

PEERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "SGD": torch.optim.SGD,
    "momentum": lambda parameters, lr: torch.optim.SGD(parameters, lr, momentum=0.9),
    "RMSprop": torch.optim.RMSprop,
    "Adam": torch.optim.Adam,
}


RATE = 1e-5
"""So small that no run of the valleys is thrown about, where rounding would count."""


@pytest.mark.parametrize("name", [*optimiser.OTHERS])
def test_hand_designed_optimisers_are_those_of_torch(name: str) -> None:
    world = load(file("learning/rosenbrock")).world
    assert isinstance(world, Optimisee)
    mine_SB = optimiser.descended(world, name, RATE, 5, 7)
    state = optimiser.begun(world, 5, 7)
    own_BD = state.theta_BD.detach().clone().requires_grad_()
    peer, losses = PEERS[name]([own_BD], lr=RATE), []
    for _ in range(optimiser.STEPS):
        gradient_BD = world.observe(state).channels["gradient"]
        assert isinstance(gradient_BD, torch.Tensor)
        own_BD.grad = gradient_BD.clone()
        before_BD = own_BD.detach().clone()
        peer.step()
        with torch.no_grad():
            call_B4 = torch.zeros(7, 4, dtype=torch.int64)
            world.act(state, Action(call_B4, own_BD - before_BD), torch.ones(7, dtype=torch.bool))
            losses.append(world.score(state)["loss"])
    torch.testing.assert_close(mine_SB, torch.stack(losses), rtol=2e-3, atol=1e-4)


def test_errors_of_the_generated_table_are_those_of_ridge_regression() -> None:
    """One configuration of one data set again, by the normal equations of its weights."""
    error_NK, settings = black_box.ridge_errors(2, seed=5)
    draw = np.random.default_rng([5, 27])
    size, noise = int(draw.integers(10, 41)), 10 ** draw.uniform(-2, 0)
    frequency = 10 ** draw.uniform(0, 1.3) * draw.uniform(0.5, 1, 3)
    weight, phase = draw.normal(size=3), draw.uniform(0, 2 * np.pi, 3)
    x = draw.uniform(0, 1, size + 50)
    y = sum(w * np.sin(f * x + p) for w, f, p in zip(weight, frequency, phase, strict=True))
    y = y + noise * draw.normal(size=size + 50)
    place = settings.index({"scale": 0.4, "ridge": 1e-2, "kernel": "squared"})
    kernel = np.exp(-((x[:, None] - x[None, :size]) ** 2) / (2 * 0.4**2))
    values, vectors = np.linalg.eigh(kernel[:size])
    said = kernel[size:] @ vectors @ ((vectors.T @ y[:size]) / (values + 1e-2))
    assert error_NK[0, place] == pytest.approx(np.mean((said - y[size:]) ** 2), rel=1e-6)
    assert error_NK.shape == (2, len(settings))


def test_random_orders_are_on_average_as_good_as_chance() -> None:
    """The first of a random order has the mean error; all of two configurations together the least."""
    error_NK = torch.tensor([[0.0, 1.0], [0.25, 0.75], [1.0, 0.0]])
    error_NK = torch.cat([error_NK, torch.ones(3, 10)], 1)
    found_TN = black_box.by_random_orders(error_NK, seed=0, orders=4000)
    torch.testing.assert_close(found_TN[0], error_NK.mean(1), atol=0.02, rtol=0)
    assert bool((found_TN[1:] <= found_TN[:-1]).all())


def test_a_bound_table_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error_NK = np.random.default_rng(0).uniform(size=(20, 4))
    np.savez(tmp_path / "tables.npz", error=error_NK)
    described = [{"algorithm": a, "hyperparameters": {"C": c}} for a in ("kSVM", "GBT") for c in (1, 2)]
    (tmp_path / "configurations.json").write_text(json.dumps(described))
    monkeypatch.setenv(VARIABLE, json.dumps({"tables": str(tmp_path / "tables.npz")}))
    assert black_box.table(Run(tmp_path, 0, Effort())) == ("tables", "kSVM")
    assert Table("tables", "kSVM").configurations == 2


def test_crossovers_of_displays_add_up_to_their_share() -> None:
    words = common_words()
    shown = displays(words, 40, 0)
    found_B = modules.crossovers(read_letters, shown, SIMILAR, 0.35, seed=1)
    pairs = [(display.word, display.partners[SIMILAR]) for display in shown]
    generator, shares = torch.Generator().manual_seed(1), []
    for _ in range(modules.PRESENTATIONS):
        responses = spelled(read_letters(evidence(pairs, 0.35, generator=generator))[:, 0])
        shares.append(100 * outcomes(shown, [partner for _, partner in pairs], responses).crossover)
    assert float(found_B.mean()) == pytest.approx(sum(shares) / len(shares))
    assert float(found_B.sum()) > 0


def test_numbers_of_rows_are_put_in_another_order() -> None:
    library = Library.open(SHIPPED)
    learn_into(library, [PROGRAMS / "examples" / "copy.npi"], device="cpu")
    before_NP = library.memory.embeddings_NP.detach().clone()
    programs.permute_rows(library, torch.Generator().manual_seed(0))
    after_NP = library.memory.embeddings_NP.detach()
    assert torch.equal(after_NP[:, :SEAL], before_NP[:, :SEAL])
    assert torch.equal(after_NP.sort(1).values, before_NP.sort(1).values)
    assert not torch.equal(after_NP, before_NP)


def test_scenes_are_told_by_the_demonstration_of_the_next_one() -> None:
    world = load(file("learning/reaching")).world
    seen = world.observe(world.reset([{"EPISODE": [digit]} for digit in (1, 2, 3)]))
    moved = imitation.moved_on(seen)
    own, other = (one.channels["demonstration"] for one in (seen, moved))
    assert torch.equal(other.padded_BLX[0], own.padded_BLX[1])  # type: ignore[union-attr]
    assert torch.equal(other.lengths_B, own.lengths_B[[1, 2, 0]])  # type: ignore[union-attr]
    assert torch.equal(moved.channels["body"], seen.channels["body"])  # type: ignore[arg-type]


def test_a_sheet_has_the_drawings_in_order() -> None:
    picture_NSS = np.zeros((3, 4, 4))
    picture_NSS[1] = 1
    assert few_shot.tiled(picture_NSS, across=3) == [[0.0] * 2 + [1.0] * 2 + [0.0] * 2] * 2


def test_the_paper_in_small_is_part_of_the_full_one() -> None:
    assert programs.SMALL.core == CoreConfig()
    assert programs.SMALL.name != "full"
