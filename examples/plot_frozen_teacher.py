"""
===============================
A frozen teacher from elsewhere
===============================

A model that somebody else trained, on rows that nobody has here, teaches two small
models of one's own. It is not touched: a frozen model teaches and never learns.
"""

# %%
# The guest
# ---------
#
# It was trained on many handwritten digits of another place. We get the model, not the
# digits.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import BernoulliNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer

from skcoop import CooperativeDistiller
from skcoop.inspection import HistoryDisplay

X, y = load_digits(return_X_y=True)
X_there, X, y_there, y = train_test_split(X, y, train_size=1000, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=300, random_state=0
)
guest = FrozenEstimator(ExtraTreesClassifier(random_state=0).fit(X_there, y_there))

# %%
# Our own models
# --------------
#
# Two small ones, for cheap devices in two places. There are 300 digits, and neither
# place has seen all kinds of them: one has no 7, 8 and 9, the other one no 0, 1 and 2.

silos = np.where(y_train < 3, "here", "there").astype(object)
either = (y_train >= 3) & (y_train < 7)
silos[either] = np.random.default_rng(0).choice(["here", "there"], either.sum())
distiller = CooperativeDistiller(
    [
        ("guest", guest),
        ("here", LogisticRegression(C=0.01, max_iter=500)),
        ("there", make_pipeline(Binarizer(threshold=8), BernoulliNB())),
    ],
    random_state=0,
).fit(X_train, y_train, silos=silos)
names = ["guest", "here", "there"]
for name, before in zip(names, distiller.initial_estimators_, strict=True):
    after = distiller.named_estimators_[name]
    scores = [model.score(X_test, y_test) for model in (before, after)]
    print("{}: {:.3f} -> {:.3f}".format(name, *scores))

# %%
# The guest is the very object that was passed:

distiller.named_estimators_["guest"] is guest

# %%
HistoryDisplay.from_estimator(distiller)
plt.show()

# %%
# What a lesson looks like
# ------------------------
#
# A digit that a student got wrong, the guest's lesson about it, and the difference. The
# guest never saw this digit; it makes it more typical in its own eyes.

taught = distiller.lessons_[distiller.lessons_["teacher"] == "guest"]
some = taught.groupby("label").head(1).sort_values("label").head(6)
cells = [column for column in taught if column.startswith("x__")]
figure, axes = plt.subplots(3, len(some), figsize=(1.2 * len(some), 3.6), squeeze=False)
for ax, (_, lesson) in zip(axes.T, some.iterrows(), strict=True):
    row = X_train[lesson["source_row"]].reshape(8, 8)
    virtual = lesson[cells].to_numpy(dtype=float).reshape(8, 8)
    ax[0].imshow(row, cmap="gray_r", vmin=0, vmax=16)
    ax[1].imshow(virtual, cmap="gray_r", vmin=0, vmax=16)
    ax[2].imshow(virtual - row, cmap="PuOr_r", vmin=-16, vmax=16)
    ax[0].set_title(f"a {lesson['label']}")
for ax, name in zip(axes[:, 0], ["row", "lesson", "change"], strict=True):
    ax.set_ylabel(name)
for ax in np.ravel(axes):
    ax.set_xticks([])
    ax.set_yticks([])
plt.show()
