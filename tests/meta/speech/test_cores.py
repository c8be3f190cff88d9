"""WaveNet and WaveRNN: the kit, machine code beside plain loops, learning, and rows beside a frozen core."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dsl import load
from dsl.program import ProgramSet
from envs.speech import data
from envs.speech.audio import decode
from envs.speech.world import PHONES, Speech
from envs.stepper import Draw
from meta.speech.adaptation import fine_tune
from meta.speech.core import SpeechCore
from meta.speech.learner import WAVENET, WAVERNN, SpeechTraining
from meta.speech.sampling import speak
from meta.speech.wavenet import WaveNet, WaveNetConfig
from meta.speech.wavernn import HALF, WaveRNN, WaveRNNConfig
from npi import api
from npi.cli.main import main
from npi.learners.conformance import check_learner
from npi.learners.evaluate import evaluated
from npi.learners.interface import TaskInput
from npi.learners.rollout import play
from npi.learners.voice_programs import program_file, program_name
from npi.library.examples import shipped
from npi.library.library import Library
from tests.support.tiny_voices import tiny_corpus

SMALL_NET = {"row": 4, "phones": 4, "conditioning": 8, "encoder": 8}

NET = WaveNetConfig(**SMALL_NET, channels=8, skip=8, layers=4)
RNN = WaveRNNConfig(**SMALL_NET, code=8, units=16, output=8)

SETTINGS = ["row=4", "phones=4", "conditioning=12", "encoder=8", "channels=12", "skip=16", "layers=6"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Program files of three voices that a core is trained on, and of a fourth one."""
    folder = tmp_path_factory.mktemp("speech")
    data.hold("tiny", tiny_corpus(folder / "voices", count=3, recordings=10))
    data.hold("fourth", tiny_corpus(folder / "all", count=4, recordings=10))
    names = ("one", "two", "three")
    (folder / "voices.npi").write_text(program_file(names, data="tiny", steps=400))
    (folder / "rnn.npi").write_text(program_file(names, core="wavernn", data="tiny", steps=160))
    (folder / "short.npi").write_text(program_file(names, data="tiny", steps=160))
    fourth = program_file(("a", "b", "c", "four"), data="fourth", steps=400).split("\nprogram")
    (folder / "fourth.npi").write_text(fourth[0] + "\nprogram" + fourth[4])
    return folder


@pytest.fixture(scope="module")
def library(files: Path) -> Path:
    """A small WaveNet that was trained for some seconds."""
    words = [word for setting in [*SETTINGS, "batch=6", "rate=1e-2", "check_every=90"] for word in ("--set", setting)]
    command = ["train", str(files / "voices.npi"), "--out", str(files / "library"), "--updates", "90", *words]
    assert main(command) == 0
    return files / "library"


def programs(path: Path) -> ProgramSet:
    return load(path)


def test_wavenet_conforms(files: Path) -> None:
    check_learner(WAVENET, programs(files / "short.npi"), config=NET)


def test_wavernn_conforms(files: Path) -> None:
    check_learner(WAVERNN, programs(files / "rnn.npi"), config=RNN)


def cores() -> list[SpeechCore]:
    made: list[SpeechCore] = [
        WaveNet(NET, generator=torch.Generator().manual_seed(0)),
        WaveRNN(RNN, generator=torch.Generator().manual_seed(0)),
    ]
    with torch.no_grad():
        for core in made:
            for parameter in core.parameters():
                parameter.mul_(2)  # so that codes differ much in likelihood
    return made


def frames(count: int) -> torch.Tensor:
    frame_LF = torch.rand(count, 6, generator=torch.Generator().manual_seed(1))
    frame_LF[:, 0] = torch.arange(3, 3 + count)
    return frame_LF


@pytest.mark.parametrize("core", cores(), ids=lambda core: core.config.kind)
def test_machine_code_says_what_repeated_steps_say(core: SpeechCore) -> None:
    world, frame_LF, row_P = Speech("booth", {"steps": 240}), frames(3), torch.tensor([1.0, -1.0, 0.5, 2.0])
    spoken = speak(core, frame_LF, row_P, seed=3, logits=True)
    state = world.reset([{}], given={PHONES: frame_LF[None]})
    task = TaskInput(world.spec, 0, row_P[None], torch.zeros(1, 3, dtype=torch.int64))
    codes, logs = [], []
    with torch.no_grad():
        hidden_BH = core.begin(task, world.observe(state))
        for t in range(240):
            step = core.step(task, world.observe(state), hidden_BH, draw=Draw(3, torch.zeros(1, dtype=torch.int64), t))
            world.act(state, step.action, torch.tensor([True]))
            hidden_BH = step.hidden_BH
            codes.append(int(state.last_B))
            assert step.action.payload_BX is not None
            logs.append(step.action.payload_BX[0])
    assert spoken.code_T.tolist() == codes
    assert len(set(codes)) > 30
    found = torch.from_numpy(spoken.logits).log_softmax(-1)
    if isinstance(core, WaveRNN):
        coarse_T = torch.tensor(codes) // HALF
        logs_TCC = torch.stack(logs).unflatten(1, (HALF, HALF))
        fine_TC = logs_TCC[torch.arange(240), coarse_T].log_softmax(1)
        expected = torch.stack([logs_TCC.logsumexp(2), fine_TC], 1)
    else:
        expected = torch.stack(logs)
    assert float((found - expected).abs().max()) < 1e-4


@pytest.mark.parametrize("core", cores(), ids=lambda core: core.config.kind)
def test_a_core_hears_neither_what_is_to_come_nor_beyond_its_frames(core: SpeechCore) -> None:
    row_P, given_T = torch.ones(4), np.arange(400) % 256
    changed_T, frame_LF = given_T.copy(), frames(5)
    changed_T[200] += 1
    one, other = (speak(core, frame_LF, row_P, given_T=codes, logits=True).logits for codes in (given_T, changed_T))
    assert np.abs(one[:201] - other[:201]).max() == 0
    assert np.abs(one[201] - other[201]).max() > 0
    again = speak(core, torch.cat([frame_LF, torch.zeros(3, 6)])[:5], row_P, given_T=given_T, logits=True).logits
    assert (one == again).all()


def test_temperature_makes_likely_codes_likelier() -> None:
    core = cores()[0]
    cold, warm = (speak(core, frames(3), torch.ones(4), temperature=t, logits=True).logits for t in (0.5, 1.0))
    assert np.allclose(cold[0], 2 * warm[0], atol=1e-4)


def test_training_makes_recordings_likelier_and_runs_are_judged_as_they_are_played(library: Path, files: Path) -> None:
    """Codes by their frequencies alone take more than 5.5 bits; a core that was not trained, 8."""
    opened = Library.open(library)
    scores = api.evaluate(library=opened, count=4)
    bits = [score.scores["bits"].mean for score in scores]  # type: ignore[union-attr]
    assert max(bits) < 5
    found, task = opened.task(f"say_{program_name('two').lower()}")
    part = next(evaluated(opened, found, task, count=2))
    assert part.right_B == [True, True]
    row_P = opened.memory.embeddings_NP[opened.memory.index("voices.TWO")].detach()
    state = found.world.reset([problem.layout for problem in part.problems])
    asked = TaskInput(found.world.spec, 0, row_P.expand(2, -1), torch.zeros(2, 3, dtype=torch.int64))
    net = opened.core.net  # type: ignore[attr-defined]
    played = play(net, found.world, state, asked, 400)
    parallel_TB = -part.episodes.extras["log_likelihood"] / np.log(2)
    assert float((played.scores["bits"] - parallel_TB).abs().max()) < 1e-3


def test_a_new_voice_is_a_row_and_old_ones_stay_bit_identical(library: Path, files: Path) -> None:
    opened = Library.open(library)
    before = opened.memory.embeddings_NP.detach().clone(), opened.core.net.state_dict()  # type: ignore[attr-defined]
    learning = WAVENET.learning
    settings = type(learning)(**{**learning.to_json(), "updates": 25, "batch": 4, "problems": 8, "check_every": 25})
    found = api.learn(opened, [files / "fourth.npi"], settings=settings)
    (scores,) = found.scores.values()
    assert scores.learned < min(scores.mean, scores.nearest)
    assert found.before == found.after
    assert torch.equal(opened.memory.embeddings_NP[:3], before[0])
    assert all(torch.equal(part, before[1][name]) for name, part in opened.core.net.state_dict().items())  # type: ignore[attr-defined]


def test_all_numbers_are_moved_beside_a_library_that_stays(library: Path, files: Path, tmp_path: Path) -> None:
    """SEA-ALL, from a row of another voice: what was held back is found likelier than by the row alone."""
    corpus = tiny_corpus(tmp_path / "all", count=4, recordings=10)
    part, rest = corpus.stretch(3, 0, 2), corpus.stretch(3, 2, 2.5)
    assert (len(part.code_N), len(rest.code_N)) == (16000, 4000)
    assert (part.code_N[:2000] == corpus.codes(30)[:2000]).all()
    data.hold("part", part)
    data.hold("rest", rest)
    sets = []
    for name in ("part", "rest"):
        (tmp_path / f"{name}.npi").write_text(program_file(("four",), data=name, steps=400))
        sets.append(load(tmp_path / f"{name}.npi"))
    opened = Library.open(library)
    net, row_P = opened.core.net, opened.memory.embeddings_NP[0].detach()  # type: ignore[attr-defined]
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    training = SpeechTraining(updates=12, batch=4, rate=3e-3, row_rate=3e-3, check_every=4)
    first = fine_tune(opened, row_P, *sets, SpeechTraining(updates=1, batch=1, rate=1e-9, row_rate=1e-9, check_every=1))
    best = fine_tune(opened, row_P, *sets, training)
    assert best.bits < first.bits - 0.05
    assert best.updates > 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize("core", cores(), ids=lambda core: core.config.kind)
def test_a_row_is_inferred_from_what_is_live_alone(core: SpeechCore) -> None:
    code_BT = torch.randint(256, (2, 1600), generator=torch.Generator().manual_seed(2))
    live_BT = torch.ones(2, 1600, dtype=torch.bool)
    live_BT[1, 1200:] = False
    row_BP = core.encoder(code_BT, live_BT).detach()
    code_BT[1, 1200:] = 7
    again_BP = core.encoder(code_BT, live_BT).detach()
    assert torch.allclose(row_BP, again_BP, atol=1e-6)
    assert float((row_BP[0] - row_BP[1]).abs().max()) > 1e-4
    code_BT[1, :1200] = 128
    assert float((core.encoder(code_BT, live_BT).detach()[1] - row_BP[1]).abs().max()) > 1e-2


def test_a_library_that_does_not_speak_and_other_rates_are_refused(library: Path) -> None:
    with pytest.raises(ValueError, match="does not speak"):
        api.speak("characters", "a", library=shipped()["few_shot"])
    core = WaveNet(NET, generator=torch.Generator().manual_seed(0))
    spec = Speech("booth", {"rate": 16000, "steps": 320}).spec
    with pytest.raises(ValueError, match="this core speaks 8000"):
        core.begin(TaskInput(spec, 0, torch.zeros(1, 4), torch.zeros(1, 3, dtype=torch.int64)))
    with pytest.raises(ValueError, match="the temperature is 0"):
        api.speak("say_one", "a", library=library, temperature=0)


def test_a_text_is_said_to_a_file(library: Path, tmp_path: Path, capsys) -> None:
    from envs.speech import espeak
    from envs.speech.audio import read_wav

    if not espeak.available():
        pytest.skip("espeak-ng's library is not installed")
    wav, picture = tmp_path / "said.wav", tmp_path / "said.png"
    words = ["run", "say_one", "Good", "morning", "--library", str(library), "--wav", str(wav)]
    assert main([*words, "--picture", str(picture), "--json"]) == 0
    assert '"text": "Good morning"' in capsys.readouterr().out
    sound = read_wav(wav)
    assert sound.rate == 8000
    assert 0.3 < sound.seconds < 2
    assert picture.read_bytes()[:4] == b"\x89PNG"
    again = api.speak("say_one", "Good morning", library=library)
    assert np.abs(again.sound.sample_T - sound.sample_T).max() < 1e-4
    assert set(np.unique(again.sound.sample_T)) <= set(decode(np.arange(256)))
    assert main([*words[:4], "--library", str(library), "--wav", str(tmp_path / "x.mp3")]) == 2
    assert main(["run", "say_one", "--library", str(library), "--temperature", "0.5"]) == 2
