"""
===========================
Parameters in a grid search
===========================

The parameters of a distiller and those of its members are searched in the usual way,
with ``name__parameter``. The owner of each row travels along in a column.
"""

# %%
# Two clinics with different patients
# -----------------------------------
#
# One clinic sees small tumours, the other one large ones. The column ``clinic`` says
# whose patient a row is.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skcoop import CooperativeDistiller

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X = X.iloc[:, :10]
size = X["mean radius"] + np.random.default_rng(0).normal(scale=2, size=len(X))
X["clinic"] = np.where(size < size.median(), "country", "city")

distiller = CooperativeDistiller(
    [
        ("country", make_pipeline(StandardScaler(), LogisticRegression())),
        ("city", DecisionTreeClassifier(random_state=0)),
    ],
    silo_column="clinic",
    cv=3,
    n_rounds=1,
    random_state=0,
)

# %%
# The search
# ----------
#
# How far the lessons go, and how deep the tree of one clinic may be. Folds are
# stratified by clinic and class, so that each clinic keeps patients to train on.

grid = {"alpha": [0.2, 0.5, 0.8], "city__max_depth": [1, 2, 4]}
folds = StratifiedKFold(3, shuffle=True, random_state=0)
splits = list(folds.split(X, X["clinic"] + y.astype(str)))
search = GridSearchCV(distiller, grid, cv=splits).fit(X, y)
print(search.best_params_, f"{search.best_score_:.3f}")

# %%
# A picture of it, with the spread over the folds:

results = pd.DataFrame(search.cv_results_)
for depth, own in results.groupby("param_city__max_depth"):
    plt.errorbar(
        own["param_alpha"].astype(float) + (depth - 2) / 100,
        own["mean_test_score"],
        yerr=own["std_test_score"],
        marker={1: "o", 2: "s", 4: "^"}[depth],
        capsize=3,
        label=f"tree of depth {depth}",
    )
plt.xlabel("alpha: how far a lesson goes")
plt.ylabel("accuracy on held-out patients")
plt.legend()
plt.show()

# %%
# A whole member may be exchanged as well, or dropped:

search.estimator.set_params(city="drop").named_estimators
