"""Pictures of an experiment: the lessons, what they change, who taught whom."""

import numpy as np

from benchmarks import baselines
from benchmarks.formatting import PAGES, standard_error
from skcoop.inspection import ChangeDisplay, LessonDisplay, TransferDisplay

BLUE, GREY, ORANGE = "#0072B2", "#9a9a9a", "#D55E00"


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
    _pyplot()
    setting = draw(0)
    model = baselines.distiller(setting, 0)
    kept = model.lessons_[model.lessons_["kept"]]
    if not len(kept):
        return "No lesson was kept on the first split; there is nothing to draw."
    _save(TransferDisplay.from_estimator(model).figure_, f"paper_{name}_transfer")
    parts = [f"![Who taught whom](paper_{name}_transfer.svg)"]
    if name == "fashion":
        columns = [c for c in model.lessons_.columns if c.startswith("x__")]
        _images(setting, kept, columns, f"paper_{name}_lessons")
        parts.append(f"![Rows and the lessons made of them](paper_{name}_lessons.svg)")
    else:
        _cloud(setting, model, f"paper_{name}_lessons")
        parts.append(f"![Lessons among the original rows](paper_{name}_lessons.svg)")
        _save(ChangeDisplay.from_estimator(model).figure_, f"paper_{name}_changes")
        parts.append(f"![What teachers change](paper_{name}_changes.svg)")
    return "## On the first split\n\n" + "\n\n".join(parts)


def _cloud(setting, model, name):
    """Draw the lessons among the original rows, by PCA and t-SNE."""
    figure, axes = _pyplot().subplots(1, 2, figsize=(10, 4), layout="constrained")
    for ax, method in zip(axes, ("pca", "tsne"), strict=True):
        LessonDisplay.from_estimator(
            model, setting.X, setting.y, method=method, random_state=0, ax=ax
        )
    axes[0].get_legend().remove()
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


def growth(sizes, curves, slope):
    """Draw seconds of fitting against the number of rows."""
    plt = _pyplot()
    figure, ax = plt.subplots(figsize=(5, 3.4))
    kinds = zip(curves.items(), "os^", (GREY, BLUE, ORANGE), strict=True)
    for (name, seconds), marker, color in kinds:
        label = f"{name} (slope {slope:.2f})" if name == "cooperation" else name
        ax.loglog(sizes, seconds, f"{marker}-", color=color, label=label)
    ax.set_xlabel("rows")
    ax.set_ylabel("seconds to fit")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    _save(figure, "scale")


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
