"""Programs with a learning signal in commands: which files and libraries have some, and ``--set``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from npi.cli.options import MAX_NUMBER, option

if TYPE_CHECKING:
    from dsl.program import ProgramSet
    from npi.core.config import Settings
    from npi.learners.interface import Learner, LearnerConfig, LearnerTraining

SetOption = Annotated[list[str] | None, option("--set", "A setting of a learner; --set help lists them.", "NAME=VALUE")]


def sources_of(paths: Sequence[Path]) -> tuple[list[Path | ProgramSet], bool]:
    """The program files parsed, folders and what is missing as they are; and whether all programs have signals.

    Raises ``ValueError`` where all programs of some files have signals, and not of all.
    """
    from dsl import load
    from dsl.program import ProgramSet

    sources = [load(path) if path.is_file() else path for path in paths]
    sets = [source for source in sources if isinstance(source, ProgramSet)]
    hosted = [programs for programs in sets if programs.signals and len(programs.signals) == len(programs.programs)]
    if hosted and len(hosted) < len(paths):
        raise ValueError(
            f"{hosted[0].path} has programs with a signal, which a learner's core learns, and other files have not: "
            "train them one after the other, into libraries of their own"
        )
    return sources, bool(hosted)


def chosen(
    learner: Learner, usual: LearnerTraining, settings: Sequence[str], **given: int | float | None
) -> tuple[LearnerConfig, LearnerTraining]:
    """A learner's settings with those that a user gives; ``ValueError`` for one that there is not."""
    from npi.jobs.learners import usual_config

    config = usual_config(learner)
    if "help" in settings:
        raise ValueError(f"settings of {learner.kind!r}, with their usual values: {_listed(config)}; {_listed(usual)}")
    words = dict(_pair(word) for word in settings)
    shape = {f.name for f in fields(config)} - {"kind"}
    given = {name: value for name, value in given.items() if value is not None}
    config = replace(config, **_typed(config, {n: w for n, w in words.items() if n in shape}))
    training = _typed(usual, {n: w for n, w in words.items() if n not in shape})
    return config, replace(usual, **{**training, **given})


def _listed(settings: Settings) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.to_json().items() if name != "kind")


def _pair(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals:
        raise ValueError(f"--set {word}: write NAME=VALUE, such as --set updates=500; --set help lists the names")
    return name, value


def _typed(settings: Settings, words: Mapping[str, str]) -> dict[str, Any]:
    """Values of the kinds that the settings have."""
    have = settings.to_json()
    found: dict[str, Any] = {}
    for name, word in words.items():
        if name not in have:
            settings.from_json({name: word})  # tells the closest one
        kind = type(have[name])
        try:
            found[name] = word in ("1", "true", "yes") if kind is bool else kind(word)
            if kind in (int, float) and not abs(found[name]) <= MAX_NUMBER:  # or not a number
                raise ValueError
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise ValueError(f"--set {name}={word[:60]}: {name} is {what}, and at most {MAX_NUMBER:,}") from None
    return found


def measure(learner: Learner) -> str:
    """What its programs maximise, minimise or imitate."""
    return learner.signals[0][1]
