"""
=================
Different columns
=================

Two laboratories measure different things. They share a few columns; each model reads
only those of its own laboratory. What a teacher changes reaches the student through the
columns that both know.
"""

# %%
# The laboratories
# ----------------
#
# Both measure five things. ``Texture`` looks at the surface of the cells as well,
# ``Shape`` at their outline. What a laboratory does not measure is missing in its rows.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcoop import CooperativeDistiller
from skcoop.inspection import ChangeDisplay, TransferDisplay

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
shared = ["mean radius", "mean area", "radius error", "worst radius", "worst area"]
own = {
    "Texture": [c for c in X if "texture" in c or "smoothness" in c],
    "Shape": [c for c in X if "concav" in c or "symmetry" in c],
}
X = X[shared + own["Texture"] + own["Shape"]]
size = X["mean radius"] + np.random.default_rng(0).normal(scale=2, size=len(X))
X = X.assign(laboratory=np.where(size < size.median(), "Texture", "Shape"))
X.loc[X["laboratory"] == "Texture", own["Shape"]] = np.nan
X.loc[X["laboratory"] == "Shape", own["Texture"]] = np.nan

# %%
# The members
# -----------
#
# A ``ColumnTransformer`` at the start of a member says what it reads. A value that the
# laboratory has measured may be missing all the same: one model fills it, the other one
# can take it.


def reader(laboratory, *steps):
    return make_pipeline(
        make_column_transformer(("passthrough", shared + own[laboratory])), *steps
    )


distiller = CooperativeDistiller(
    [
        (
            "Texture",
            reader("Texture", SimpleImputer(), StandardScaler(), LogisticRegression()),
        ),
        ("Shape", reader("Shape", HistGradientBoostingClassifier(max_iter=50))),
    ],
    silo_column="laboratory",
    random_state=0,
)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.5, stratify=X["laboratory"], random_state=0
)
distiller.fit(X_train, y_train)
held_out = X_test.drop(columns="laboratory")
for name, before in zip(own, distiller.initial_estimators_, strict=True):
    after = distiller.named_estimators_[name]
    print(
        f"{name}: {before.score(held_out, y_test):.3f} -> "
        f"{after.score(held_out, y_test):.3f}"
    )
print(f"together: {distiller.score(X_test, y_test):.3f}")

# %%
# What the teachers changed
# -------------------------
#
# A teacher changes only what it reads itself. What its student reads as well is a
# lesson for it; the rest of the row stays as it was, and what was never recorded is
# filled from the student's own nearest row.

ChangeDisplay.from_estimator(distiller)
TransferDisplay.from_estimator(distiller)
plt.show()

# %%
# Lessons that change nothing that the student reads are no lessons; the record counts
# how many answers were found and how many of them were taught:

distiller.history_[["round", "student", "teacher", "asked", "found", "taught", "kept"]]
