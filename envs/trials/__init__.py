"""Worlds of trials that reward: bandits, the two-step task, Harlow's task.

An episode has a number, from which all of its chance follows: the same number gives the same episode, alone or among
others. It is laid out as the hidden part ``EPISODE``, a list of decimal digits.
"""
