"""Worlds whose parameters are to be moved so that a loss falls: quadratics, Rosenbrock's function, networks on digits.

A problem has a number, from which all of it follows: its function, where its parameters begin, and the images of each
step. It is laid out as the hidden part ``EPISODE``, a list of decimal digits.
"""
