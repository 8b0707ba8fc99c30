"""The relational baseline of the benchmark follows its own loss."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from benchmarks import relational


def test_gradient_is_that_of_the_loss():
    draw = np.random.default_rng(0)
    X = np.hstack([draw.normal(size=(12, 3)), np.ones((12, 1))])
    loss = relational.RelationalLoss(X, draw.dirichlet(np.ones(3), size=12), 0)
    at = draw.normal(size=12)
    _, slope = loss(at)
    near = approx_fprime(at, lambda flat: loss(flat)[0], 1e-7)
    np.testing.assert_allclose(slope, near, rtol=1e-4, atol=1e-4)


def test_loss_vanishes_where_the_student_says_what_the_teacher_says():
    draw = np.random.default_rng(1)
    z = draw.normal(size=(30, 3))
    first, second, third = draw.permuted(np.tile(np.arange(30), (50, 1)), axis=1)[
        :, :3
    ].T
    size = relational.lengths(z[first] - z[second])
    value, slope = relational.distance_loss(3 * z, size / size.mean(), first, second)
    assert value == pytest.approx(0, abs=1e-12)
    assert np.abs(slope).max() < 1e-9
    goal = relational.cosines(z, first, second, third)[0]
    value, slope = relational.angle_loss(3 * z, goal, first, second, third)
    assert value == pytest.approx(0, abs=1e-12)
    assert np.abs(slope).max() < 1e-9
