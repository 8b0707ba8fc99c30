"""
==============
Four hospitals
==============

Four hospitals have different patients and trained different models. No hospital may
show its patients to another one. Their models repair each other with virtual
instances.
"""

# %%
# The hospitals
# -------------
#
# Tumours of the breast, dealt to four hospitals by their size: the first one sees small
# tumours, the last one large ones. A quarter of the patients of each hospital is held
# out; these judge, at the end, how well each model serves everywhere.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skcoop import CooperativeDistiller
from skcoop.inspection import HistoryDisplay, TransferDisplay

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
names = np.array(["Avon", "Brook", "Cliff", "Dale"], dtype=object)
size = X["mean radius"] + np.random.default_rng(0).normal(scale=1.5, size=len(X))
X["hospital"] = names[pd.qcut(size, 4, labels=False)]
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.25, stratify=X["hospital"], random_state=0
)
pd.crosstab(X_train["hospital"], y_train.map({0: "malignant", 1: "benign"}))

# %%
# The models
# ----------
#
# One for each hospital, each of another kind. They carry the names of the hospitals.

models = [
    ("Avon", make_pipeline(StandardScaler(), LogisticRegression())),
    ("Brook", RandomForestClassifier(n_estimators=50)),
    ("Cliff", DecisionTreeClassifier(min_samples_leaf=5)),
    ("Dale", make_pipeline(StandardScaler(), KNeighborsClassifier())),
]
distiller = CooperativeDistiller(models, silo_column="hospital", random_state=0)
distiller.fit(X_train, y_train)

# %%
# Did it help?
# ------------
#
# Beside each model stands the same algorithm trained on the raw rows of all four
# hospitals, which nobody may do.

rows = X_train.drop(columns="hospital")
held_out = X_test.drop(columns="hospital")
before = dict(zip(names, distiller.initial_estimators_, strict=True))
table = pd.DataFrame(
    {
        name: {
            "alone": before[name].score(held_out, y_test),
            "after": distiller.named_estimators_[name].score(held_out, y_test),
            "pooled rows": clone(model).fit(rows, y_train).score(held_out, y_test),
        }
        for name, model in models
    }
).T
print(table.round(3))
print(f"together: {distiller.score(X_test, y_test):.3f}")

# %%
# The same as a picture:

ax = table.plot.barh(color=["#9a9a9a", "#0072B2", "#E69F00"], figsize=(6, 3.5))
ax.set_xlim(0.4, 1)
ax.set_xlabel("accuracy on held-out patients of all hospitals")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.tight_layout()
plt.show()

# %%
# Who taught whom, and when
# -------------------------
#
# The distiller judges by itself, out of fold: a refit stays only if it is clearly
# better on rows that it did not see. A cross marks a refit that was refused.

HistoryDisplay.from_estimator(distiller)
TransferDisplay.from_estimator(distiller)
plt.show()

# %%
# All of it is in the report, which a notebook shows by itself:

distiller.report_
