# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Answers in dice-ml's own form, for its views and its JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
from dice_ml.constants import ModelTypes
from dice_ml.counterfactual_explanations import CounterfactualExplanations
from dice_ml.diverse_counterfactuals import CounterfactualExamples
from dice_ml.utils.serialize import DummyDataInterface

from skcoop._tables._frames import to_plain_pandas


def as_explanations(
    answers: Any, X: Any, outcome_name: str
) -> CounterfactualExplanations:
    """Write :class:`Counterfactuals` as dice-ml's explanations of a regressor.

    The regressor's output is the probability of the row's own class. No training
    table comes along, as it does in dice-ml's own results.
    """
    rows, found = to_plain_pandas(X), to_plain_pandas(answers.X_cf)
    each = max(1, len(found) // max(1, len(rows)))
    if len(found) != each * len(rows) or list(found.columns) != list(rows.columns):
        raise ValueError(
            f"X must be the table that was asked about; it has {len(rows)} rows and "
            f"the columns {list(rows.columns)}, for {len(found)} answers with the "
            f"columns {list(found.columns)}."
        )
    if outcome_name in rows.columns:
        raise ValueError(
            f"outcome_name={outcome_name!r} is a column of X; choose another name."
        )
    rows[outcome_name] = answers.proba_before[::each]
    found[outcome_name] = answers.proba_after
    target = answers.proba_after if answers.target is None else answers.target
    examples = []
    for row in range(len(rows)):
        own = np.arange(row * each, (row + 1) * each)
        valid = own[answers.valid[own]]
        examples.append(
            CounterfactualExamples(
                data_interface=DummyDataInterface(outcome_name),
                test_instance_df=rows.iloc[[row]].reset_index(drop=True),
                final_cfs_df=(
                    found.iloc[valid].reset_index(drop=True) if len(valid) else None
                ),
                posthoc_sparsity_param=None,
                desired_range=[float(target[own].min()), 1.0],
                model_type=ModelTypes.Regressor,
            )
        )
    return CounterfactualExplanations(cf_examples_list=examples)
