# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""The nine steps of cooperative distillation. Only silos touch rows."""

from __future__ import annotations

from skcoop._cooperative._combine import Combiner
from skcoop._cooperative._course import Course, Outcome, Watch, agree
from skcoop._cooperative._plan import Plan
from skcoop._cooperative._silos import Silos


def cooperate(
    silos: Silos, plan: Plan, combiner: Combiner, n_rounds: int, watch: Watch
) -> Outcome:
    """Let the members of all silos repair each other.

    Parameters
    ----------
    silos : Silos
        Who holds rows; each does what it is asked for and hands out no row.
    plan : Plan
        What all of them agreed on.
    combiner : Combiner
        How the members become one.
    n_rounds : int
        Most rounds of teaching.
    watch : Watch
        Is told how it goes on.

    Returns
    -------
    outcome : Outcome
        The improved members, the final estimator, and what happened.
    """
    # 1. Fit every member at home.
    agree(silos, plan)
    watch.fitted()

    # 2. Judge every member on every row by a model that did not see the row.
    course = Course.begun(silos, plan, combiner)
    watch.judged()

    for number in range(1, n_rounds + 1):
        watch.round_begins()
        # 3. Deficiencies: rows that a student has wrong and a teacher has right; and as
        # many rows of others that it has right, lest it forgets them.
        orders = course.survey(number)

        # 4. Each chosen teacher answers with a quintessential counterfactual.
        taught = silos.each("teach", orders)

        # 5. and 6. Students complete their lessons at home, and are refitted.
        learned = course.learn(number, taught)

        # 7. Keep what is better on unseen rows.
        verdicts = course.decide(learned)
        course.settle(number, taught, learned, verdicts)

        # 8. Repeat with improved members as teachers while half of them improve: few
        # improve by luck alone.
        stop = watch.round_ends(number, verdicts, course.n_kept, course.copy().outcome)
        if stop or not course.goes_on(verdicts):
            break

    # 9. Fit the improved members on everything and combine them.
    return course.outcome()
