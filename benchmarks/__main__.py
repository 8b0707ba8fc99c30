"""Run a benchmark by name and keep what it printed beside the code."""

import argparse
import importlib
import os
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path

from benchmarks.formatting import PAGES

BENCHMARKS = {
    "paper": "the paper's experiments on public data, baselines and ablations",
    "engine": "counterfactual searches: BatchedDice, dice-ml and NICE",
    "lessons": "which virtual instances teach best",
    "comparative": "a teacher that may only be asked a few times",
    "privacy": "what lessons and students reveal",
    "scale": "time and memory against the number of rows",
    "peers": "what a leader gains that many peers teach",
    "tables": "single tables, the same rows for all members",
    "bad_silo": "one silo with bad labels or rows among honest ones",
    "gate": "reported gains against held-out ones, and other scores",
    "silo_tables": "tables from several places that nobody tuned on, and a rare class",
}
PACKAGES = ["scikit-learn", "numpy", "scipy", "pandas", "joblib", "dice-ml"]


def heading(page, options):
    """Say what was run, on what, with which versions."""
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    command = ["python -m benchmarks", options.name]
    command += [page.removeprefix("paper_")] if page != options.name else []
    command += ["--quick"] if options.quick else []
    return "\n".join(
        [
            f"# {page.replace('_', ' ')}: {BENCHMARKS[options.name]}",
            "",
            f"`{' '.join(command)} --seeds {options.seeds}`, {date.today()}",
            "",
            f"Python {platform.python_version()}, {versions}; "
            f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}; "
            f"seeds 0 to {options.seeds - 1}.",
            "",
        ]
    )


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=sorted(BENCHMARKS))
    parser.add_argument(
        "experiments",
        nargs="*",
        help="of the benchmarks paper and bad_silo (default: all)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a small version of paper, peers, tables, comparative or privacy",
    )
    parser.add_argument("--seeds", type=int, help="number of splits (default: 10)")
    parser.add_argument(
        "--data-home",
        type=Path,
        default=Path(os.environ.get("SKCOOP_DATA", "data")),
        help="folder with the data sets that scikit-learn does not ship "
        "(default: SKCOOP_DATA, else ./data)",
    )
    parser.add_argument(
        "--jobs", type=int, default=1, help="processes, where no times are measured"
    )
    parser.add_argument(
        "--keep",
        type=Path,
        help="folder that keeps the results of splits and gives them back, so that a "
        "run can be stopped and gone on with; empty it when the code has changed",
    )
    parser.add_argument(
        "--save",
        action="store_true",
        help="write pages and pictures to docs/benchmarks",
    )
    options = parser.parse_args()
    module = importlib.import_module(f"benchmarks.{options.name}")
    if options.seeds is None:
        options.seeds = 2 if options.quick else getattr(module, "SEEDS", 10)
    pages = module.run(options)
    if isinstance(pages, str):
        pages = {options.name: pages}
    for name, page in pages.items():
        text = heading(name, options) + "\n" + page.strip() + "\n"
        print(text)
        if options.save:
            PAGES.mkdir(parents=True, exist_ok=True)
            (PAGES / f"{name}.md").write_text(text)


if __name__ == "__main__":
    main()
