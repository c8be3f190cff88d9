"""Samples one after the other in machine code: what was computed for earlier samples is kept (Paine et al. 2016).

Numba compiles this at its first use and keeps the result on disk. Every sum of products goes over the inputs in their
order, beginning with the bias; a product and its sum may be rounded once. Plain Python over numpy arrays besides.

Shape legend: ``T`` samples, ``L`` frames, ``D`` layers, ``R`` channels, ``S`` skip channels, ``U`` units, ``O`` units
of an output layer, ``C`` values of half a code, ``X`` codes.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numba import njit

machine_code = partial(njit, cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")


@machine_code(inline="always")
def add_product(weight_IO, input_I, sum_O):  # type: ignore[no-untyped-def]
    """sum_O += input_I · weight_IO."""
    for i in range(weight_IO.shape[0]):
        factor = input_I[i]
        for o in range(weight_IO.shape[1]):
            sum_O[o] += factor * weight_IO[i, o]


@machine_code(inline="always")
def chosen(logit_X, uniform):  # type: ignore[no-untyped-def]
    """The first index up to which the likelihoods sum to more than a number from 0 to 1."""
    most = logit_X.max()
    total = np.float32(0)
    for x in range(len(logit_X)):
        total += np.exp(logit_X[x] - most)
    bound, found = uniform * total, len(logit_X) - 1
    total = np.float32(0)
    for x in range(len(logit_X)):
        total += np.exp(logit_X[x] - most)
        if total > bound:
            found = x
            break
    return found


@machine_code(inline="always")
def rectify(number_X):  # type: ignore[no-untyped-def]
    for x in range(len(number_X)):
        number_X[x] = max(number_X[x], np.float32(0))


@machine_code(inline="always")
def sigmoid(x):  # type: ignore[no-untyped-def]
    return np.float32(1) / (np.float32(1) + np.exp(-x))


@machine_code()
def wavenet(  # type: ignore[no-untyped-def]
    dilation_D, code_XR, older_DRG, newer_DRG, added_LDG, out_DRO, out_bias_DO, hidden_SS, hidden_bias_S, logits_SX,
    logits_bias_X, last, uniform_T, given_T, step, code_T, logit_TX,
):  # fmt: skip
    """Fill code_T, and logit_TX where it has rows, from the last code on; a given code of at least 0 is taken as it is.

    G: 2 R, what goes into a gate. O: R + S.
    """
    R, S = code_XR.shape[1], hidden_bias_S.shape[0]
    kept_DQR = np.zeros((len(dilation_D), dilation_D.max(), R), np.float32)
    x_R, gate_G = np.zeros(R, np.float32), np.zeros(2 * R, np.float32)
    out_O, skip_S, hidden_S = np.zeros(R + S, np.float32), np.zeros(S, np.float32), np.zeros(S, np.float32)
    logit_X = np.zeros(len(logits_bias_X), np.float32)
    for t in range(len(code_T)):
        x_R[:] = code_XR[last]
        skip_S[:] = 0
        for d in range(len(dilation_D)):
            place = t % dilation_D[d]
            gate_G[:] = added_LDG[t // step, d]
            add_product(older_DRG[d], kept_DQR[d, place], gate_G)
            add_product(newer_DRG[d], x_R, gate_G)
            kept_DQR[d, place] = x_R
            for r in range(R):
                gate_G[r] = np.tanh(gate_G[r]) * sigmoid(gate_G[R + r])
            out_O[:] = out_bias_DO[d]
            add_product(out_DRO[d], gate_G[:R], out_O)
            for r in range(R):
                x_R[r] += out_O[r]
            for s in range(S):
                skip_S[s] += out_O[R + s]
        rectify(skip_S)
        hidden_S[:] = hidden_bias_S
        add_product(hidden_SS, skip_S, hidden_S)
        rectify(hidden_S)
        logit_X[:] = logits_bias_X
        add_product(logits_SX, hidden_S, logit_X)
        if len(logit_TX):
            logit_TX[t] = logit_X
        last = given_T[t] if given_T[t] >= 0 else chosen(logit_X, uniform_T[t])
        code_T[t] = last


@machine_code()
def wavernn(  # type: ignore[no-untyped-def]
    code_XG, frame_LG, again_UG, again_bias_G, coarse_hidden_UO, coarse_hidden_bias_O, coarse_OC, coarse_bias_C,
    fine_hidden_UO, fine_hidden_bias_O, known_CO, fine_OC, fine_bias_C, last, uniform_T2, given_T, step, code_T,
    logit_T2C,
):  # fmt: skip
    """As :func:`wavenet`; logit_T2C are those of both halves, of the fine one given the coarse one.

    G: 3 U, the gates of the recurrence: reset, update, new.
    """
    U, O, C = again_UG.shape[0], len(coarse_hidden_bias_O), len(coarse_bias_C)
    unit_U, again_G = np.zeros(U, np.float32), np.zeros(3 * U, np.float32)
    hidden_O, logit_C = np.zeros(O, np.float32), np.zeros(C, np.float32)
    for t in range(len(code_T)):
        again_G[:] = again_bias_G
        add_product(again_UG, unit_U, again_G)
        from_code_G, from_frame_G = code_XG[last], frame_LG[t // step]
        for u in range(U):
            reset = sigmoid(from_code_G[u] + from_frame_G[u] + again_G[u])
            update = sigmoid(from_code_G[U + u] + from_frame_G[U + u] + again_G[U + u])
            fresh = np.tanh(from_code_G[2 * U + u] + from_frame_G[2 * U + u] + reset * again_G[2 * U + u])
            unit_U[u] = fresh + update * (unit_U[u] - fresh)
        hidden_O[:] = coarse_hidden_bias_O
        add_product(coarse_hidden_UO, unit_U, hidden_O)
        rectify(hidden_O)
        logit_C[:] = coarse_bias_C
        add_product(coarse_OC, hidden_O, logit_C)
        if len(logit_T2C):
            logit_T2C[t, 0] = logit_C
        coarse = given_T[t] // C if given_T[t] >= 0 else chosen(logit_C, uniform_T2[t, 0])
        hidden_O[:] = fine_hidden_bias_O
        add_product(fine_hidden_UO, unit_U, hidden_O)
        for o in range(O):
            hidden_O[o] += known_CO[coarse, o]
        rectify(hidden_O)
        logit_C[:] = fine_bias_C
        add_product(fine_OC, hidden_O, logit_C)
        if len(logit_T2C):
            logit_T2C[t, 1] = logit_C
        fine = given_T[t] % C if given_T[t] >= 0 else chosen(logit_C, uniform_T2[t, 1])
        last = C * coarse + fine
        code_T[t] = last
