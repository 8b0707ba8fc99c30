"""The same fit on a cluster: several processes, the same result to the last bit."""

import os
import pickle
import sys
from concurrent.futures import BrokenExecutor

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from skcoop import CooperativeDistiller
from skcoop._tables._frames import aligned
from skcoop._tables._task import make_task

TABLE, LABELS = load_breast_cancer(return_X_y=True, as_frame=True)


class Killed(GaussianNB):
    """Takes its whole process along: the first time in a worker, or without a marker
    each time."""

    def __init__(self, marker=None, home=None):
        super().__init__()
        self.marker = marker
        self.home = home

    def fit(self, X, y):
        if os.getpid() != self.home:
            if self.marker is None:
                os._exit(1)
            if not os.path.exists(self.marker):
                with open(self.marker, "w"):
                    pass
                os._exit(1)
        return super().fit(X, y)


def fit(X=TABLE, y=LABELS, third=None, **params):
    members = [
        # Far from converged, so that a difference in the last digit would show.
        ("linear", LogisticRegression(max_iter=30)),
        ("bayes", GaussianNB()),
        ("third", DecisionTreeClassifier(max_depth=2) if third is None else third),
    ]
    return CooperativeDistiller(members, random_state=0, **params).fit(X, y)


def assert_same(first, second):
    for one, other in [
        (first.lessons_, second.lessons_),
        (first.history_, second.history_),
    ]:
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    for X in (TABLE.to_numpy(), TABLE):
        if hasattr(first, "feature_names_in_") == isinstance(X, pd.DataFrame):
            np.testing.assert_array_equal(first.transform(X), second.transform(X))
            np.testing.assert_array_equal(
                first.predict_proba(X), second.predict_proba(X)
            )


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    options = {
        "n_workers": 2,
        "threads_per_worker": 1,
        "dashboard_address": "127.0.0.1:0",
    }
    with (
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize("container", ["pandas", "numpy"])
def test_dask_gives_the_same_to_the_last_bit(cluster, container):
    X = TABLE if container == "pandas" else TABLE.to_numpy()
    here = fit(X)
    with joblib.parallel_config(backend="dask"):
        there = fit(X, n_jobs=-1)
    assert_same(here, there)
    workers = cluster.run(os.getpid)
    assert len(workers) == 2
    assert os.getpid() not in workers.values()


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.filterwarnings("ignore:A worker process died")
def test_a_worker_of_a_cluster_that_dies_does_not_lose_the_fit(cluster, tmp_path):
    marker = str(tmp_path / "killed")
    with joblib.parallel_config(backend="dask"):
        there = fit(third=Killed(marker, os.getpid()), n_jobs=-1)
    assert os.path.exists(marker)
    assert_same(fit(third=Killed(marker, os.getpid())), there)


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_a_worker_that_dies_does_not_lose_the_fit(tmp_path):
    marker = str(tmp_path / "killed")
    mortal = Killed(marker, os.getpid())
    with (
        joblib.parallel_config(backend="loky"),
        pytest.warns(UserWarning, match=r"process died \(TerminatedWorkerError\)"),
    ):
        there = fit(third=mortal, n_jobs=2)
    assert os.path.exists(marker)
    assert_same(fit(third=mortal), there)


def test_a_member_that_always_kills_its_worker():
    """Only once more: then the error is the user's to see, and nothing is fitted."""
    mortal = Killed(None, os.getpid())
    model = CooperativeDistiller([("mortal", mortal), ("bayes", GaussianNB())])
    with (
        joblib.parallel_config(backend="loky"),
        pytest.warns(UserWarning, match="process died"),
        pytest.raises(BrokenExecutor),
    ):
        model.set_params(n_jobs=2).fit(TABLE, LABELS)
    with pytest.raises(NotFittedError):
        model.predict(TABLE)


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_every_backend_gives_the_same_to_the_last_bit(backend):
    with joblib.parallel_config(backend=backend):
        there = fit(n_jobs=2)
    assert_same(fit(), there)


@pytest.mark.parametrize("container", ["pandas", "numpy"])
def test_rows_are_aligned_when_they_arrive(container):
    """Unaligned arrays are multiplied by other means: the last digit differs."""
    X = np.frombuffer(bytearray(8 * 12 + 1), dtype=np.uint8)[1:].view(np.float64)
    X = X.reshape(4, 3)
    X[:] = np.arange(12).reshape(4, 3)
    assert not X.flags.aligned
    if container == "pandas":
        X = pd.DataFrame(X, copy=False)
        assert not X[0].to_numpy().flags.aligned
    good = aligned(X)
    np.testing.assert_array_equal(good, X)
    columns = [good[0].to_numpy()] if container == "pandas" else [good]
    assert all(column.flags.aligned for column in columns)
    # What is aligned, and what is no table, is left alone.
    assert aligned(good) is good
    assert aligned("text") == "text"


def test_a_task_says_how_large_it_is_and_survives_the_way():
    X = TABLE.to_numpy()
    rows = np.arange(len(X))
    task = make_task(X, LABELS.to_numpy(), rows % 3, np.ones(len(X)), rows)
    assert sys.getsizeof(task) > 2 * X.nbytes
    again = pickle.loads(pickle.dumps(task))
    np.testing.assert_array_equal(again.Z, task.Z)
    np.testing.assert_array_equal(again.keys, task.keys)
    assert again.n_folds == 3
