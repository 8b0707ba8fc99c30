"""Members as files: what comes back is what went in, and nothing runs on the way."""

import copy as copy_module
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skcoop import CooperativeDistiller
from skcoop._members._member import LabelEncodedClassifier
from skcoop._members._soft_targets import ProbabilityAverager
from skcoop.exchange import load_member, save_member

pytest.importorskip("skops")

TREE = "sklearn.tree._tree.Tree"
DTYPE = "numpy.dtype"
# A list of columns in scikit-learn 1.6.
COLUMNS = "sklearn.compose._column_transformer._RemainderColsList"
RAN = []


def explode():
    RAN.append("reduce")


class Bomb(ClassifierMixin, BaseEstimator):
    """Leaves a mark when it is built from a pickle or a state."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.repeat(self.classes_[:1], len(X))

    def __setstate__(self, state):
        RAN.append("setstate")
        self.__dict__.update(state)

    def __reduce__(self):
        return explode, ()


def table():
    X = pd.DataFrame({"age": [1.0, 2.0, np.nan, 4.0] * 5, "sex": list("fmfm") * 5})
    return X, np.array(["ill", "well"] * 10)


def pipeline(last):
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = make_column_transformer((numbers, ["age"]), (OneHotEncoder(), ["sex"]))
    return make_pipeline(columns, last)


@pytest.mark.parametrize("last", [LogisticRegression(), DecisionTreeClassifier()])
def test_round_trip(tmp_path, last):
    X, y = table()
    model = pipeline(last).fit(X, y)
    save_member(model, tmp_path / "member.skops")
    member = load_member(tmp_path / "member.skops", trusted=[TREE, DTYPE, COLUMNS])
    assert isinstance(member, FrozenEstimator)
    np.testing.assert_array_equal(member.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(member.classes_, ["ill", "well"])
    # Saving what was loaded gives the same once more, not a frozen frozen one.
    save_member(member, str(tmp_path / "again.skops"))
    again = load_member(str(tmp_path / "again.skops"), trusted=[TREE, DTYPE, COLUMNS])
    assert type(again.estimator) is type(model)


def test_a_loaded_member_teaches(tmp_path):
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    elsewhere = make_pipeline(StandardScaler(), LogisticRegression())
    save_member(elsewhere.fit(X[::2], y[::2]), tmp_path / "visitor.skops")
    visitor = load_member(tmp_path / "visitor.skops")
    distiller = CooperativeDistiller(
        [("visitor", visitor), ("bayes", GaussianNB())], random_state=0
    ).fit(X[1::2], y[1::2])
    assert (distiller.lessons_["teacher"] == "visitor").all()
    assert len(distiller.lessons_)


def test_our_own_wrapper_is_trusted(tmp_path):
    X, y = table()
    model = LabelEncodedClassifier(GaussianNB()).fit(X[["age"]].fillna(0), y)
    save_member(model, tmp_path / "member.skops")
    assert load_member(tmp_path / "member.skops").classes_.tolist() == ["ill", "well"]


def test_untrusted_types_are_named_and_refused(tmp_path):
    X, y = table()
    save_member(pipeline(DecisionTreeClassifier()).fit(X, y), tmp_path / "tree.skops")
    with pytest.raises(ValueError, match=r"not trusted: \['sklearn.tree._tree.Tree'\]"):
        load_member(tmp_path / "tree.skops", trusted=[DTYPE, COLUMNS])
    with pytest.raises(ValueError, match="list of names"):
        load_member(tmp_path / "tree.skops", trusted=TREE)


def test_a_malicious_pickle_does_not_run(tmp_path):
    RAN.clear()
    path = tmp_path / "member.pkl"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="never unpickle"):
        load_member(path)
    assert not RAN
    pickle.loads(path.read_bytes())
    assert RAN  # it would have


def test_a_malicious_file_does_not_run(tmp_path):
    """A file of the right kind that asks for another type to be built and called."""
    X, y = table()
    path = tmp_path / "member.skops"
    save_member(GaussianNB().fit(X[["age"]].fillna(0), y), path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(parts["schema.json"])
    marked = tmp_path / "ran"
    schema["content"]["content"]["evil"] = {
        "__class__": "system",
        "__module__": "os",
        "__loader__": "ObjectNode",
        "__id__": 1234,
        "content": {"__class__": "str", "__module__": "builtins",
                    "__loader__": "JsonNode", "is_json": True, "__id__": 1235,
                    "content": json.dumps(f"touch {marked}")},
    }  # fmt: skip
    parts["schema.json"] = json.dumps(schema).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match=r"not trusted: \[.*os.system"):
        load_member(path)
    assert not marked.exists()


def test_an_unknown_estimator_is_not_built(tmp_path):
    RAN.clear()
    X, y = table()
    # Written without its own way of being reduced, as an attacker would.
    import skops.io

    reduce, Bomb.__reduce__ = Bomb.__reduce__, object.__reduce__
    try:
        skops.io.dump(Bomb().fit(X, y), tmp_path / "bomb.skops")
    finally:
        Bomb.__reduce__ = reduce
    with pytest.raises(ValueError, match="Bomb"):
        load_member(tmp_path / "bomb.skops")
    assert not RAN


def test_odd_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_member(tmp_path / "nothing.skops")
    import skops.io

    skops.io.dump(Ridge().fit([[1.0], [2.0]], [1.0, 2.0]), tmp_path / "ridge.skops")
    with pytest.raises(ValueError, match="no classifier but Ridge"):
        load_member(tmp_path / "ridge.skops")
    with zipfile.ZipFile(tmp_path / "empty.skops", "w"):
        pass
    with pytest.raises(ValueError, match="no file that save_member wrote"):
        load_member(tmp_path / "empty.skops")
    with pytest.raises(ValueError, match="no file that save_member wrote"):
        load_member(tmp_path)


def copy_of(path, change):
    """Write a copy of a file with the contents of each of its parts changed."""
    copy = path.with_name("copy.skops")
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(copy, "w") as other:
        for name in whole.namelist():
            other.writestr(name, change(name, whole.read(name)))
    return copy


@pytest.mark.parametrize("trick", ["packed", "shared"])
def test_file_that_would_unpack_to_more_than_it_is(tmp_path, trick):
    path = tmp_path / "member.skops"
    save_member(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), path)
    assert load_member(path).estimator.coef_.shape == (1, 1)
    copy = tmp_path / "copy.skops"
    with zipfile.ZipFile(path) as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as other:
        for name, content in parts.items():
            other.writestr(name, content)
        if trick == "packed":
            other.writestr("more", bytes(10**6), zipfile.ZIP_DEFLATED)
        else:
            # Several names for the same bytes.
            largest = max(other.infolist(), key=lambda part: part.file_size)
            for k in range(50):
                again = copy_module.copy(largest)
                again.filename = f"{k}"
                other.filelist.append(again)
                other.NameToInfo[again.filename] = again
    with pytest.raises(ValueError, match="no file that save_member wrote"):
        load_member(copy)


def test_array_that_claims_to_be_huge(tmp_path):
    path = tmp_path / "member.skops"
    save_member(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), path)

    def claim(name, content):
        return content.replace(b"'shape': (1, 1), }", b"'shape': (9**99), }")

    with pytest.raises(ValueError, match="no file that save_member wrote"):
        load_member(copy_of(path, claim))


def test_member_that_cannot_be_written(tmp_path):
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    model.lock_ = (number for number in range(3))
    with pytest.raises(ValueError, match="holds something that cannot be written"):
        save_member(model, tmp_path / "member.skops")


def test_damaged_files_recommend_no_pickle(tmp_path):
    """NumPy's own error about a broken array says that one may unpickle it."""
    X, y = load_breast_cancer(return_X_y=True)
    save_member(GaussianNB().fit(X, y), tmp_path / "member.skops")
    broken = copy_of(
        tmp_path / "member.skops",
        lambda name, data: b"junk" if name.endswith(".npy") else data,
    )
    with pytest.raises(ValueError, match="or it is damaged") as error:
        load_member(broken)
    assert "allow_pickle" not in str(error.value)
    deep = copy_of(tmp_path / "member.skops", lambda *_: b"[" * 100_000)
    with pytest.raises(ValueError, match="or it is damaged"):
        load_member(deep)


def test_unfitted_classifiers_are_not_loaded(tmp_path):
    import skops.io

    skops.io.dump(GaussianNB(), tmp_path / "unfitted.skops")
    with pytest.raises(NotFittedError, match=r"unfitted.skops holds a classifier that"):
        load_member(tmp_path / "unfitted.skops")


def test_only_fitted_classifiers_are_saved(tmp_path):
    with pytest.raises(NotFittedError, match="Fit it first"):
        save_member(GaussianNB(), tmp_path / "member.skops")
    for model in (Ridge().fit([[1.0], [2.0]], [1.0, 2.0]), GaussianNB, "model"):
        with pytest.raises(ValueError, match="fitted classifier"):
            save_member(model, tmp_path / "member.skops")
    assert not list(tmp_path.iterdir())


STORED = Path(__file__).parent / "stored"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
@pytest.mark.parametrize("name", ["label_encoded", "probability_averager"])
def test_files_of_the_first_version_are_read(name):
    """Where a type lives is part of the format."""
    member = load_member(STORED / f"{name}_0_1.skops")
    X, y = np.arange(12.0).reshape(6, 2), np.array(["no", "yes"] * 3)
    proba = member.predict_proba(X)
    assert proba.shape == (6, 2)
    np.testing.assert_array_equal(member.classes_, ["no", "yes"])
    expected = {
        "label_encoded": LabelEncodedClassifier(
            make_pipeline(StandardScaler(), LogisticRegression())
        ),
        "probability_averager": ProbabilityAverager(
            KNeighborsRegressor(2, algorithm="brute"), np.array(["no", "yes"])
        ),
    }[name]
    soft = np.eye(2)[np.tile([0, 1], 3)] * 0.8 + 0.1
    expected.fit(X, y if name == "label_encoded" else soft)
    np.testing.assert_allclose(proba, expected.predict_proba(X))
