"""The classifier with scikit-learn's interface: its checks, a second way to its answers, pictures of all kinds."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.utils.estimator_checks import check_estimator

import meta.few_shot
from dsl import loads
from envs.images.drawings import Drawings
from envs.images.picture_files import settled
from envs.images.strokes import generated_drawings
from envs.stepper import Ragged
from meta.few_shot import classifier
from meta.few_shot.classifier import FewShotClassifier, array_readings
from meta.few_shot.core import FewShotCore
from meta.few_shot.learner import LEARNER
from meta.few_shot.network import FewShotConfig
from npi.jobs.learners import new_library
from npi.learners.core import LearnerProgramCore
from npi.learners.tasks import training_tasks
from npi.library.library import Library

FILE = """
world pictures is images(data: strokes, ways: 5, shots: 1, pixels: 32)

program NAME "Say which class each picture is of":
    maximise accuracy over 20 steps
    core "few-shot"

task name:
    run NAME
    expect SHOWN == ["no"]
    train
"""

SKIPPED = {
    "check_array_api_input": "the environment variable SCIPY_ARRAY_API is not set",
    "check_classifier_data_not_an_array": "the last part of it needs pandas, where that is not installed",
}
"""Checks that scikit-learn may leave out itself, and why."""

SQUARE = "its data are flat and of 1, 2, 3, 5 or 10 values, which are no square picture and are refused"

REFUSED = dict.fromkeys(
    (
        "check_fit_score_takes_y", "check_estimators_overwrite_params", "check_dont_overwrite_parameters",
        "check_estimators_fit_returns_self", "check_readonly_memmap_input", "check_estimators_dtypes",
        "check_dtype_object", "check_pipeline_consistency", "check_estimators_nan_inf", "check_estimators_pickle",
        "check_f_contiguous_array_estimator", "check_classifier_data_not_an_array", "check_classifiers_one_label",
        "check_classifiers_classes", "check_classifiers_train", "check_classifiers_regression_target",
        "check_supervised_y_2d", "check_methods_sample_order_invariance", "check_methods_subset_invariance",
        "check_fit2d_1sample", "check_fit2d_1feature", "check_dict_unchanged", "check_fit_idempotent",
        "check_fit_check_is_fitted", "check_n_features_in", "check_fit2d_predict1d",
    ),
    SQUARE,
)  # fmt: skip
"""Checks that fail, and why: on a classifier that lays such data out as squares (:class:`Padded`) all of them hold."""


def library(seed: int = 0) -> Library:
    """An untrained core, and one row."""
    programs = loads(FILE)
    config = FewShotConfig(row=4, channels=8, set_hidden=8)
    return new_library(config, training_tasks(programs), [programs], seed=seed)


@pytest.fixture(scope="module")
def core() -> Library:
    return library()


@pytest.fixture(scope="module")
def drawn() -> Drawings:
    return generated_drawings(32, alphabets=1, characters=6, drawers=4, seed=3)


class Padded(FewShotClassifier):
    """Takes flat pictures of any number of values, as scikit-learn's checks give: behind them comes a dark and a light
    one, so that none is blank, and the rest of a square repeats all that."""

    def _laid_out(self, value_NV: np.ndarray) -> np.ndarray:
        marked_NV = np.concatenate([value_NV, np.full((len(value_NV), 1), -5), np.full((len(value_NV), 1), 5)], 1)
        side = int(np.ceil(np.sqrt(marked_NV.shape[1])))
        return np.resize(marked_NV.T, (side * side, len(value_NV))).T.reshape(-1, side, side)


@pytest.mark.parametrize(("kind", "failures"), [(Padded, {}), (FewShotClassifier, REFUSED)])
def test_scikit_learns_checks_hold_but_for_those_named(
    kind: type[FewShotClassifier], failures: dict[str, str], core: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Library, "open", classmethod(lambda cls, *given, **more: core))
    found = check_estimator(kind(), on_fail=None, on_skip=None)
    failed = {one["check_name"]: one["exception"] for one in found if one["status"] == "failed"}
    assert {*failed} == {*failures}, failed
    assert {one["check_name"] for one in found if one["status"] == "skipped"} <= {*SKIPPED}
    assert len(found) > 40


@pytest.mark.parametrize("row", ["mean", "infer", None])
def test_answers_are_those_of_the_core_one_by_one(core: Library, drawn: Drawings, row: str | None) -> None:
    """Second way: each picture alone, distances by the formula of the network, the mean of two examples of a class."""
    assert isinstance(core.core, LearnerProgramCore)
    net = core.core.net
    assert isinstance(net, FewShotCore)
    example_N, query_N = np.flatnonzero(drawn.drawer_N < 2), np.flatnonzero(drawn.drawer_N >= 2)
    names = np.array([f"class {5 - number}" for number in drawn.class_N])
    fitted = FewShotClassifier(core, row=row).fit(drawn.picture_NSS[example_N], names[example_N])
    share_NC = fitted.predict_proba(drawn.picture_NSS[query_N])
    assert list(fitted.classes_) == [f"class {number}" for number in range(6)]

    with torch.no_grad():
        ink = torch.from_numpy(settled([array_readings(drawn.picture_NSS, 32)])).float() / 255
        row_P = torch.zeros(4)
        if row == "mean":
            row_P = core.memory.embeddings_NP[0].detach()
        if row == "infer":
            row_P = net.inferred(Ragged(ink[example_N][None], torch.tensor([len(example_N)])))[0]
        maps = [net.encoder(one, row_P[None]) for one in ink.split(1)]
        for place, n in enumerate(query_N):
            distance = []
            for number in reversed(range(6)):
                one, other = (maps[m] for m in np.flatnonzero((drawn.class_N == number) & (drawn.drawer_N < 2)))
                distance.append(float(net.distance(maps[n][None], ((one + other) / 2)[None])))
            weight_C = np.exp(min(distance) - np.array(distance))
            np.testing.assert_allclose(share_NC[place], weight_C / weight_C.sum(), atol=1e-4)
    assert (fitted.predict(drawn.picture_NSS[query_N]) == fitted.classes_[share_NC.argmax(1)]).all()


def test_range_polarity_shape_and_company_make_no_difference(core: Library, drawn: Drawings) -> None:
    picture_NSS, label_N = drawn.picture_NSS, drawn.class_N
    fitted = FewShotClassifier(core).fit(picture_NSS[::4], label_N[::4])
    share_NC = fitted.predict_proba(picture_NSS)
    same = {
        "flat": picture_NSS.reshape(len(picture_NSS), -1),
        "shares": picture_NSS / 255,
        "black on white": 255 - picture_NSS,
        "of no usual range": picture_NSS.astype(np.float32) * 3.5 - 1000,
    }
    for name, given in same.items():
        again = FewShotClassifier(core).fit(given[::4], label_N[::4]).predict_proba(given)
        np.testing.assert_allclose(again, share_NC, atol=1e-6, err_msg=name)
    for place in range(0, len(picture_NSS), 5):
        assert (fitted.predict_proba(picture_NSS[place : place + 1])[0] == share_NC[place]).all()
    wide = np.pad(picture_NSS, ((0, 0), (0, 0), (7, 7)))
    tall = np.pad(wide, ((0, 0), (7, 7), (0, 0)))
    np.testing.assert_allclose(fitted.predict_proba(wide), fitted.predict_proba(tall), atol=1e-6)


def test_files_are_pictures_too(core: Library, drawn: Drawings, tmp_path: Path) -> None:
    paths = []
    for number, picture_SS in enumerate(drawn.picture_NSS):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(255 - picture_SS if number % 3 else picture_SS).save(paths[-1])
    fitted = FewShotClassifier(core).fit(paths[::4], drawn.class_N[::4])
    arrays = FewShotClassifier(core).fit(drawn.picture_NSS[::4], drawn.class_N[::4])
    np.testing.assert_allclose(
        fitted.predict_proba([str(path) for path in paths]), arrays.predict_proba(drawn.picture_NSS), atol=1e-5
    )


def test_copies_are_the_same_for_all_pictures_and_by_the_random_state(core: Library, drawn: Drawings) -> None:
    def shares(copies: int, state: int, part: slice = slice(None)) -> np.ndarray:
        fitted = FewShotClassifier(core, copies=copies, random_state=state).fit(
            drawn.picture_NSS[::4], drawn.class_N[::4]
        )
        found: np.ndarray = fitted.predict_proba(drawn.picture_NSS[part])
        return found

    whole = shares(3, 1)
    assert (shares(3, 1, slice(5, 6))[0] == whole[5]).all()
    assert (shares(3, 2) != whole).any()
    assert (shares(0, 2) == shares(0, 1)).all()


def test_a_fitted_classifier_is_pickled(core: Library, drawn: Drawings) -> None:
    fitted = FewShotClassifier(core).fit(drawn.picture_NSS[::4], drawn.class_N[::4])
    again = pickle.loads(pickle.dumps(fitted))
    assert (again.predict_proba(drawn.picture_NSS) == fitted.predict_proba(drawn.picture_NSS)).all()


@pytest.mark.parametrize(
    ("settings", "pictures", "labels", "told"),
    [
        ({"row": "median"}, np.eye(4)[None], [0], "row is 'median'; give 'mean', 'infer' or None"),
        ({"copies": -1}, np.eye(4)[None], [0], "copies is -1; give a whole number from 0 to 1000"),
        ({}, np.eye(3)[:, :3], [0, 1, 2], "flat pictures of 3 values are no squares"),
        ({}, np.stack([np.eye(4), np.full((4, 4), 7.0)]), [0, 1], "picture 1 has no ink, all of its values are 7"),
        ({}, np.eye(4)[None], [0.5], "Unknown label type"),
        ({}, "pictures", [0], "pictures: give a list of paths"),
    ],
)
def test_what_cannot_be_fitted_is_told(
    core: Library, settings: dict[str, Any], pictures: Any, labels: Any, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        FewShotClassifier(core, **settings).fit(pictures, labels)


def test_another_core_is_told(tmp_path: Path) -> None:
    from meta.optimisation.torch_optimizer import SHIPPED

    with pytest.raises(ValueError, match="its core names no pictures by a few examples"):
        FewShotClassifier(SHIPPED).fit(np.eye(4)[None], [0])


def test_packages_offer_it() -> None:
    assert meta.few_shot.FewShotClassifier is classifier.FewShotClassifier
    assert LEARNER.kind == "few-shot"
