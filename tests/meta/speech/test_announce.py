"""A program with a body that calls a voice: a sum is said digit by digit, and another voice is another row."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

import npi
from dsl import load
from dsl.teacher import shown_by
from envs.product import heard
from envs.speech import utterances
from envs.speech.audio import read_wav
from envs.speech.phones import Phone
from meta.speech.core import uttered
from meta.speech.wavenet import WaveNet, WaveNetConfig
from npi.cli.main import main
from npi.core.config import CoreConfig, TrainConfig
from npi.jobs.learners import new_library, train_learner
from npi.jobs.train import train_library
from npi.learners.core import learner_program_core
from npi.learners.learn_rows import take_row
from npi.learners.speaking import Voiced
from npi.learners.tasks import training_tasks
from npi.learners.voice_programs import program_file
from npi.library.library import Library
from npi.library.operations import hosting
from npi.library.stand_ins import standing_in
from npi.running.evaluate import run_problems
from npi.running.runs import Run
from tests.support.paths import ROOT
from traces.machine.outcome import Status

TOOLS = ROOT / "programs" / "tools"

NET = WaveNetConfig(row=4, phones=4, conditioning=8, encoder=8, channels=8, skip=8, layers=4)


def read(word: str, rate: int, language: str) -> tuple[torch.Tensor, tuple[Phone, ...]]:
    """A reading of nobody: digit d has d + 1 frames, of a sound of its own."""
    frame_LF = torch.rand(1 + int(word), 6, generator=torch.Generator().manual_seed(int(word)))
    frame_LF[:, 0] = 3 + int(word)
    return frame_LF, (Phone("a", 0.0, len(frame_LF) / 100),)


@pytest.fixture(autouse=True)
def readings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utterances, "word_frames", read)


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """A core of chance with two voices, and the program of the tool with the row of the first one."""
    path = tmp_path_factory.mktemp("voices") / "voices.npi"
    path.write_text(program_file(("one", "two"), data="nobodys", steps=400))
    programs = load(path)
    library = new_library(NET, training_tasks(programs), [programs], seed=1)
    with torch.no_grad():
        for parameter in library.core.parameters():
            parameter.mul_(2)
        library.memory.embeddings_NP.mul_(3)
    take_row(library, [load(TOOLS / "say.npi")], "voices.ONE")
    return library


def alone(voices: Library, row: str, digit: str, seed: int = 0) -> np.ndarray:
    """The second way: what the core says of a digit, without programs or a machine."""
    core = learner_program_core(voices.core)
    assert isinstance(core.learner, Voiced)
    row_P = voices.memory.embeddings_NP[voices.memory.index(row)].detach()
    return core.learner.say(core.net, read(digit, 8000, "en-us")[0], row_P, seed=seed).sample_T


def test_the_sum_is_said_digit_by_digit(voices: Library) -> None:
    """By the text of the bodies: a batch of sums, each of whose sounds is that of its digits, one after the other."""
    programs = hosting(load(TOOLS / "announce.npi"), [voices])
    task = programs.task("announce")
    problems = task.draw(3, 6, generator=torch.Generator().manual_seed(0), spread=False)
    outcome = run_problems(shown_by(programs), programs, problems)
    assert outcome.status_N.tolist() == [Status.DONE] * 6
    readings = outcome.read(programs.world)
    for origin_B, state in outcome.parts:
        for place, number in enumerate(origin_B.tolist()):
            problem, reading = problems[number], readings[number]
            digits = str(problem.values["a"] + problem.values["b"])
            assert reading["SPOKEN"] == [*map(int, digits)]
            assert task.judge(problem, reading)
            (said,) = heard(programs.world, state, place)
            wanted = np.concatenate([alone(voices, "voices.ONE", digit) for digit in digits])
            assert said.sound.sample_T.tobytes() == wanted.tobytes()


@pytest.fixture(scope="module")
def announcer(voices: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained on traces until the bodies are proved with any answer of the voice."""
    out = tmp_path_factory.mktemp("announcer") / "library"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utterances, "word_frames", read)
        training = TrainConfig.for_core(CoreConfig(), certify=True, problems=32)
        trained = train_library([TOOLS / "announce.npi"], out=out, hosts=[voices], training=training, traces=16)
    assert trained.solved
    return out


def parts(run: Run, rest: str, voices: Library, row: str, seed: int = 0) -> None:
    """Check the sound of a run beside that of its digits alone."""
    (said,) = run.heard
    wanted = np.concatenate([alone(voices, row, digit, seed) for digit in rest])
    assert said.text == " ".join(rest)
    assert said.sound.sample_T.tobytes() == wanted.tobytes()


def test_another_row_changes_the_sound_alone(announcer: Path, voices: Library) -> None:
    one = npi.run("announce", {"a": 96, "b": 125}, library=announcer)
    two = npi.run("announce", {"a": 96, "b": 125}, library=announcer, rows={"SAY": "voices.TWO"})
    parts(one, "221", voices, "voices.ONE")
    parts(two, "221", voices, "voices.TWO")
    assert one.right
    assert (one.reading, [e.call for e in one.events]) == (two.reading, [e.call for e in two.events])
    assert one.heard[0].sound.sample_T.tobytes() != two.heard[0].sound.sample_T.tobytes()


def test_what_is_proved_holds_with_any_voice(announcer: Path) -> None:
    library = Library.open(announcer)
    for proof in npi.certify(library, ["announce.ANNOUNCE"]):
        assert proof.proved, proof
    other = standing_in(library, {"SAY": "voices.TWO"})
    assert other.core.digest() == library.core.digest()
    (score, *_) = npi.evaluate(["announce"], library=other, sizes=[20], count=10)
    assert (score.right, score.count) == (10, 10)


def test_the_command_writes_what_was_said(announcer: Path, voices: Library, tmp_path: Path, capsys) -> None:
    wav, picture = tmp_path / "sum.wav", tmp_path / "sum.png"
    words = ["run", "announce", "7", "5", "--library", str(announcer), "--wav", str(wav), "--seed", "3"]
    assert main([*words, "--picture", str(picture), "--json"]) == 0
    assert '"text": "1 2"' in capsys.readouterr().out
    wanted = np.concatenate([alone(voices, "voices.ONE", digit, seed=3) for digit in "12"])
    assert np.abs(read_wav(wav).sample_T - wanted).max() < 1e-4
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert main([*words, "--temperature", "0.5"]) == 2
    assert "a program's words are drawn" in capsys.readouterr().err


def test_what_a_core_has_said_is_forgotten_with_its_parameters(voices: Library) -> None:
    core, row_P = learner_program_core(voices.core).net, voices.memory.embeddings_NP[0].detach()
    assert isinstance(core, WaveNet)
    frame_LF = read("4", 8000, "en-us")[0]
    first, other = uttered(core, frame_LF, row_P, 0), uttered(core, frame_LF, row_P, 1)
    assert uttered(core, frame_LF, row_P, 0) is first
    assert not torch.equal(first, other)
    changed = copy.deepcopy(core)
    with torch.no_grad():
        changed.logits.bias[:128] += 9
    assert not torch.equal(uttered(changed, frame_LF, row_P, 0), first)
    assert torch.equal(uttered(core, frame_LF, row_P, 0), first)
    with torch.no_grad():
        changed.logits.bias[:128] -= 18
    assert uttered(changed, frame_LF, row_P, 0).mean() > 128  # upper half of the codes, as its parameters are now


def test_rows_are_not_learned_from_words(voices: Library) -> None:
    with pytest.raises(ValueError, match=r"say\.SAY: there are no recordings of words"):
        train_learner([TOOLS / "say.npi"], out=Path("nowhere"), config=NET)
