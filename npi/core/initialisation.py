"""Layers whose initial numbers come from a generator that is given, and from no other."""

from __future__ import annotations

import math

import torch
from torch import nn


def seeded_linear(inputs: int, outputs: int, *, generator: torch.Generator, bias: bool = True) -> nn.Linear:
    """A linear layer whose initial weights come from ``generator`` alone (uniform, ±1/√inputs)."""
    with torch.random.fork_rng(devices=[]):  # its own initial numbers are drawn from the global generator
        layer = nn.Linear(inputs, outputs, bias=bias)
    bound = 1 / math.sqrt(inputs)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-bound, bound, generator=generator)
    return layer


def seeded_conv(
    inputs: int, outputs: int, side: int, *, generator: torch.Generator, stride: int = 2, bias: bool = True
) -> nn.Conv2d:
    """A convolution whose initial weights come from ``generator`` (uniform, for rectified units)."""
    with torch.random.fork_rng(devices=[]):  # its own initial numbers are drawn from the global generator
        layer = nn.Conv2d(inputs, outputs, side, stride=stride, padding=side // 2, bias=bias)
    bound = math.sqrt(6 / (inputs * side * side))
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        if layer.bias is not None:
            layer.bias.zero_()
    return layer
