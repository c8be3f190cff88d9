"""Several processes that train one core together, as ``torchrun`` starts them (torch.distributed).

Every process, a *rank*, holds the same core, draws the same frames and computes a share of them; gradients are summed
(Li et al. 2020, PyTorch Distributed). What else has to be known everywhere travels through the calls of :class:`Ranks`,
as tensors and JSON: nothing that is received is executed. Without torchrun there is one rank, and no call does a thing.
"""

from __future__ import annotations

import gc
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import load, save

PATIENCE = timedelta(days=1)
"""How long a rank waits for another that is alive: the first one may have long proofs to walk."""

CPU = torch.device("cpu")
_GONE = re.compile(r"gloo|nccl|connection (was )?(closed|reset|refused)|broken pipe|socket", re.IGNORECASE)


class LostRankError(RuntimeError):
    """Another process of the run has ended, so that this one cannot go on."""


class FirstRankError(ValueError):
    """Raised on the other ranks where the first one fails at what it alone does; it raises the error itself."""


@dataclass(frozen=True)
class Parcel:
    """What ranks send each other: tensors by name (on the CPU), and JSON-able facts about them."""

    tensors: Mapping[str, torch.Tensor] = field(default_factory=dict)
    about: Any = None

    def pack(self) -> bytes:
        """Eight bytes of length, the facts as JSON, then a safetensors file."""
        plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in self.tensors.items()}
        text = json.dumps(self.about).encode()
        return len(text).to_bytes(8, "little") + text + save(plain)

    @classmethod
    def unpack(cls, data: bytes) -> Parcel:
        """The inverse of :meth:`pack`."""
        end = 8 + int.from_bytes(data[:8], "little")
        return cls(load(data[end:]), json.loads(data[8:end]))


@dataclass(frozen=True)
class Ranks:
    """One process among ``count`` that train together.

    Attributes:
        rank: its number, from 0. The first one writes files and talks to people.
        count: of all processes, on all hosts.
        device: that its core is on; a CUDA device of its own where there is CUDA.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = CPU

    @property
    def first(self) -> bool:
        return self.rank == 0

    @property
    def alone(self) -> bool:
        return self.count == 1

    def share(self, index_M: torch.Tensor) -> torch.Tensor:
        """Every ``count``-th element; those of all ranks together are the whole."""
        return index_M[self.rank :: self.count]

    def sum(self, numbers: torch.Tensor) -> torch.Tensor:
        """The sum over ranks of a tensor on the CPU, in place, bit-identical on every rank."""
        if not self.alone:
            with losing():
                dist.all_reduce(numbers)
        return numbers

    def any(self, flag: bool) -> bool:
        """Whether it is true on some rank."""
        return flag if self.alone else bool(self.sum(torch.tensor([int(flag)])))

    def wait(self) -> None:
        """Until every rank has come here."""
        self.any(False)

    def gather(self, parcel: Parcel) -> list[Parcel]:
        """The parcels of all ranks, in order, on every rank."""
        if self.alone:
            return [parcel]
        data = _bytes(parcel.pack())
        sizes = torch.zeros(self.count, dtype=torch.int64)
        sizes[self.rank] = len(data)
        longest = int(self.sum(sizes).max())
        padded = torch.zeros(longest, dtype=torch.uint8)
        padded[: len(data)] = data
        found = [torch.empty_like(padded) for _ in range(self.count)]
        with losing():
            dist.all_gather(found, padded)
        return [Parcel.unpack(one[:size].numpy().tobytes()) for one, size in zip(found, sizes.tolist(), strict=True)]

    def from_first(self, make: Callable[[], Parcel]) -> Parcel:
        """What ``make`` gives on the first rank, which alone calls it.

        Where it raises an error, the others raise a :class:`FirstRankError`.
        """
        if self.alone:
            return make()
        try:
            data = _bytes(make().pack() if self.first else b"")
        except Exception:
            self.sum(torch.tensor([-1]))
            raise
        size = int(self.sum(torch.tensor([len(data)])))
        if size < 0:
            raise FirstRankError("the first process of this run has failed; its message says why")
        data = data if self.first else torch.empty(size, dtype=torch.uint8)
        with losing():
            dist.broadcast(data, src=0)
        return Parcel.unpack(data.numpy().tobytes())

    def differing(self, fact: str) -> Sequence[int]:
        """The ranks whose fact, a text such as a digest, is not that of the first one."""
        facts = [parcel.about for parcel in self.gather(Parcel(about=fact))]
        return [rank for rank, other in enumerate(facts) if other != facts[0]]


ALONE = Ranks()


def _bytes(data: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else torch.empty(0, dtype=torch.uint8)


def launched() -> bool:
    """Whether torchrun (or what sets the same variables) started this process as one of several."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def join(device: str = "auto") -> Iterator[Ranks]:
    """Meet the other processes that torchrun started, and part from them at the end; alone without torchrun.

    Args:
        device: ``"auto"`` and ``"cuda"`` give each process on a host a CUDA device of its own (NCCL sums the
            gradients); on ``"cpu"`` gloo does.

    Raises:
        ValueError: for a device that is not there.
        LostRankError: where another process ends on the way.
    """
    if not launched():
        yield Ranks(device=pick_device(device))
        return
    own = rank_device(device, local=int(os.environ.get("LOCAL_RANK", "0")))
    if own.type == "cuda":
        torch.cuda.set_device(own)
    store, rank, count = next(dist.rendezvous("env://"))
    fresh = dist.PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)  # torchrun keeps its store
    backend = "cpu:gloo,cuda:nccl" if own.type == "cuda" else "gloo"
    with losing():
        dist.init_process_group(backend, store=fresh, rank=rank, world_size=count, timeout=PATIENCE)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size(), own)
    finally:
        gc.collect()  # what still sums gradients goes first: threads of a group that outlives Python would abort it
        dist.destroy_process_group()


@contextmanager
def losing() -> Iterator[None]:
    """What another process's end makes of a call, as a :class:`LostRankError`."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or _GONE.search(str(error)):
            raise LostRankError("another process of this run has ended") from error
        raise


def pick_device(name: str = "auto") -> torch.device:
    """``"auto"`` is CUDA where there is one, else the CPU; raises ``ValueError`` for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device {name!r} is not known; use auto, cpu, or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {name!r} was asked for, but torch finds no CUDA device here; use auto or cpu")
    return device


def rank_device(name: str, *, local: int) -> torch.device:
    """The device of the process with this number on its host."""
    device = pick_device(name)
    if device.type != "cuda":
        return device
    if device.index is not None:
        raise ValueError(f"device {name!r} is one, and each process that torchrun starts takes its own; use cuda")
    if local >= torch.cuda.device_count():
        raise ValueError(
            f"process {local} of this host has no CUDA device of its own, there are {torch.cuda.device_count()}; start "
            "as many processes as devices (torchrun --nproc-per-node), or use --device cpu"
        )
    return torch.device("cuda", local)
