"""Pictures of an experiment: the lessons, what they change, who taught whom."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.preprocessing import StandardScaler

from benchmarks import baselines
from benchmarks.formatting import PAGES, standard_error
from skcoop._frames import TableCodec

BLUE, GREY, ORANGE = "#0072B2", "#9a9a9a", "#D55E00"
CLASSES = [BLUE, ORANGE]


def _pyplot():
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "skcoop"  # the same picture for the same figures
    return plt


def _save(figure, name):
    PAGES.mkdir(parents=True, exist_ok=True)
    figure.savefig(PAGES / f"{name}.svg", metadata={"Date": None}, bbox_inches="tight")
    _pyplot().close(figure)


def of_experiment(name, draw):
    """Draw the first split of an experiment and return the page's picture lines."""
    setting = draw(0)
    model = baselines.distiller(setting, 0)
    columns = [c for c in model.lessons_.columns if c.startswith("x__")]
    kept = model.lessons_[model.lessons_["kept"]]
    if not len(kept):
        return "No lesson was kept on the first split; there is nothing to draw."
    _transfer(model, f"paper_{name}_transfer")
    parts = [f"![Who taught whom](paper_{name}_transfer.svg)"]
    if name == "fashion":
        _images(setting, kept, columns, f"paper_{name}_lessons")
        parts.append(f"![Rows and the lessons made of them](paper_{name}_lessons.svg)")
    else:
        _cloud(setting, kept, columns, f"paper_{name}_lessons")
        parts.append(f"![Lessons among the original rows](paper_{name}_lessons.svg)")
        _changes(kept, columns, f"paper_{name}_changes")
        parts.append(f"![What teachers change](paper_{name}_changes.svg)")
    return "## On the first split\n\n" + "\n\n".join(parts)


def _transfer(model, name):
    """Draw kept lessons by teacher and student, and each student's gain."""
    plt = _pyplot()
    members = list(model.named_estimators_)
    lessons = model.lessons_[model.lessons_["kept"]]
    counts = (
        lessons.groupby(["teacher", "student"])
        .size()
        .unstack(fill_value=0)
        .reindex(index=members, columns=members, fill_value=0)
    )
    steps = model.history_[model.history_["accepted"]]
    first = steps.groupby("student")["score_before"].first()
    gains = steps.groupby("student")["score_after"].last() - first
    side = 1.2 + 0.7 * len(members)
    figure, ax = plt.subplots(figsize=(side + 1.2, side))
    ax.imshow(counts, cmap="Blues", vmin=0, vmax=1.5 * counts.to_numpy().max())
    for i in range(len(members)):
        for j in range(len(members)):
            if i != j:
                ax.text(j, i, counts.iloc[i, j], ha="center", va="center", fontsize=8)
    labels = [f"{m}\n{100 * gains.get(m, 0.0):+.1f}" for m in members]
    tilt = {"rotation": 90} if len(members) > 5 else {}
    ax.set_xticks(range(len(members)), labels, fontsize=8, **tilt)
    ax.set_yticks(range(len(members)), members, fontsize=8)
    ax.set_xlabel("student, and its gain out of fold (points)")
    ax.set_ylabel("teacher")
    ax.set_title("lessons kept", fontsize=10)
    _save(figure, name)


def _cells(setting, kept, columns):
    """Return rows and lessons as standardised numbers, missing cells at the mean."""
    codec = TableCodec(setting.X)
    lessons = kept[columns].set_axis(codec.names, axis=1)
    scaler = StandardScaler()
    rows = np.nan_to_num(scaler.fit_transform(codec.encode(setting.X)))
    own = codec.encode(lessons.astype(setting.X.dtypes))
    return rows, np.nan_to_num(scaler.transform(own))


def _cloud(setting, kept, columns, name):
    """Draw the lessons among the original rows, by PCA and t-SNE."""
    plt = _pyplot()
    rows, lessons = _cells(setting, kept, columns)
    both = np.vstack([rows, lessons])
    is_lesson = np.arange(len(both)) >= len(rows)
    labels = np.concatenate([setting.y, kept["label"].to_numpy()])
    maps = {
        "PCA": PCA(2, random_state=0).fit(rows).transform(both),
        "t-SNE": TSNE(2, random_state=0).fit_transform(both),
    }
    figure, axes = plt.subplots(1, 2, figsize=(9, 4))
    for ax, (title, places) in zip(axes, maps.items(), strict=True):
        for label, color in zip(np.unique(labels), CLASSES, strict=False):
            for lesson, marker in ((False, "."), (True, "x")):
                some = (labels == label) & (is_lesson == lesson)
                kind = "lesson" if lesson else "row"
                ax.scatter(
                    *places[some].T,
                    s=22 if lesson else 14,
                    marker=marker,
                    c=color,
                    alpha=0.8 if lesson else 0.35,
                    linewidths=0.8,
                    label=f"{kind} of class {label}",
                )
        ax.set_title(title)
        ax.set_xticks([])
        ax.set_yticks([])
    axes[1].legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    _save(figure, name)


def _changes(kept, columns, name):
    """Draw the share of a teacher's lessons that change a column, by class."""
    plt = _pyplot()
    names = [column.removeprefix("x__") for column in columns]
    groups = kept.groupby(["teacher", "label"])["changed"]
    shares = {
        f"{teacher}, class {label}": [
            np.mean([column in own for own in changed]) for column in names
        ]
        for (teacher, label), changed in groups
    }
    values = np.array(list(shares.values()))
    seen = values.max(axis=0) >= 0.02
    values, names = values[:, seen], [n for n, s in zip(names, seen, strict=True) if s]
    figure, ax = plt.subplots(figsize=(2.5 + 0.3 * len(names), 1 + 0.3 * len(shares)))
    picture = ax.imshow(values, cmap="Blues", vmin=0, aspect="auto")
    ax.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    ax.set_yticks(range(len(shares)), shares, fontsize=8)
    figure.colorbar(picture, label="share of lessons")
    ax.set_title("columns that teachers change", fontsize=10)
    _save(figure, name)


def _images(setting, kept, columns, name):
    """Draw a row of each class and the lesson that a teacher made of it."""
    plt = _pyplot()
    some = kept.groupby("label").nth(0).sort_values("label")
    figure, axes = plt.subplots(3, len(some), figsize=(1.1 * len(some), 3.6))
    for ax, (_, lesson) in zip(axes.T, some.iterrows(), strict=True):
        row = setting.X[lesson["source_row"]].reshape(28, 28)
        taught = lesson[columns].to_numpy(dtype=float).reshape(28, 28)
        ax[0].imshow(row, cmap="gray_r", vmin=0, vmax=1)
        ax[1].imshow(taught, cmap="gray_r", vmin=0, vmax=1)
        ax[2].imshow(taught - row, cmap="PuOr_r", vmin=-1, vmax=1)
        ax[0].set_title(f"class {lesson['label']}", fontsize=8)
        ax[2].set_xlabel(f"by {lesson['teacher']}", fontsize=6)
        for part in ax:
            part.set_xticks([])
            part.set_yticks([])
    for ax, title in zip(axes[:, 0], ("row", "lesson", "change"), strict=True):
        ax.set_ylabel(title, fontsize=8)
    _save(figure, name)


def overlap(shares, curves):
    """Draw the members' gain against the share of columns that all members read."""
    plt = _pyplot()
    figure, ax = plt.subplots(figsize=(5, 3.4))
    kinds = zip(curves.items(), ("o", "s"), (BLUE, ORANGE), strict=True)
    for (name, gains), marker, color in kinds:
        mean = 100 * gains.mean(axis=1)
        ax.errorbar(
            100 * np.array(shares),
            mean,
            yerr=100 * standard_error(gains),
            fmt=f"{marker}-",
            color=color,
            capsize=3,
            label=name,
        )
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.set_xlabel("columns that all members read, %")
    ax.set_ylabel("members' mean gain, points")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    _save(figure, "paper_overlap")


def accuracy_against_calls(by, students, budgets, name):
    """Draw accuracy against the number of calls, for each student.

    `by` holds the mean over the tables for each split, by ("main", student, budget,
    method).
    """
    plt = _pyplot()
    lines = {
        "hard labels": (GREY, ":"),
        "soft labels": (GREY, "-"),
        "distiller": (ORANGE, "-"),
        "ceiling": (BLUE, "--"),
    }
    columns = 4
    rows = -(-len(students) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(11, 2.7 * rows), sharex=True, sharey=True, squeeze=False
    )
    for ax, student in zip(axes.flat, students, strict=False):
        for method, (color, style) in lines.items():
            values = [by["main", student, budget, method] for budget in budgets]
            means = [value.mean() for value in values]
            errors = [np.nan_to_num(standard_error(value)) for value in values]
            ax.errorbar(budgets, means, errors, c=color, ls=style, lw=1.5, label=method)
        ax.set_xscale("log")
        ax.set_xticks(budgets, [str(budget) for budget in budgets], fontsize=8)
        ax.minorticks_off()
        ax.set_title(student, fontsize=10)
    for ax in axes.flat[len(students) :]:
        ax.axis("off")
    axes[0, 0].set_ylabel("accuracy (%)")
    figure.supxlabel("rows that the teacher was asked about", fontsize=10)
    axes[0, 0].legend(fontsize=8, frameon=False)
    _save(figure, name)
