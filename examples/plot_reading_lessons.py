"""
===============
Reading lessons
===============

Every virtual instance is kept, with its teacher, its student, the row that it was made
from and what became of it. Here are the ways to look at them.
"""

# %%
# Three clinics
# -------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skcoop import CooperativeDistiller
from skcoop.inspection import ChangeDisplay, LessonDisplay

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X = X[[column for column in X if column.startswith("mean")]]
y = y.map({0: "malignant", 1: "benign"})
size = X["mean radius"] + np.random.default_rng(0).normal(scale=1.5, size=len(X))
silos = np.array(["small", "middle", "large"], dtype=object)[
    np.digitize(size, size.quantile([1 / 3, 2 / 3]))
]
distiller = CooperativeDistiller(
    [
        ("small", make_pipeline(StandardScaler(), LogisticRegression())),
        ("middle", GaussianNB()),
        ("large", DecisionTreeClassifier(min_samples_leaf=5)),
    ],
    random_state=0,
).fit(X, y, silos=silos)

# %%
# As a table
# ----------
#
# ``lessons_`` is a data frame; one line is one virtual instance. The teacher's
# probability of the row's class rises from ``proba_before`` to ``proba_after``.

kept = distiller.lessons_[distiller.lessons_["kept"]]
kept[["student", "teacher", "label", "proba_before", "proba_after", "changed"]].head()

# %%
# How far do they go, and how many columns does it take?

kept.assign(columns=kept["changed"].map(len)).groupby("teacher")[
    ["proba_before", "proba_after", "distance", "columns"]
].mean().round(2)

# %%
# Among the rows
# --------------
#
# Hollow marks are rows, filled ones lessons; a line leads from the row to what was made
# of it. Two columns can be shown as they are, or all of them by their principal
# components.

_, axes = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
columns = ["mean radius", "mean texture"]
LessonDisplay.from_estimator(distiller, X, y, method=columns, ax=axes[0])
LessonDisplay.from_estimator(distiller, X, y, ax=axes[1])
axes[0].get_legend().remove()
plt.show()

# %%
# What teachers change
# --------------------
#
# Each number is the share of a teacher's lessons for a class that change the column.

ChangeDisplay.from_estimator(distiller)
plt.show()

# %%
# As a page
# ---------
#
# The report has the verdict, the members before and after, who taught whom, the most
# telling lessons beside their rows, and what was refused.
# ``report_.save("report.html")`` writes it as one page that needs no network.

distiller.report_
