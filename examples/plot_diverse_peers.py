"""
===========================================
Many peers, and one small tree that is used
===========================================

A forest and a linear model know more than a small tree, but a small tree can be printed
on a page. They teach it, and it alone predicts afterwards.
"""

# %%
# Peers and leader
# ----------------
#
# There are 150 rows with a label and 200 without. The peers differ: one adds up
# columns, the other one asks many questions.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, plot_tree

from skcoop import DiversePeersDistiller

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
y = np.where(y == 1, "benign", "malignant")
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=350, stratify=y, random_state=0
)
X_unlabeled, X_train, y_train = X_train[150:], X_train[:150], y_train[:150]
distiller = DiversePeersDistiller(
    [
        ("linear", make_pipeline(StandardScaler(), LogisticRegression())),
        ("forest", RandomForestClassifier(50)),
    ],
    leader=DecisionTreeClassifier(max_depth=3, min_weight_fraction_leaf=0.02),
    random_state=0,
).fit(X_train, y_train, X_unlabeled=X_unlabeled)

# %%
# Did it help?
# ------------
#
# Out of fold, the taught tree is compared with the same tree trained on the labels
# alone. If it were worse, the latter would have been kept.

distiller.history_

# %%
alone = clone(distiller.leader).set_params(random_state=0).fit(X_train, y_train)
print(f"tree alone: {alone.score(X_test, y_test):.3f}")
print(f"taught tree: {distiller.score(X_test, y_test):.3f}")

# %%
# What is left is a tree
# ----------------------

figure, ax = plt.subplots(figsize=(12, 5), layout="constrained")
plot_tree(
    distiller.leader_,
    feature_names=list(X),
    class_names=list(distiller.classes_),
    filled=True,
    impurity=False,
    proportion=True,
    precision=2,
    fontsize=7,
    ax=ax,
)
plt.show()

# %%
# Whom the peers listened to
# --------------------------
#
# ``attention_weights`` says how much each peer gave to each, row by row. Here is the
# mean: each line is one that listens.

weights = distiller.attention_weights(X_test).mean(axis=0)
figure, ax = plt.subplots(figsize=(3.6, 3))
ax.imshow(weights, vmin=0, vmax=1, cmap="Blues")
names = list(distiller.peers_)
ax.set_xticks(range(len(names)), names)
ax.set_yticks(range(len(names)), names)
for (i, j), weight in np.ndenumerate(weights):
    ax.text(j, i, f"{weight:.2f}", ha="center", va="center", color="black")
ax.set_xlabel("listened to")
ax.set_ylabel("listens")
plt.show()
