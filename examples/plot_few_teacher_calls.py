"""
=========================================
A teacher that may be asked only 40 times
=========================================

The teacher is a model behind a wall, and each answer costs. A student gets its answers
about 40 rows, and estimates what it would have said about the others.
"""

# %%
# The teacher
# -----------
#
# Here it is a forest, which knows handwritten digits. All that we have of it is a
# function; we count what it is asked.

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

from skcoop import ComparativeDistiller

X, y = load_digits(return_X_y=True)
X_there, X, y_there, y = train_test_split(X, y, train_size=900, random_state=0)
X_here, X_test, _, y_test = train_test_split(X, y, train_size=400, random_state=0)
forest = ExtraTreesClassifier(random_state=0).fit(X_there, y_there)
asked = []


def teacher(rows):
    """Answer like a paid service."""
    asked.append(len(rows))
    return forest.predict_proba(rows)


# %%
# The student
# -----------
#
# There are 400 rows and no labels. The budget is a promise: no more rows are asked
# about. A function does not say what its columns stand for, so ``classes`` does.

student = DecisionTreeClassifier(min_samples_leaf=2)
distiller = ComparativeDistiller(
    teacher, student, teacher_budget=40, classes=range(10), random_state=0
).fit(X_here)
print(
    f"rows asked about: {sum(asked)}, the distiller counts {distiller.n_teacher_calls_}"
)
print(f"estimates that won: {distiller.source_}")

# %%
# What the budget buys
# --------------------
#
# Answers that were paid for are kept in ``teacher_answers_``. Handed to the next fit,
# they are not asked for again, so a larger budget costs the difference. The baseline is
# the same tree on the teacher's answers alone.

budgets = [20, 40, 80, 160]
scores = {"answers and estimates": [], "answers alone": []}
answers = None
for budget in budgets:
    distiller = ComparativeDistiller(
        teacher, student, teacher_budget=budget, classes=range(10), random_state=0
    ).fit(X_here, teacher_proba=answers)
    answers = distiller.teacher_answers_
    scores["answers and estimates"].append(distiller.score(X_test, y_test))
    known = answers.notna().all(axis=1)
    alone = DecisionTreeClassifier(min_samples_leaf=2, random_state=0)
    alone.fit(X_here[known], answers[known].idxmax(axis=1))
    scores["answers alone"].append(alone.score(X_test, y_test))
print(f"rows asked about in all: {sum(asked) - 40}")

figure, ax = plt.subplots()
for (name, values), style in zip(scores.items(), ["o-", "s--"], strict=True):
    ax.plot(budgets, values, style, label=name)
ax.axhline(forest.score(X_test, y_test), color="gray", label="the teacher")
ax.set_xlabel("rows that the teacher was asked about")
ax.set_ylabel("accuracy of the tree")
ax.legend(frameon=False)
plt.show()
