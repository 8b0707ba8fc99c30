"""The paper's experiments on public data: silos, baselines, and what each step gives.

`python -m benchmarks paper` runs all of them, with a name only that one, and with
`--quick` a small version.
"""

import warnings
from dataclasses import replace
from functools import partial
from time import perf_counter

import numpy as np

from benchmarks import baselines, figures, settings
from benchmarks.formatting import mean_and_error, table
from benchmarks.splits import side_by_side
from benchmarks.variants import VARIANTS, all_teachers, replaced

# Experiments by name: how a split is drawn, and what the paper reports.
EXPERIMENTS = {
    "networks": (
        settings.two_networks,
        "Experiment 1, two networks, overlapping columns. The paper has 60.98 -> 68.68 "
        "and 86.04 -> 87.64 % on used cars.",
    ),
    "algorithms": (
        settings.tree_and_network,
        "Experiment 2, a decision tree and a network. The paper has 63.41 -> 67.58 and "
        "86.04 -> 87.32 % on used cars.",
    ),
    "hospitals": (
        settings.four_hospitals,
        "Experiment 3 with all four hospitals and the same columns.",
    ),
    "small_hospitals": (
        settings.three_hospitals,
        "Experiment 3, three small silos, partly different columns. The paper has "
        "43.45 -> 62.36 % for one model; all improved.",
    ),
    "credit": (
        settings.credit_by_job,
        "Experiment 4, three small lenders, partly different columns.",
    ),
    "fashion": (
        settings.fashion,
        "Experiment 5, ten networks that each never saw one class. The paper has a "
        "median of 76 -> 83 %, 86 % when trained on everything, and 79 % with "
        "duplicate lessons.",
    ),
}
OTHERS = ["duplicates", "overlap", "ablations"]
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
ABLATED = ("hospitals", "small_hospitals", "credit")


def methods(name):
    """Return the baselines of an experiment, by what they are called in its table."""
    chosen = {
        "mixup": baselines.mixup,
        "SMOTE": baselines.smote,
        "response-based, best teacher": baselines.response_of_the_best,
        "response-based, average": baselines.response_of_the_average,
        "relation-based, average": baselines.relation_based,
    }
    if name == "fashion":
        chosen["parameter transfer"] = baselines.parameter_transfer
        # SMOTE knows nothing of pixels; comparisons of 2352 columns take minutes, and
        # gave on one split what response-based distillation gives.
        del chosen["SMOTE"], chosen["relation-based, average"]
    else:
        chosen["raw deficient rows (moves rows)"] = baselines.raw_deficient_rows
    return {**chosen, "pooled raw rows (moves rows)": baselines.pooled}


def small(setting):
    """Return a setting with few of its training rows."""
    draw = np.random.default_rng(0)
    rows = np.sort(draw.permutation(len(setting.y))[: max(300, len(setting.y) // 5)])
    X = setting.X.iloc[rows] if hasattr(setting.X, "iloc") else setting.X[rows]
    return replace(setting, X=X, y=setting.y[rows], owners=setting.owners[rows])


def drawn(name, options, seed):
    """Draw the split of an experiment."""
    setting = EXPERIMENTS[name][0](options.data_home, seed)
    return small(setting) if options.quick else setting


def judge(models, setting):
    """Return each model's accuracy on the test rows, and their soft vote's."""
    return settings.judge(models, setting.X_test, setting.y_test)


def before_and_after(model, setting):
    """Return a distiller's members' accuracies before and after, and its own."""
    before, _ = judge(model.initial_estimators_, setting)
    after, _ = judge(model.estimators_, setting)
    return before, after, model.score(setting.X_test, setting.y_test)


def one_split(name, options, seed):
    """Fit and judge everything on one split of an experiment."""
    warnings.simplefilter("ignore")
    setting = drawn(name, options, seed)
    result = {"names": [member for member, _ in setting.members]}
    # Without teaching, the final estimator stacks the members as they are.
    stacking = baselines.distiller(setting, seed, n_rounds=0, combine="stack")
    result["members alone"] = (
        *judge(stacking.estimators_, setting),
        stacking.score(setting.X_test, setting.y_test),
    )
    for method, fit in methods(name).items():
        result[method] = (*judge(fit(setting, seed), setting), np.nan)
    ours = {"cooperation": {}, "cooperation, no gate": {"accept": None}}
    for method, params in ours.items():
        started = perf_counter()
        model = baselines.distiller(setting, seed, **params)
        seconds = perf_counter() - started
        score = model.score(setting.X_test, setting.y_test)
        result[method] = (*judge(model.estimators_, setting), score)
        if not params:
            result["seconds"] = seconds
            steps = model.history_[["asked", "found", "rechecked", "taught"]]
            result["steps"] = [*steps.sum(), model.lessons_["kept"].sum()]
    return result


def gap_closed(before, after, pooled):
    """Return the share of the way from own rows to pooled rows."""
    return (after - before) / (pooled - before)


def run_experiment(name, options):
    """Return the page of one experiment."""
    jobs = [(name, options, seed) for seed in range(options.seeds)]
    splits = side_by_side(one_split, jobs, options)
    middle = np.median if name == "fashion" else np.mean
    called = "median" if name == "fashion" else "mean"
    shown = ["members alone", *methods(name)]
    shown[-1:-1] = ["cooperation, no gate", "cooperation"]
    by = {m: np.array([split[m][0] for split in splits]) for m in shown}
    alone, pooled = by["members alone"], by[shown[-1]]
    goal = middle(pooled, axis=1).mean()
    start = middle(alone, axis=1).mean()
    lines = []
    for method in shown:
        own = middle(by[method], axis=1)
        gains = by[method] - alone
        end = np.array([split[method][2] for split in splits])
        moved = method != "members alone"
        lines.append(
            [
                method,
                mean_and_error(own),
                mean_and_error(middle(gains, axis=1)) if moved else "",
                f"{gains.mean(axis=0).min():+.3f}" if moved else "",
                f"{gap_closed(start, own.mean(), goal):.0%}" if moved else "",
                mean_and_error([split[method][1] for split in splits]),
                "" if np.isnan(end).any() else mean_and_error(end),
            ]
        )
    heads = ["accuracy on the test rows", f"members' {called}", f"{called} gain"]
    heads += ["least gain of a member", "gap closed", "soft vote", "combined"]
    members = [
        [
            member,
            *(
                mean_and_error(by[m][:, k])
                for m in ("members alone", "cooperation", shown[-1])
            ),
        ]
        for k, member in enumerate(splits[0]["names"])
    ]
    asked, found, held, taught, kept = np.mean([s["steps"] for s in splits], axis=0)
    after = middle(by["cooperation"], axis=1)
    ours = np.array([split["cooperation"][2] for split in splits])
    notes = [
        EXPERIMENTS[name][1],
        "",
        f"- {settings_text(name)}",
        f"- The members' {called} closes "
        f"{gap_closed(start, after.mean(), goal):.0%} of the gap between own rows and "
        "pooled raw rows.",
        f"- The distiller against the pooled models' {called}: "
        f"{mean_and_error(ours - middle(pooled, axis=1))}.",
        f"- Teachers were asked {asked:.0f} times: {found:.0f} answers were found, "
        f"{held:.0f} held the re-check, {taught:.0f} became lessons, {kept:.0f} were "
        "kept.",
        f"- A fit took {np.mean([s['seconds'] for s in splits]):.1f} s with "
        f"{options.jobs} splits side by side.",
    ]
    return "\n".join(
        [
            *notes,
            "",
            table(heads, lines),
            "",
            table(["member", "alone", "after", "pooled raw rows"], members),
        ]
    )


def settings_text(name):
    return EXPERIMENTS[name][0].__doc__.split("\n")[0]


def overlap_split(options, share, seed):
    """Return the members' gain where a share of the columns is everybody's."""
    warnings.simplefilter("ignore")
    result = []
    for draw in (settings.credit_by_job, settings.hospitals_sharing):
        setting = draw(options.data_home, seed, shared=share)
        if options.quick:
            setting = small(setting)
        model = baselines.distiller(setting, seed)
        before, after, score = before_and_after(model, setting)
        result.append([before.mean(), after.mean(), score])
    return result


def run_overlap(options):
    """Return the page of the sixth experiment: does it matter what is shared?"""
    shares = SHARES[::2] if options.quick else SHARES
    jobs = [(options, share, seed) for share in shares for seed in range(options.seeds)]
    splits = side_by_side(overlap_split, jobs, options)
    shape = (len(shares), options.seeds, 2, 3)
    before, after, score = np.moveaxis(np.array(splits).reshape(shape), -1, 0)
    texts = [
        "Experiment 6, sensitivity to feature overlap: the rest of the columns is read "
        "by one member each. The paper has a correlation of gain and overlap of "
        "2.25e-4.",
        "",
    ]
    curves = {}
    for k, name in enumerate(("credit, three lenders", "four hospitals")):
        gain = (after - before)[:, :, k]
        curves[name] = gain
        flat = np.repeat(shares, options.seeds)
        r = np.corrcoef(flat, gain.ravel())[0, 1]
        lines = [
            [
                f"{share:.0%}",
                *map(mean_and_error, (before[i, :, k], after[i, :, k], score[i, :, k])),
                mean_and_error(gain[i]),
            ]
            for i, share in enumerate(shares)
        ]
        texts += [
            f"## {name}",
            "",
            table(
                ["shared columns", "members alone", "after", "distiller", "gain"], lines
            ),
            "",
            f"- Correlation of gain and share of common columns: {r:+.2f}.",
            "",
        ]
    if options.save:
        figures.overlap(shares, curves)
        texts += ["![Gain against the share of common columns](paper_overlap.svg)"]
    return "\n".join(texts)


def duplicates_split(options, seed):
    """Return the median member with one teacher a row and with all of them."""
    warnings.simplefilter("ignore")
    setting = drawn("fashion", options, seed)
    once = baselines.distiller(setting, seed, accept=None)
    with replaced(choose=all_teachers)():
        many = baselines.distiller(setting, seed, accept=None)
    return [
        value
        for model in (once, many)
        for value in (
            np.median(judge(model.estimators_, setting)[0]),
            len(model.lessons_),
        )
    ]


def run_duplicates(options):
    """Return the page on several lessons about the same row."""
    jobs = [(options, seed) for seed in range(options.seeds)]
    splits = side_by_side(duplicates_split, jobs, options)
    once, n_once, many, n_many = np.array(splits).T
    lines = [
        ["one teacher answers for a row", mean_and_error(once), f"{n_once.mean():.0f}"],
        ["all qualified teachers do", mean_and_error(many), f"{n_many.mean():.0f}"],
    ]
    return "\n".join(
        [
            "Experiment 5 again, one round without gate: does a row need several "
            "lessons? The paper has 83 % without duplicates and 79 % with them.",
            "",
            table(["ten networks", "median member", "lessons"], lines),
        ]
    )


def ablation_split(name, options, variant, seed):
    """Return the members' mean gain, the distiller's accuracy and the lessons kept."""
    warnings.simplefilter("ignore")
    setting = drawn(name, options, seed)
    params, context = VARIANTS[variant]
    with context():
        model = baselines.distiller(setting, seed, **params)
    before, after, score = before_and_after(model, setting)
    return [(after - before).mean(), score, model.lessons_["kept"].sum()]


def run_ablations(options):
    """Return the page that changes one thing at a time."""
    jobs = [
        (name, options, variant, seed)
        for name in ABLATED
        for variant in VARIANTS
        for seed in range(options.seeds)
    ]
    splits = side_by_side(ablation_split, jobs, options)
    results = np.array(splits).reshape(len(ABLATED), len(VARIANTS), -1, 3)
    gains, scores, kept = np.moveaxis(results, -1, 0)
    lines = []
    for v, variant in enumerate(VARIANTS):
        against = (gains[:, v] - gains[:, 0]).mean(axis=0)
        scored = (scores[:, v] - scores[:, 0]).mean(axis=0)
        lines.append(
            [
                variant,
                *(mean_and_error(gains[k, v]) for k in range(len(ABLATED))),
                mean_and_error(against) if v else "",
                mean_and_error(scored) if v else "",
                f"{kept[:, v].mean():.0f}",
            ]
        )
    heads = ["members' mean gain", *ABLATED, "gain against default"]
    heads += ["distiller against default", "lessons kept"]
    return "\n".join(
        [
            "One thing changed at a time; splits, members and seeds are the same. The "
            "columns against the default are paired, averaged over the experiments.",
            "",
            table(heads, lines),
        ]
    )


def run(options):
    """Return the pages by name of the file."""
    names = options.experiments or [*EXPERIMENTS, *OTHERS]
    pages = {}
    for name in names:
        if name in EXPERIMENTS:
            page = run_experiment(name, options)
            if options.save:
                page += "\n\n" + figures.of_experiment(
                    name, partial(drawn, name, options)
                )
        else:
            others = {
                "duplicates": run_duplicates,
                "overlap": run_overlap,
                "ablations": run_ablations,
            }
            page = others[name](options)
        pages[f"paper_{name}"] = page
    return pages
