"""Cores of alike objects: the learner's promises, exchanged objects, shares of channels, what rows select of tables,
and worlds that have none."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from dsl import load, loads
from envs import make
from envs.spec import Channel, Field, Signature, Slot, WorldSpec
from envs.stepper import Observation
from meta.reinforcement.config import MetaRLConfig
from meta.reinforcement.learner import LEARNER
from meta.reinforcement.object_slots import OWN, ObjectActorCritic, alike_objects
from npi.learners.conformance import check_learner
from npi.learners.interface import TaskInput
from tests.support.paths import PROGRAMS

N, H, ROW = 3, 5, 11

PAIR, TRIPLE = (Slot("block", (1, 2)),), (Slot("block", (1, 2, 3)),)

CONFIG = MetaRLConfig(row=ROW, hidden=H, object_slots=1)


def core(spec: WorldSpec, config: MetaRLConfig = CONFIG) -> ObjectActorCritic:
    found = LEARNER.core(config, [spec], generator=torch.Generator().manual_seed(0))
    assert isinstance(found, ObjectActorCritic)
    return found


def blocks(**settings: Any) -> WorldSpec:
    return make("blocks", "table", {"blocks": N, **settings}).spec


def observed(generator: torch.Generator, count: int = 7) -> Observation:
    fields_BF = torch.stack([torch.randint(0, size, (count,), generator=generator) for size in (N + 1, 1, 9)], 1)
    return Observation(fields_BF, {"heights": 30 * torch.rand(count, N, generator=generator)})


@pytest.mark.parametrize("text", ["blocks(blocks: 4)", "blocks(blocks: 4, pixels: 16)", "blocks(blocks: 2, steps: 30)"])
def test_the_learner_keeps_its_promises(text: str) -> None:
    source = (PROGRAMS / "learning" / "heavier.npi").read_text().replace("blocks(blocks: 4)", text)
    check_learner(LEARNER, loads(source), config=MetaRLConfig(row=12, hidden=6, object_slots=1))


def test_bandits_have_alike_objects() -> None:
    check_learner(LEARNER, load(PROGRAMS / "learning" / "bandit.npi"), config=CONFIG)


def test_exchanged_objects_are_treated_alike() -> None:
    """Where a row selects nothing by tokens, another order of the objects gives the same calls in that order, also
    from what was remembered."""
    net, generator = core(blocks()), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for head in (net.worlds[0].line, net.worlds[0].column):
            head.weight.zero_()
            head.bias.zero_()
        net.worlds[0].score.weight.mul_(100)
    order = torch.tensor([2, 0, 1])
    row_BP = torch.randn(7, ROW, generator=generator)
    own_BP, common_BP = row_BP.split([OWN * N, ROW - OWN * N], 1)
    other_BP = torch.cat([own_BP.view(7, N, OWN)[:, order].flatten(1), common_BP], 1)
    nothing_B3 = torch.zeros(7, 3, dtype=torch.int64)
    hidden = [torch.zeros(7, net.hidden_size(net.worlds[0].spec)) for _ in range(2)]
    place_N = torch.cat([torch.zeros(1, dtype=torch.int64), order.argsort() + 1])  # of LAST, none first
    for _ in range(3):
        seen = observed(generator)
        fields_BF = seen.fields_BF.clone()
        fields_BF[:, 0] = place_N[fields_BF[:, 0]]
        moved = Observation(fields_BF, {"heights": seen.channels["heights"][:, order]})
        steps = [
            net.step(TaskInput(net.worlds[0].spec, 0, row, nothing_B3), each, hidden_BH)
            for row, each, hidden_BH in zip((row_BP, other_BP), (seen, moved), hidden, strict=True)
        ]
        hidden = [step.hidden_BH for step in steps]
        log_BQN, moved_BQN = (step.extras["log_calls"].view(7, 2, N) for step in steps)
        torch.testing.assert_close(log_BQN[:, :, order], moved_BQN)
        assert (log_BQN - moved_BQN).abs().max() > 0.1
        torch.testing.assert_close(steps[0].extras["value"], steps[1].extras["value"])


def test_each_object_is_seen_by_its_share_of_a_picture() -> None:
    spec = blocks(blocks=4, pixels=16)
    net = core(spec, MetaRLConfig(row=12, hidden=H, object_slots=1))
    picture_BYX = torch.rand(2, 16, 16, generator=torch.Generator().manual_seed(0))
    picture_BYX[1] = picture_BYX[0]
    picture_BYX[1, :, 4:8] += 1
    fields_BF = torch.zeros(2, 3, dtype=torch.int64)
    seen_BNH = net.worlds[0](Observation(fields_BF, {"picture": picture_BYX}), torch.zeros(2, 3, dtype=torch.int64))
    changed_N = (seen_BNH[0] != seen_BNH[1]).any(1)
    assert changed_N.tolist() == [False, True, False, False]


def test_rows_select_columns_and_lines_of_the_tables() -> None:
    """Object 2 has scores 4, 5, 6 for the three tokens, and so on; a row picks the second token, or object 2."""
    net = core(blocks())
    adapter = net.worlds[0]
    table_NQN = torch.arange(1.0, 10).view(N, 1, N) * torch.tensor([1.0, 10.0])[:, None]
    with torch.no_grad():
        for head in (adapter.score, adapter.table):
            head.weight.zero_()
            head.bias.zero_()
        adapter.table.weight[:, :N] = table_NQN.flatten(1).T
    top_BNH = torch.eye(N, H)[None]
    column_BQN, line_BNQ = torch.zeros(1, 2, N), torch.zeros(1, N, 2)
    column_BQN[0, 0, 1] = 1  # of the first primitive: which object has the second place?
    line_BNQ[0, 1, 1] = 1  # of the second primitive: which place has object 2?
    conditioning = net.conditioning(
        TaskInput(adapter.spec, 0, torch.zeros(1, ROW), torch.zeros(1, 3, dtype=torch.int64)), adapter
    )._replace(column_BQN=column_BQN, line_BNQ=line_BNQ)
    assert net._scores(adapter, top_BNH, conditioning).tolist() == [[[2.0, 5.0, 8.0], [40.0, 50.0, 60.0]]]


@pytest.mark.parametrize(
    ("change", "needed"),
    [
        ({"channels": (Channel("heights", (N + 1,)),)}, "last axis is shared out among 3 objects"),
        ({"channels": (), "fields": (Field("STEP", ("0", "1")),)}, "a field that names one of them"),
        ({"primitives": (Signature("WAIT"),)}, "calls that take one token"),
        ({"primitives": (Signature("POKE", PAIR), Signature("ANSWER", TRIPLE))}, "one token, the same ones"),
    ],
)
def test_worlds_without_alike_objects_are_refused(change: dict[str, Any], needed: str) -> None:
    with pytest.raises(ValueError, match=needed):
        alike_objects(replace(blocks(), **change))


def test_rows_too_short_for_all_objects_are_refused() -> None:
    with pytest.raises(ValueError, match="row: 14"):
        core(blocks(), MetaRLConfig(row=6, hidden=H, object_slots=1))


def test_worlds_of_different_counts_share_a_core() -> None:
    specs = [blocks(), blocks(blocks=5)]
    net = LEARNER.core(MetaRLConfig(row=16, hidden=H, object_slots=1), specs, generator=torch.Generator())
    assert [net.calls(world).shape for world in range(2)] == [(6, 4), (10, 4)]
    assert [net.hidden_size(spec) for spec in specs] == [2 * H * 3, 2 * H * 5]
