"""Kinds of core: found by name, and one of a user's own lives in libraries as those of the engine do."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import pytest
import torch

from envs.spec import RETURN, ProgramTable, WorldSpec
from envs.stepper import Action, Decision, Observation
from npi.core.base import Core
from npi.core.config import Settings
from npi.library import kinds, operations
from npi.library.kinds import CoreKind, fingerprint, kind_named, refused, register_core
from npi.library.library import Library, LibraryError, missing_rows
from npi.proof.prove import certify, check_certifiable
from npi.recurrent import KIND as RECURRENT
from npi.running.compiled_library import CompiledLibrary
from tests.support.tiny import strip


class IdleConfig(Settings):
    kind = "idle"

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind}


@final
class IdleCore(Core):
    """Returns at once, whatever it sees; a row is three parameters that say nothing."""

    def __init__(self, worlds: Sequence[WorldSpec], *, generator: torch.Generator) -> None:
        super().__init__(IdleConfig(), worlds)
        self.weight = torch.nn.Parameter(torch.rand(2, generator=generator))

    @property
    def lists_worlds(self) -> bool:
        return True

    @property
    def row_sizes(self) -> tuple[int, int, int]:
        return 3, 0, 0

    def check_world(self, spec: WorldSpec) -> None:
        pass


class IdleStepper:
    width, dtype = 1, torch.int64

    def step(self, seen: Observation, program_B: torch.Tensor, *_: object, **__: object) -> Decision:
        call_B4 = torch.tensor([RETURN, 0, 0, 0]).expand(len(program_B), -1)
        return Decision(Action(call_B4), torch.zeros(len(program_B), 1, dtype=torch.int64))


def _build(config: Mapping[str, Any], worlds: Sequence[WorldSpec], *, generator: torch.Generator) -> IdleCore:
    return IdleCore(worlds, generator=generator)


def _stepper(library: Library, table: ProgramTable, programs: Sequence[int], *, memo: bool) -> IdleStepper:
    library.program_rows(table, programs)
    return IdleStepper()


IDLE = CoreKind(
    build=_build,
    stepper=_stepper,
    fingerprint=lambda core, memory, rows, *, seed: {"rows": memory.embeddings_NP[rows]},
    compile=refused("an idle core is not worth compiling"),
    prove=refused("an idle core proves nothing"),
    uncertified=lambda core: "an idle core is not certified",
    settings=refused("an idle core learns nothing"),
    learn=refused("an idle core learns nothing"),
    row_text=lambda core: "3",
)


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> Library:
    """A library of an idle core with rows for the strip's programs, learned together."""
    monkeypatch.setattr(kinds, "_REGISTERED", {})
    register_core("idle", IDLE)
    generator = torch.Generator().manual_seed(0)
    programs = strip()
    core = kind_named("idle").build({"kind": "idle"}, [programs.world.spec], generator=generator)
    infos = missing_rows([], programs.table, 0, generation=1, source=programs.digest, primitives=False)
    return Library(core, core.memory(infos, generator=generator), [programs])


def test_a_library_of_a_registered_kind_is_saved_opened_and_runs(idle: Library, tmp_path: Path) -> None:
    idle.save(tmp_path)
    found = Library.open(tmp_path)
    assert isinstance(found.core, IdleCore)
    assert (found.core.digest(), found.rows_digest()) == (idle.core.digest(), idle.rows_digest())
    table = strip().table
    program_B = torch.full((2,), table.id("strip.BOTH"))
    seen = Observation(torch.zeros(2, len(table.world.fields), dtype=torch.int64))
    zero = torch.zeros(2, 3, dtype=torch.int64)
    assert found.stepper(table).step(seen, program_B, zero, zero[:, :1]).call_B4[:, 0].tolist() == [RETURN, RETURN]
    count = len(idle.memory)
    assert fingerprint(found.core, found.memory, count) == fingerprint(idle.core, idle.memory, count)


def test_its_rows_travel(idle: Library) -> None:
    less = operations.remove(idle, ["strip.BOTH"], with_callers=True)
    assert len(less.library.memory) == 0
    back = operations.add(less.library, [operations.pack(idle, ["BOTH"])])
    assert back.library.rows_digest() == idle.rows_digest()


def test_what_a_kind_cannot_do_is_refused_with_its_reason(idle: Library) -> None:
    with pytest.raises(LibraryError, match="not worth compiling"):
        CompiledLibrary.of(idle)
    with pytest.raises(LibraryError, match="proves nothing"):
        certify(idle, strip())
    with pytest.raises(LibraryError, match="not certified"):
        check_certifiable(idle)


def test_a_name_has_one_kind(idle: Library) -> None:
    register_core("idle", IDLE)  # the same once more
    for name in ("idle", "lstm"):
        with pytest.raises(ValueError, match=f"a kind of core '{name}' is registered already"):
            register_core(name, RECURRENT)


def test_names_find_their_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kind_named("discrete") is kind_named("lstm") is RECURRENT
    assert kind_named("universal") is not RECURRENT
    assert kind_named("meta-rl") is kind_named("optimiser") is not kind_named("universal")
    with pytest.raises(ValueError, match=r"no learner of kind 'meta-lr' is installed; did you mean 'meta-rl'"):
        kind_named("meta-lr").build({"kind": "meta-lr"}, [], generator=torch.Generator())
    monkeypatch.setattr(kinds, "offered", lambda group: {})
    with pytest.raises(ValueError, match=r"offers no entry points of the group 'npi\.cores'"):
        kind_named("discrete")
