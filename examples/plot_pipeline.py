"""
===================================
A distiller as a step of a pipeline
===================================

What comes out of a distiller is a classifier like any other. Here it is the last step
of a pipeline that selects columns first, and is compared in cross-validation with a
plain vote of the same members.
"""

# %%
# The members, and a table
# ------------------------
#
# Three wineries grow three kinds of grapes. Each of them trained a model of its own on
# its own bottles; the column ``winery`` says whose they are. No winery has many bottles
# of each kind.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_wine
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import StratifiedKFold, cross_val_predict, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skcoop import CooperativeDistiller

X, y = load_wine(return_X_y=True, as_frame=True)
generator = np.random.default_rng(0)
favourite = {0: "north", 1: "south", 2: "east"}
X["winery"] = [
    favourite[kind] if lucky else generator.choice(["north", "south", "east"])
    for kind, lucky in zip(y, generator.random(len(y)) < 0.5, strict=True)
]
members = [
    ("north", make_pipeline(StandardScaler(), LogisticRegression())),
    ("south", DecisionTreeClassifier(min_samples_leaf=3)),
    ("east", GaussianNB()),
]

# %%
# The pipeline
# ------------
#
# The first step standardises some columns and hands on the winery, which the distiller
# finds by its name. That needs a pipeline that passes data frames on.

numbers = X.columns.drop("winery").tolist()
prepare = make_column_transformer(
    (StandardScaler(), numbers),
    ("passthrough", ["winery"]),
    verbose_feature_names_out=False,
).set_output(transform="pandas")
pipeline = make_pipeline(
    prepare,
    CooperativeDistiller(
        members, silo_column="winery", cv=3, n_rounds=2, random_state=0
    ),
)
pipeline

# %%
# Cross-validation
# ----------------
#
# Nothing is special about it. The vote has all bottles, the members of the distiller
# only their own and what the others teach them.

folds = StratifiedKFold(5, shuffle=True, random_state=0)
vote = VotingClassifier(members, voting="soft")
scores = {
    "distiller, own bottles and lessons": cross_val_score(pipeline, X, y, cv=folds),
    "vote, everybody's bottles": cross_val_score(vote, X[numbers], y, cv=folds),
}
for name, values in scores.items():
    print(
        f"{name}: {values.mean():.3f} ± {values.std(ddof=1) / len(values) ** 0.5:.3f}"
    )

# %%
# The mistakes that are left:

predicted = cross_val_predict(pipeline, X, y, cv=folds)
ConfusionMatrixDisplay.from_predictions(y, predicted, cmap="Blues")
plt.title("the distiller, held-out bottles")
plt.show()
