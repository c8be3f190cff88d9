"""Optimisers without torch's compiler give the numbers of torch's own."""

import copy
from typing import Any

import pytest
import torch

from npi.training.optimisers import ADAM, ADAMW, SPARSE_ADAM


@pytest.mark.parametrize(
    ("made", "kind", "given"),
    [
        (ADAM, torch.optim.Adam, {"betas": (0.8, 0.95), "weight_decay": 0.1}),
        (ADAMW, torch.optim.AdamW, {"weight_decay": 0.3, "fused": True}),
        (SPARSE_ADAM, torch.optim.SparseAdam, {}),
    ],
)
def test_numbers_are_those_of_torch(
    made: type[torch.optim.Optimizer], kind: type[torch.optim.Optimizer], given: dict[str, Any]
) -> None:
    sparse = kind is torch.optim.SparseAdam
    tables = [torch.nn.Embedding(5, 3, sparse=sparse) for _ in range(2)]
    with torch.no_grad():
        tables[1].weight.copy_(tables[0].weight)
    pair = [one(table.parameters(), lr=0.1, **given) for one, table in zip((kind, made), tables, strict=True)]
    for step in range(6):
        for table, optimizer in zip(tables, pair, strict=True):
            optimizer.zero_grad()
            (table(torch.tensor([step % 5, 2])) ** 2).sum().backward()
            optimizer.step()
        assert torch.equal(tables[0].weight, tables[1].weight)
        if step == 2:  # as where a run resumes
            pair[1].load_state_dict(copy.deepcopy(pair[0].state_dict()))
    assert isinstance(pair[1], kind)
