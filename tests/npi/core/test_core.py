"""The network against plain numpy, step by step against whole frames, and what its steppers may decide."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from envs.spec import RETURN
from envs.stepper import Observation
from npi.core.base import tensors_digest
from npi.core.config import CoreConfig
from npi.core.discrete import DiscreteTrunk, _Sign
from npi.core.encoder import stack_slots
from npi.core.initialisation import seeded_linear
from npi.core.recurrent import may_call
from npi.library.library import Library
from npi.program_memory import OPEN, ProgramMemory
from npi.running.core_stepper import CoreStepper
from tests.support.tiny import (
    CORES,
    LSTM,
    SMALL,
    configurations,
    dataset,
    draw_gates,
    seen_by,
    strip,
    tape,
    untrained,
)

KINDS = pytest.mark.parametrize("kind", ["discrete", "lstm"])
DEVICES = pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"))],
)


def two_worlds(kind: str, seed: int = 0) -> Library:
    """An untrained library of two worlds in which about half of the gates are closed."""
    library = untrained(CORES[kind], strip(), tape(), seed=seed)
    draw_gates(library, generator=torch.Generator().manual_seed(seed + 100), alike=True)
    return library


def frames_of(programs, B: int, T: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Random obs_BTF, program_B, arguments_B3."""
    generator = torch.Generator().manual_seed(seed)
    obs, _, _ = configurations(programs.table, B * T, generator=generator)
    _, program, arguments = configurations(programs.table, B, generator=generator)
    return obs.view(B, T, -1), program, arguments


def whole(library: Library, world: int, obs_BTF, row_B, arguments_B3) -> torch.Tensor:
    """hidden_BTH of whole frames by ``unroll``."""
    B, T, F = obs_BTF.shape
    tables, adapter = library.core.tables(library.memory), library.core.adapter(world)
    weight = adapter.input_weights(tables.words_NSW[row_B, 0]).repeat_interleave(T, 0)
    x = adapter.encode(obs_BTF.reshape(B * T, F), arguments_B3.repeat_interleave(T, 0), weight).view(B, T, -1)
    return library.core.trunk.unroll(x, tables.cond_NC[row_B], noise=0.0, generator=None)


def stepped(library: Library, world: int, obs_BTF, row_B, arguments_B3) -> torch.Tensor:
    """The same by ``step``, from hidden numbers of zero."""
    tables, adapter, trunk = library.core.tables(library.memory), library.core.adapter(world), library.core.trunk
    hidden, found = torch.zeros(len(row_B), trunk.width, dtype=trunk.dtype), []
    for obs in obs_BTF.unbind(1):
        x = adapter.encode(obs, arguments_B3, adapter.input_weights(tables.words_NSW[row_B, 0]))
        out, hidden = trunk.step(x, tables.cond_NC[row_B], hidden)
        found.append(out)
    return torch.stack(found, 1)


@KINDS
@pytest.mark.parametrize("world", [0, 1])
@torch.no_grad()
def test_steps_follow_the_unrolled_frame_batched_and_one_by_one(kind: str, world: int) -> None:
    """Red when step and unroll start from another state, or a batch row leaks into another."""
    library, programs = two_worlds(kind), (strip(), tape())[world]
    obs, program, arguments = frames_of(programs, B=5, T=7, seed=3)
    row = library.rows(programs.table)[program]
    expected = whole(library, world, obs, row, arguments)
    assert expected.shape == (5, 7, CORES[kind].hidden)
    torch.testing.assert_close(stepped(library, world, obs, row, arguments), expected, atol=2e-5, rtol=1e-5)
    for b in range(5):
        one = stepped(library, world, obs[b : b + 1], row[b : b + 1], arguments[b : b + 1])
        torch.testing.assert_close(one[0], expected[b], atol=2e-5, rtol=1e-5)
    assert (expected[:, 1:] - expected[:, :-1]).abs().max() > 0.01


def numbers(library: Library) -> dict[str, np.ndarray]:
    return {k: v.detach().double().numpy() for k, v in library.core.state_dict().items()}


def plain_input(library: Library, world: int, obs: list[int], row: int, arguments: list[int]) -> np.ndarray:
    """Embeddings of the values, summed where the row's gate is open."""
    spec, table = library.core.worlds[world], numbers(library)[f"adapters.{world}.table"]
    seen = seen_by(library, row)[1:] if library.core.config.gates else [True] * (len(obs) + 3)
    sizes, place = [field.size for field in spec.fields] + [len(spec.tokens)] * 3, 0
    total = np.zeros(table.shape[1])
    for size, value, open_ in zip(sizes, [*obs, *arguments], seen, strict=True):
        if open_:
            total += table[place + value]
        place += size
    return total


def plain_discrete(library: Library, inputs: list[np.ndarray], row: int) -> list[np.ndarray]:
    w, relu = numbers(library), lambda v: np.maximum(v, 0)
    film = w["trunk.film.weight"] @ library.memory.embeddings_NP[row].detach().double().numpy() + w["trunk.film.bias"]
    scale1, shift1, scale2, shift2 = np.split(film, 4)
    used = seen_by(library, row)[0]
    state, found = np.zeros(len(w["trunk.bit.bias"])), []
    for x in inputs:
        first = relu((1 + scale1) * (x + w["trunk.state.weight"] @ state) + shift1)
        second = relu((1 + scale2) * (w["trunk.middle.weight"] @ first + w["trunk.middle.bias"]) + shift2)
        state = np.where(w["trunk.bit.weight"] @ second + w["trunk.bit.bias"] >= 0, 1.0, -1.0) * used
        found.append(second)
    return found


def plain_lstm(library: Library, inputs: list[np.ndarray], row: int) -> list[np.ndarray]:
    """Equations of an LSTM cell in torch's order of gates: input, forget, cell, output."""
    w, relu, size = numbers(library), lambda v: np.maximum(v, 0), LSTM.hidden
    embedding = library.memory.embeddings_NP[row].detach().double().numpy()
    h, c, found = [np.zeros(size)] * 2, [np.zeros(size)] * 2, []
    for x in inputs:
        state = w["trunk.encode.weight"] @ relu(x) + w["trunk.encode.bias"]
        fused = w["trunk.fuse1.weight"] @ np.concatenate([embedding, state]) + w["trunk.fuse1.bias"]
        v = w["trunk.fuse2.weight"] @ relu(fused) + w["trunk.fuse2.bias"]
        for layer in range(2):
            total = sum(
                w[f"trunk.lstm.weight_{s}_l{layer}"] @ u + w[f"trunk.lstm.bias_{s}_l{layer}"]
                for s, u in (("ih", v), ("hh", h[layer]))
            )
            i, f, g, o = np.split(total, 4)
            sigmoid = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
            c[layer] = sigmoid(f) * c[layer] + sigmoid(i) * np.tanh(g)
            v = h[layer] = sigmoid(o) * np.tanh(c[layer])
        found.append(v)
    return found


@KINDS
@torch.no_grad()
def test_hidden_numbers_against_plain_numpy(kind: str) -> None:
    """Red when gates, modulation, the order of layers or the first state differ from what the pages say."""
    library = two_worlds(kind)
    obs, program, arguments = frames_of(strip(), B=3, T=5, seed=8)
    row = library.rows(strip().table)[program]
    found = whole(library, 0, obs, row, arguments).numpy()
    plain = {"discrete": plain_discrete, "lstm": plain_lstm}[kind]
    for b in range(3):
        inputs = [plain_input(library, 0, o, int(row[b]), arguments[b].tolist()) for o in obs[b].tolist()]
        for t, expected in enumerate(plain(library, inputs, int(row[b]))):
            np.testing.assert_allclose(found[b, t], expected, atol=2e-5)


def test_codes_are_bits_as_a_number_plus_one() -> None:
    trunk = DiscreteTrunk(hidden=5, bits=3, row=2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        trunk.bit.weight.zero_()
        trunk.bit.bias.copy_(torch.tensor([0.0, -1.0, 0.5]))  # bits 0 and 2 set; zero counts as set
    code = trunk.step(torch.zeros(1, 5), trunk.condition(torch.zeros(1, 2)), torch.zeros(1, 1, dtype=torch.int64))[1]
    assert code.tolist() == [[1 + 1 + 4]]


def test_a_sign_has_the_slope_of_the_hyperbolic_tangent() -> None:
    """A central difference, scaled by what comes from above."""
    values = [-2.0, -0.3, 0.0, 0.7, 3.0]
    value, above = torch.tensor(values, requires_grad=True), torch.tensor([1.0, -2.0, 3.0, 0.5, 4.0])
    out = _Sign.apply(value)
    assert out.tolist() == [-1, -1, 1, 1, 1]
    out.backward(above)
    slopes = [(math.tanh(v + 1e-5) - math.tanh(v - 1e-5)) / 2e-5 for v in values]
    np.testing.assert_allclose(value.grad.numpy(), np.array(slopes) * above.numpy(), rtol=1e-4)


def test_the_loss_of_a_late_step_reaches_an_early_input_through_the_bits() -> None:
    trunk = DiscreteTrunk(hidden=7, bits=3, row=2, generator=torch.Generator().manual_seed(1))
    x = torch.randn(2, 4, 7, generator=torch.Generator().manual_seed(2)).requires_grad_()
    trunk.unroll(x, trunk.condition(torch.zeros(2, 2)), noise=0.0, generator=None)[0, 3].sum().backward()
    assert x.grad[0, 0].abs().sum() > 0
    assert x.grad[1].abs().sum() == 0


def test_noise_turns_a_bit_round_as_often_as_a_normal_number_passes_its_distance() -> None:
    """A state number of 1 under noise of deviation 0.8: P(N < −1.25) ≈ 0.1056 of the bits are turned."""
    trunk = DiscreteTrunk(hidden=5, bits=1, row=2, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        trunk.bit.weight.zero_()
        trunk.bit.bias.fill_(1.0)
        cond = trunk.condition(torch.zeros(20_000, 2))
        plain = trunk.unroll(torch.ones(20_000, 2, 5), cond, noise=0.0, generator=None)
        noisy = trunk.unroll(torch.ones(20_000, 2, 5), cond, noise=0.8, generator=torch.Generator().manual_seed(4))
    turned = (noisy[:, 1] - plain[:, 1]).abs().amax(1) > 1e-4
    assert float(turned.float().mean()) == pytest.approx(0.1056, abs=0.01)


def test_noise_comes_from_the_generator_and_only_touches_later_steps() -> None:
    trunk = DiscreteTrunk(hidden=7, bits=3, row=2, generator=torch.Generator().manual_seed(1))
    x, cond = torch.zeros(50, 3, 7), trunk.condition(torch.zeros(50, 2))
    runs = [
        trunk.unroll(x, cond, noise=n, generator=torch.Generator().manual_seed(s)) for n, s in ((2, 0), (2, 0), (2, 1))
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    assert torch.equal(runs[0][:, 0], runs[2][:, 0])


@torch.no_grad()
def test_a_row_whose_state_is_closed_decides_on_what_it_sees_alone() -> None:
    """By step and by unroll: its frames look the same at every step that shows the same."""
    library = untrained(SMALL)
    row = library.memory.index("strip.SCAN")
    obs, arguments = torch.tensor([[[1, 0, 0]] * 6]), torch.zeros(1, 3, dtype=torch.int64)
    for mask, different in ((OPEN, True), (OPEN - 1, False)):
        library.memory.gates_NF[row] = mask
        for run in (whole, stepped):
            hidden = run(library, 0, obs, torch.tensor([row]), arguments)[0]
            assert bool((hidden[1:] - hidden[0]).abs().max() > 1e-4) == different


@torch.no_grad()
def test_a_core_without_gates_sees_every_field() -> None:
    library = untrained(CoreConfig(hidden=5, bits=2, row=3, key=2, gates=False))
    core = library.core
    assert library.memory.gates_NF.shape == (len(library.memory), 0)
    assert (core.codes, core.words, core.row_sizes) == (1, 0, (3, 2, 0))
    words_NSW = core.tables(library.memory).words_NSW
    assert core.adapter(0).input_weights(words_NSW[:, 0]).tolist() == [[1.0] * 6] * len(library.memory)


@torch.no_grad()
def test_key_logits_are_dot_products_in_row_order_whatever_the_generations() -> None:
    library = two_worlds("discrete")
    info = replace(library.memory.infos[1], name="new.ONE", generation=1)
    memory = library.memory.drawn([info], generator=torch.Generator().manual_seed(5))
    hidden = torch.randn(3, SMALL.hidden, generator=torch.Generator().manual_seed(6))
    found = library.core.key_logits(hidden, library.core.tables(memory)).numpy()
    key = hidden.numpy() @ library.core.find.weight.numpy().T + library.core.find.bias.numpy()
    np.testing.assert_allclose(found, key @ memory.keys_NK.numpy().T, atol=1e-5)


@KINDS
@torch.no_grad()
def test_a_generation_puts_out_the_same_to_the_bit_whichever_rows_lie_before_it(kind: str) -> None:
    """The numbers of the last two rows begin at another address for each count; products must not tell."""
    library, generator = two_worlds(kind), torch.Generator().manual_seed(7)
    last = {name: torch.randn(2, p.shape[1], generator=generator) for name, p in library.memory.named_parameters()}
    hidden, found = torch.randn(9, library.core.config.hidden, generator=generator), []
    for count in range(1, 18):
        info = replace(library.memory.infos[1], generation=0)
        numbers = {name: values.new_zeros(count, values.shape[1]) for name, values in last.items()}
        old = ProgramMemory.holding([info] * count, numbers)
        memory = old.extended([replace(info, generation=1)] * 2, last)
        tables = library.core.tables(memory)
        found.append(torch.cat([tables.cond_NC[count:], library.core.key_logits(hidden, tables)[:, count:].T], 1))
        assert all(part.storage_offset() == 0 for part in tables.keys)
    assert all(torch.equal(found[0], other) for other in found[1:])


def test_rows_appended_leave_the_others_to_the_bit() -> None:
    memory = untrained(SMALL).memory
    info = replace(memory.infos[2], name="new.ONE", generation=1)
    more = memory.drawn([info, info], generator=torch.Generator().manual_seed(9))
    again = memory.drawn([info, info], generator=torch.Generator().manual_seed(9))
    for name, parameter in memory.named_parameters():
        assert torch.equal(getattr(more, name)[: len(memory)], parameter)
        assert torch.equal(getattr(more, name), getattr(again, name))
        assert getattr(more, name).shape == (len(memory) + 2, parameter.shape[1])
    assert more.generations == 2
    assert more.infos[-1].name == "new.ONE"
    assert more.numbers == SMALL.row + SMALL.key + 9  # a mask of gates for each of 2 ** 3 + 1 codes
    assert not torch.equal(more.keys_NK[-1], more.keys_NK[-2])
    assert (more.gates_NF[-2:] == OPEN).all()


def test_index_finds_a_row_by_its_name() -> None:
    memory = untrained(SMALL).memory
    assert memory.infos[memory.index("strip.HOME")].name == "strip.HOME"
    with pytest.raises(KeyError, match="no row 'HOME'"):
        memory.index("HOME")


@KINDS
def test_numbers_come_from_the_seed_alone(kind: str) -> None:
    """Red when a layer initialises itself from the global generator."""
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one = untrained(CORES[kind], strip(), tape(), seed=4)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    two, three = untrained(CORES[kind], strip(), tape(), seed=4), untrained(CORES[kind], strip(), tape(), seed=5)
    assert one.core.digest() == two.core.digest() != three.core.digest()
    assert one.rows_digest() == two.rows_digest() != three.rows_digest()


@KINDS
def test_every_number_of_a_fresh_core_is_set_and_bounded(kind: str) -> None:
    for name, parameter in untrained(CORES[kind], seed=7).core.named_parameters():
        assert 0 < parameter.abs().max() < 20, name
        assert parameter.unique().numel() > parameter.numel() / 2, name


def test_a_seeded_layer_is_uniform_within_its_bound() -> None:
    layer = seeded_linear(100, 50, generator=torch.Generator().manual_seed(0))
    for parameter in layer.parameters():
        assert parameter.abs().max() <= 0.1
    assert abs(float(layer.weight.detach().std()) - 0.1 / math.sqrt(3)) < 0.002


@KINDS
def test_the_digest_covers_every_number(kind: str) -> None:
    core = untrained(CORES[kind]).core
    seen = {core.digest()}
    for parameter in core.parameters():
        with torch.no_grad():
            parameter.view(-1)[-1] += 1e-3
        seen.add(core.digest())
    assert len(seen) == 1 + len(list(core.parameters()))


def test_the_digest_covers_names_shapes_and_types() -> None:
    zero = torch.zeros(2, 3)
    variants = [{"a": zero}, {"b": zero}, {"a": zero.view(3, 2)}, {"a": zero.int()}, {"a": zero, "b": zero[:0]}]
    assert len({tensors_digest(v) for v in variants}) == len(variants)
    assert tensors_digest({"a": zero, "b": zero}) == tensors_digest({"b": zero, "a": zero})


# --- what may be called ----------------------------------------------------------------------------------------------


def test_a_row_may_call_its_world_and_no_later_generation() -> None:
    library = two_worlds("discrete")
    old = library.memory.infos[library.memory.index("strip.SCAN")]
    info = replace(old, name="new.ONE", generation=1)
    memory = library.memory.drawn([info], generator=torch.Generator())
    allowed, names = may_call(memory).tolist(), [i.name for i in memory.infos]
    world = {n: 1 if n.startswith(("tape", "world1")) else 0 for n in names}
    for p, caller in enumerate(names):
        for q, callee in enumerate(names):
            expected = world[caller] == world[callee] and (callee != "new.ONE" or caller == "new.ONE")
            assert allowed[p][q] == expected, (caller, callee)


def test_slots_allow_their_tokens_and_unused_ones_token_zero_only() -> None:
    allowed = stack_slots([[(2, 4)], [], [(0, 1), (3,), (4,)]], tokens=5)
    assert allowed[0].tolist() == [[False, False, True, False, True]] + [[True] + [False] * 4] * 2
    assert allowed[1].tolist() == [[True] + [False] * 4] * 3
    assert allowed[2].int().tolist() == [[1, 1, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]


def reference_call(library: Library, programs, world: int, hidden: torch.Tensor, row: int) -> list[int]:
    """One decision by plain loops over what may be called and which tokens it may carry."""
    core, memory, table = library.core, library.memory, programs.table
    if float(core.end(hidden)) > 0:
        return [RETURN, 0, 0, 0]
    key = core.find(hidden)
    best, callee = -math.inf, -1
    for i, name in enumerate(s.name for s in table.signatures):
        position = memory.index(name if i >= table.primitives else f"world{world}.{name}")
        if memory.infos[position].generation > memory.infos[row].generation:
            continue
        similarity = float(key @ memory.keys_NK[position])
        if similarity > best:
            best, callee = similarity, i
    logits = core.adapter(world).arguments(hidden).view(3, len(table.world.tokens))
    slots, tokens = table.signatures[callee].slots, []
    for slot in range(3):
        choice = slots[slot].tokens if slot < len(slots) else (0,)
        tokens.append(max(choice, key=lambda token, slot=slot: float(logits[slot, token])))
    return [callee, *tokens]


@KINDS
@pytest.mark.parametrize("world", [0, 1])
@torch.no_grad()
def test_the_stepper_decides_as_plain_loops_do(kind: str, world: int) -> None:
    """Red when a mask is missing or laid over the wrong columns."""
    library, programs = two_worlds(kind, seed=3), (strip(), tape())[world]
    with torch.no_grad():
        library.core.end.bias.fill_(-0.02)
    rows = library.rows(programs.table)
    stepper = CoreStepper(library.core, library.memory, rows, world=world, table=programs.table)
    obs, program, arguments = frames_of(programs, B=40, T=1, seed=5)
    hidden = whole(library, world, obs, rows[program], arguments)[:, 0]
    decision = stepper.step(
        Observation(obs[:, 0]), program, arguments, torch.zeros(40, stepper.width, dtype=stepper.dtype)
    )
    expected = [reference_call(library, programs, world, h, int(r)) for h, r in zip(hidden, rows[program], strict=True)]
    assert decision.call_B4.tolist() == expected
    assert len({call[0] for call in expected}) >= 2


# --- devices ---------------------------------------------------------------------------------------------------------


@KINDS
@DEVICES
@torch.no_grad()
def test_a_core_decides_the_same_on_every_device(kind: str, device: str) -> None:
    library, table = two_worlds(kind), strip().table
    obs, program, arguments = configurations(table, 200, generator=torch.Generator().manual_seed(2))
    here = library.stepper(table, memo=False)
    hidden = torch.zeros(200, here.width, dtype=here.dtype)
    expected = here.step(Observation(obs), program, arguments, hidden)
    library.core.to(device)
    library.memory.to(device)
    there = library.stepper(table, memo=False)
    found = there.step(Observation(obs.to(device)), *(x.to(device) for x in (program, arguments, hidden)))
    assert (found.call_B4.cpu() == expected.call_B4).all(1).float().mean() > 0.98


# --- settings -------------------------------------------------------------------------------------------------------


def test_settings_survive_json_and_an_unknown_one_is_named() -> None:
    assert CoreConfig.from_json(SMALL.to_json()) == SMALL
    with pytest.raises(ValueError, match="no setting 'hiden'; did you mean 'hidden'"):
        CoreConfig.from_json({"hiden": 3})


@pytest.mark.parametrize(
    ("change", "message"),
    [({"kind": "gru"}, "'discrete' or 'lstm'"), ({"bits": 17}, "at most 16"), ({"hidden": 0}, "hidden must be at")],
)
def test_settings_that_make_no_core_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CoreConfig(**change)


def test_a_core_has_an_adapter_for_each_world_of_its_own_sizes() -> None:
    core = two_worlds("discrete").core
    for world, programs in enumerate((strip(), tape())):
        spec = programs.table.world
        assert core.adapter(world).table.shape[0] == sum(f.size for f in spec.fields) + 3 * len(spec.tokens)
    assert core.row_sizes == (SMALL.row, SMALL.key, 2**SMALL.bits + 1)  # a word holds the inputs of either world
    assert dataset(strip()).frames.obs_SF.shape[1] == 3
