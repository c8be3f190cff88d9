"""Program files with a program for each of many drawn priors of bandits: tasks enough that rows have to say which.

A prior (:mod:`envs.episodic.bandit`, family ``drawn``) is six equally likely cases, each with chances of its
own for every arm. Its number is a hidden part, so one world holds them all, and a program is told of its prior by its
row.
"""

from __future__ import annotations

from collections.abc import Iterable


def program_file(priors: Iterable[int], *, arms: int = 6, steps: int = 20) -> str:
    """The text of a file with a program and a task for each prior, by its number (from 1).

    Raises ``ValueError`` where there is none, or one below 1.
    """
    numbers = list(priors)
    if not numbers or min(numbers) < 1:
        raise ValueError("name at least one prior; their numbers begin at 1")
    head = f"world arms is bandit(arms: {arms}, family: drawn, steps: {steps})\n"
    return "\n".join([head, *(_program(number, steps) for number in numbers)])


def _program(number: int, steps: int) -> str:
    return f"""program PRIOR{number} "Find the arm that pays most, by what prior {number} makes likely":
    maximise reward over {steps} steps
    core "meta-rl"

task prior{number}(episode: number):
    EPISODE = digits(episode)
    PRIOR = digits({number})
    run PRIOR{number}
    expect TRIAL == [{steps}]
    train episode of 8 digits
    test episode of 9 digits
"""
