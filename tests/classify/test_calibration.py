"""Temperature and reliability: what is known of them, and that no prediction changes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import softmax

from classify.calibration import calibrated, fit_temperature, reliability


def beliefs(temperature, count=4000, classes=5, seed=0):
    """Beliefs that are too sure by `temperature`, and labels drawn from the right ones."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 2, (count, classes))
    right = softmax(logits, axis=1)
    labels = (generator.random(count)[:, None] > right.cumsum(1)).sum(1)
    return softmax(logits * temperature, axis=1).astype(np.float32), labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found(temperature):
    belief, labels = beliefs(temperature)
    assert fit_temperature(belief, labels) == pytest.approx(temperature, rel=0.06)


def test_it_lowers_the_calibration_error_of_other_pictures():
    belief, labels = beliefs(2.5)
    found = fit_temperature(belief[:2000], labels[:2000])

    def error(belief):
        return reliability(belief.max(1), belief.argmax(1) == labels[2000:]).ece

    assert error(belief[2000:]) > 0.08
    assert error(calibrated(belief[2000:], found)) < 0.03


@given(
    arrays(np.float32, (7, 4), elements=st.floats(0, 1, width=32)),
    st.floats(0.1, 10),
)
def test_no_prediction_changes(values, temperature):
    belief = (values + np.float32(1e-6)) / (values + np.float32(1e-6)).sum(1, keepdims=True)
    found = calibrated(belief, temperature)
    assert (found.argmax(1) == belief.argmax(1)).all()
    assert np.allclose(found.sum(1), 1, atol=1e-5)


def test_equal_after_rounding_still_leads():
    belief = np.array([[0.5 - 3e-8, 0.5 + 3e-8]], np.float32)
    assert belief[0, 0] < belief[0, 1]
    found = calibrated(belief, 10.0)
    assert found.argmax() == 1


def test_none_and_all_right():
    assert fit_temperature(np.zeros((0, 3), np.float32), np.zeros(0, np.int64)) == 1.0
    sure = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    assert 0.1 <= fit_temperature(sure, np.array([0, 1])) < 0.2


def test_reliability_by_hand():
    confidence = np.array([0.95, 0.95, 0.55, 0.45, 1.0], np.float32)
    found = reliability(confidence, np.array([True, False, True, False, True]))
    assert found.counts.sum() == 5
    assert found.counts[-1] == 3
    assert found.accuracy[-1] == pytest.approx(2 / 3)
    expected = (3 * abs((0.95 + 0.95 + 1) / 3 - 2 / 3) + abs(0.55 - 1) + abs(0.45 - 0)) / 5
    assert found.ece == pytest.approx(expected, abs=1e-6)
    assert np.isnan(found.confidence[0])
