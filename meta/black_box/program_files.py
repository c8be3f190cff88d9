"""Program files of families of functions, each a program of a searcher."""

from __future__ import annotations

TEXT = """world functions is black_box({settings})

program SEARCH "Ask where the function is small, in few queries":
    minimise value over {steps} steps
    core "black-box"

task {name}:
    run SEARCH
    expect QUERIES == [{steps}]
    train
    test
"""


def text(name: str, steps: int = 100, **settings: object) -> str:
    """A file of a world with these settings and a program SEARCH; ``name`` is its task's."""
    told = ", ".join(f"{key}: {value}" for key, value in {**settings, "steps": steps}.items())
    return TEXT.format(settings=told, steps=steps, name=name)


FAMILIES = {
    **{f"gp{d}": {"function": "gp", "dimensions": d, "length_scale": 0.3} for d in (1, 3, 6, 9)},
    "any5": {"function": "gp", "dimensions": 5, "kernel": "any", "length_scale": 0.4, "spread": 3},
}
"""What the core that comes with the engine is trained on: samples of Gaussian processes of one kernel and length scale
in several dimensions, and of many."""
