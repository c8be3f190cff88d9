"""A program's row beside the universal core: how its states are wired, and the numbers of those that decide.

*Wiring* says for each state what it looks at, what it can call and which state comes next. It names callees, fields
and symbols, so a row can be carried from library to library. The row's numbers begin with a seal, the hash of the
wiring; then come the code and the gains of each deciding state.

Shape legend: ``D`` deciding states, ``C`` numbers of a code, ``G`` gains, ``P`` numbers of a row, ``M`` configurations.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from dsl.lowering.ir import Read
from dsl.lowering.value_grid import Array
from envs.spec import RETURN, SLOTS, ProgramTable
from envs.steppers.decision_tables import Node, TableStepper, assemble
from envs.support import mixed_radix
from npi.core.base import Core
from npi.library.library import Library
from npi.library.wiring import SEAL, Wiring, seal
from npi.program_memory import ProgramMemory
from npi.training.induction.steps import names_of, tokens_of
from npi.universal.core import universal
from npi.universal.functions import decide, oversize
from npi.universal.network import Interpreter, InterpreterConfig
from npi.universal.plan import COMPUTED, CONSTANT, COPIED, HEAD, MAX_ENTRIES, Argument, Look, Outcome, Plan, State, Step
from npi.universal.splitting import numbered
from npi.universal.symbols import DIGIT, VALUES, computable_tokens, numbers_of

MAX_REGISTERS, MAX_DIGITS = 64, 9
"""Registers of a state, and decimal digits of a value's place, beyond which a wiring is refused."""


class RowError(ValueError):
    """A row that does not fit its wiring, its world or its core; the message says how."""


# --- wiring ----------------------------------------------------------------------------------------------------------


def wiring_of(plan: Plan, table: ProgramTable) -> list[dict[str, Any]]:
    """What a row says of its states, as JSON: ``looks`` at, and ``does``: callee, arguments, next state.

    A state that decides in several steps has ``steps``, too: what each looks at, which register it writes ``to``, and
    ``when`` it does; and ``which`` register holds the group of the outcome, if there are groups.
    """
    names = [signature.name for signature in table.signatures]

    def read(one: Read) -> list[Any]:
        return ["field", table.world.fields[one.index].name] if one.kind == "field" else ["slot", one.index]

    def argument(one: Argument) -> list[Any]:
        if one.how == COPIED:
            assert one.read is not None
            return ["copied", *read(one.read)]
        if one.how == CONSTANT:
            return ["constant", table.world.tokens[one.token]]
        return ["computed", *([[table.world.tokens[t] for t in one.palette], [*one.digits]] if one.palette else [])]

    def look(one: Look) -> list[Any]:
        if one.read is None:
            return ["register", one.register]
        return [*read(one.read), *([one.digit] if one.digit >= 0 else [])]

    def step(one: Step) -> dict[str, Any]:
        when = [[look(part), [*numbers]] for part, numbers in one.when]
        return {"looks": [look(part) for part in one.looks], "to": one.to, "when": when}

    def outcome(one: Outcome) -> list[Any]:
        if one.callee == RETURN:
            return [None]
        slots = len(table.signatures[one.callee].slots)
        return [names[one.callee], [argument(a) for a in one.arguments[:slots]], one.next]

    return [
        {"looks": [read(one) for one in state.inputs], "does": [outcome(one) for one in state.outcomes]}
        | ({"steps": [step(one) for one in state.steps], "which": state.which} if state.steps else {})
        for state in plan.states
    ]


def wired(wiring: Wiring, program: int, table: ProgramTable) -> Plan:
    """The plan that a wiring describes, for the callables of a table; its functions are not known.

    Raises :class:`RowError` where it is none, or names what the table, its world or itself does not have.
    """
    ids = {signature.name: number for number, signature in enumerate(table.signatures)}
    spec, own = table.world, table.signatures[program]

    def read(parts: Sequence[Any]) -> Read:
        if parts[0] == "field":
            return Read("field", spec.field(parts[1]))
        return Read("slot", range(len(own.slots))[_number(parts[1])])

    def argument(parts: Sequence[Any]) -> Argument:
        if parts[0] == COPIED:
            return Argument(COPIED, read=read(parts[1:]))
        if parts[0] == CONSTANT:
            return Argument(token=spec.token(parts[1]))
        if len(parts) == 1:
            return Argument(COMPUTED)
        palette, digits = parts[1:]
        return Argument(
            COMPUTED, palette=tuple(map(spec.token, palette)), digits=tuple(map(register, digits)) or (HEAD,)
        )

    def register(number: Any) -> int:
        return HEAD if number == HEAD else range(MAX_REGISTERS)[_number(number)]

    def look(parts: Sequence[Any]) -> Look:
        if parts[0] == "register":
            return Look(register=_number(register(parts[1])))
        return Look(read(parts), digit=range(MAX_DIGITS)[_number(parts[2])] if len(parts) > 2 else -1)

    def step(one: Mapping[str, Any]) -> Step:
        when = tuple((look(part), tuple(map(_number, numbers))) for part, numbers in one["when"])
        return Step(tuple(map(look, one["looks"])), register(one["to"]), when, none[:, None], none, none)

    def outcome(parts: Sequence[Any]) -> Outcome:
        if parts[0] is None:
            return Outcome(RETURN, (Argument(), Argument(), Argument()), 0)
        given = [argument(one) for one in parts[1]]
        if len(given) != len(table.signatures[ids[parts[0]]].slots):
            raise IndexError(f"{len(given)} arguments of {parts[0]}")
        filled = (*given, *[Argument()] * (SLOTS - len(given)))
        return Outcome(ids[parts[0]], (filled[0], filled[1], filled[2]), range(len(wiring))[_number(parts[2])])

    try:
        if not wiring or not all(state["does"] for state in wiring):
            raise KeyError("no call")
        none = np.zeros(0, np.int64)
        states = tuple(
            State(
                tuple(read(one) for one in state["looks"]),
                tuple(outcome(one) for one in state["does"]),
                np.zeros((0, len(state["looks"])), np.int64),
                none,
                none,
                tuple(step(one) for one in state.get("steps", ())),
                register(state.get("which", HEAD)),
            )
            for state in wiring
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise RowError(f"{own.name}: its row names what is not here ({error.args[0]})") from error
    return Plan(program, own, states)


def _number(value: object) -> int:
    """A place in a list, counted from its beginning."""
    if not isinstance(value, int) or value < 0:
        raise IndexError(f"place {value}")
    return value


# --- numbers ---------------------------------------------------------------------------------------------------------


def row_of(wiring: Wiring, code_DC: torch.Tensor, gain_DG: torch.Tensor, config: InterpreterConfig) -> torch.Tensor:
    """numbers_P of a program whose deciding states, in their order, have these codes and gains."""
    row_P = torch.zeros(config.row)
    row_P[:SEAL] = torch.tensor(seal(wiring))
    numbers = torch.cat([code_DC, gain_DG], 1).flatten()
    row_P[SEAL : SEAL + len(numbers)] = numbers
    return row_P


def unpacked(row_P: torch.Tensor, wiring: Wiring, config: InterpreterConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """code_DC and gain_DG of all D = ``config.states`` places of a row, on the CPU, where the core decides.

    Raises :class:`RowError` where the seal is broken.
    """
    row_P = row_P.detach().cpu()
    if row_P.shape != (config.row,):
        raise RowError(f"a row of this core has {config.row} numbers, this one {len(row_P)}")
    if row_P[:SEAL].tolist() != seal(wiring):
        raise RowError("the row's numbers belong to another wiring; it was damaged or put together from two rows")
    numbers = row_P[SEAL:].view(config.states, -1)
    return numbers[:, : config.code], numbers[:, config.code :]


def learned_numbers(plan: Plan, config: InterpreterConfig) -> int:
    """How many numbers of a program's row are learned."""
    return sum(len(state.functions) for state in plan.states) * (config.code + config.features)


# --- tables ----------------------------------------------------------------------------------------------------------


class StateTable(NamedTuple):
    """Every decision of a state.

    Attributes:
        reads: what it reads. sizes: how many values each has; the last varies fastest.
        entry_M5: a call, and the next state.
        lead_M: of what the core decides, by how much it is ahead of the next best (logits).
    """

    reads: tuple[Read, ...]
    sizes: tuple[int, ...]
    entry_M5: torch.Tensor
    lead_M: torch.Tensor = torch.zeros(0)


Tabulated = list[StateTable]
"""Of each state."""


def row_tables(library: Library, row: int, program: int, table: ProgramTable) -> Tabulated:
    """Every decision of a row that is a program of a table (:func:`tabulate`)."""
    wiring, net = library.memory.infos[row].wiring or (), universal(library.core).net
    try:
        return tabulate(net, wired(wiring, program, table), library.memory.embeddings_NP[row], wiring, table)
    except RowError as error:
        raise RowError(f"{library.place}{error}") from error


def tabulate(net: Interpreter, plan: Plan, row_P: torch.Tensor, wiring: Wiring, table: ProgramTable) -> Tabulated:
    """Every decision of a row, by the core.

    Raises :class:`RowError` where a state has more than :data:`MAX_ENTRIES` configurations.
    """
    reason = oversize(plan, net.config)
    if reason is not None:
        raise RowError(f"{plan.signature.name} {reason}")
    code_DC, gain_DG = unpacked(row_P, wiring, net.config)
    found, place = [], 0
    for number, state in enumerate(plan.states):
        own = slice(place, place + len(state.functions))
        place = own.stop
        found.append(_state_table(net, state, (code_DC[own], gain_DG[own]), plan, table, number))
    return found


def _state_table(
    net: Interpreter,
    state: State,
    codes: tuple[torch.Tensor, torch.Tensor],
    plan: Plan,
    table: ProgramTable,
    number: int,
) -> StateTable:
    reads, spec, signature = state.reads, table.world, plan.signature
    sizes = sizes_of(state, plan, table)
    count = math.prod(sizes)
    if count > MAX_ENTRIES:
        raise RowError(f"{signature.name} has {count} configurations in state {number}, more than {MAX_ENTRIES}")
    decided = _decided(net, state, codes, plan, table)
    # Inputs come first, so what is copied repeats each decision.
    repeats = count // len(decided.outcome_M)
    outcome_M = decided.outcome_M.repeat(repeats)
    at = dict(zip(reads, np.indices(sizes).reshape(len(sizes), count), strict=True))
    entry_M5 = np.zeros((count, 5), np.int64)
    for which, outcome in enumerate(state.outcomes):
        chosen = np.flatnonzero(outcome_M == which)
        entry_M5[chosen, 0] = outcome.callee
        entry_M5[chosen, 4] = outcome.next
        for slot, argument in enumerate(outcome.arguments):
            if argument.how == COPIED:
                assert argument.read is not None
                token_V = np.maximum(tokens_of(argument.read, spec, signature), 0)
                entry_M5[chosen, 1 + slot] = token_V[at[argument.read][chosen]]
            elif argument.how == COMPUTED:
                place_M = mixed_radix.number(map(decided.symbol, argument.digits), [DIGIT] * len(argument.digits))
                token_C = np.array(argument.palette) if argument.palette else computable_tokens(table)[1]
                token_M = np.maximum(token_C[np.minimum(place_M, len(token_C) - 1)], 0)
                entry_M5[chosen, 1 + slot] = token_M.repeat(repeats)[chosen]
            else:
                entry_M5[chosen, 1 + slot] = argument.token
    return StateTable(reads, sizes, torch.from_numpy(entry_M5), decided.lead_M)


def sizes_of(state: State, plan: Plan, table: ProgramTable) -> tuple[int, ...]:
    """How many values each read of a state has."""
    return tuple(len(names_of(read, table.world, plan.signature)) for read in state.reads)


class _Decided(NamedTuple):
    """Of each configuration of a state's inputs: the outcome, what the deciding step computes, registers, the lead."""

    outcome_M: Array
    value_M: Array
    registers: dict[int, Array]
    lead_M: torch.Tensor

    def symbol(self, register: int) -> Array:
        """A register, 0 where nothing was written; or what the deciding step computes."""
        return self.value_M if register == HEAD else self.registers.get(register, np.zeros_like(self.value_M))


def _decided(
    net: Interpreter, state: State, codes: tuple[torch.Tensor, torch.Tensor], plan: Plan, table: ProgramTable
) -> _Decided:
    always = np.zeros(1, np.int64)
    if not state.functions:
        return _Decided(always, always, {}, torch.zeros(0))
    computes = [outcome.computes for outcome in state.outcomes]
    if not state.steps:
        outcome_M, value_M, lead_M = decide(net, configurations(net, state, plan, table), *codes, computes)
        return _Decided(outcome_M.numpy(), value_M.numpy(), {}, lead_M)
    sizes = [len(names_of(read, table.world, plan.signature)) for read in state.inputs]
    index_RM = np.indices(sizes).reshape(len(sizes), math.prod(sizes))
    index = dict(zip(state.inputs, index_RM, strict=True))
    none_M = np.zeros(index_RM.shape[1], np.int64)
    found = _Decided(none_M, none_M.copy(), {}, torch.full((len(none_M),), torch.inf))

    def shown(look: Look) -> Array:
        if look.read is None:
            return found.symbol(look.register)
        if look.digit >= 0:
            return index[look.read] // DIGIT**look.digit % DIGIT
        return numbers_of(look.read, table.world, plan.signature)[index[look.read]]

    choices = min(len(computes), net.config.outcomes)
    for step, code_C, gain_G in zip(state.steps, *codes, strict=True):
        mine = [np.isin(shown(look), numbers) for look, numbers in step.when]
        at_I = np.flatnonzero(np.logical_and.reduce([np.ones_like(none_M, bool), *mine]))
        if not len(at_I):
            continue
        seen_IR = np.stack([shown(look)[at_I] for look in step.looks], 1)
        _, first, back = np.unique(numbered(seen_IR), return_index=True, return_inverse=True)
        seen_MR = np.pad(seen_IR[first], ((0, 0), (0, net.config.inputs - len(step.looks))), constant_values=-1)
        decides = [True] if step.to != HEAD else [any(computes[n :: net.config.outcomes]) for n in range(choices)]
        outcome_M, value_M, lead_M = decide(net, torch.from_numpy(seen_MR), code_C[None], gain_G[None], decides)
        outcome_I, value_I = outcome_M.numpy()[back.ravel()], value_M.numpy()[back.ravel()]
        found.lead_M[at_I] = torch.minimum(found.lead_M[at_I], lead_M[torch.from_numpy(back.ravel())])
        if step.to != HEAD:
            found.registers.setdefault(step.to, np.zeros_like(found.value_M))[at_I] = value_I
            continue
        found.value_M[at_I] = value_I
        group_I = found.symbol(state.which)[at_I] if state.which != HEAD else 0
        found.outcome_M[at_I] = np.minimum(outcome_I + net.config.outcomes * group_I, len(computes) - 1)
    return found


def configurations(net: Interpreter, state: State, plan: Plan, table: ProgramTable) -> torch.Tensor:
    """seen_MR: every combination of a state's inputs, the last one varying fastest."""
    numbers = [numbers_of(read, table.world, plan.signature) for read in state.inputs]
    sizes = [len(n) for n in numbers]
    at_RM = np.indices(sizes).reshape(len(numbers), math.prod(sizes))
    seen_MR = torch.full((math.prod(sizes), net.config.inputs), -1)
    for place, (number, at_M) in enumerate(zip(numbers, at_RM, strict=True)):
        seen_MR[:, place] = torch.from_numpy(number[at_M])
    return seen_MR


class UniversalStepper(TableStepper):
    """Runs rows of a library on its universal core: every decision is made once by the core, and looked up after that.

    Args:
        rows: of each program of the table, by id.
        table: whose ids the machine uses.

    Raises :class:`RowError` for a row that does not fit.
    """

    def __init__(self, library: Library, rows: Mapping[int, int], table: ProgramTable):
        fields = len(table.world.fields)
        nodes = {
            program: [
                Node([read.column(fields) for read in state.reads], mixed_radix.strides(state.sizes), state.entry_M5)
                for state in row_tables(library, row, program, table)
            ]
            for program, row in rows.items()
        }
        super().__init__(table, assemble(table, nodes))
        self.to(library.memory.keys_NK.device)

    def to(self, device: object) -> None:
        """Move the tables to a device."""
        self.tables = self.tables.to(str(device))


# --- what rows put out -----------------------------------------------------------------------------------------------


@torch.no_grad()
def row_outputs(of: Core, memory: ProgramMemory, rows: Sequence[int], *, seed: int) -> dict[str, torch.Tensor]:
    """Every logit of the deciding states of some rows in random configurations; each row is computed by itself."""
    core, found = universal(of), {}
    for row in rows:
        generator = torch.Generator().manual_seed(seed)
        wiring = memory.infos[row].wiring or ()
        code_DC, gain_DG = unpacked(memory.embeddings_NP[row], wiring, core.config)
        steps = [step for state in wiring for step in state.get("steps", [state])]
        looks = [len(step["looks"]) for step in steps if step["looks"]]
        for place, inputs in enumerate(looks):
            seen_MR = torch.randint(VALUES, (256, core.config.inputs), generator=generator)
            seen_MR[:, inputs:] = -1
            choice, value = core.net(seen_MR[None], code_DC[place, None], gain_DG[place, None])
            found[f"{memory.infos[row].name}.{place}"] = torch.cat([choice[0], value[0]], 1)
        found[memory.infos[row].name] = memory.embeddings_NP[row].detach()
    return found
