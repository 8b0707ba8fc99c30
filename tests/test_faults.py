"""Faults in the middle of a fit: nothing good is lost, and nothing is left behind.

Faults of engines, and of members in one step, are in ``test_errors.py``; workers that
die are in ``test_scaling_out.py``.
"""

import errno
import inspect
import os
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path
from pickle import PicklingError
from threading import Lock, Thread

import joblib
import joblib._memmapping_reducer
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.validation import check_is_fitted

from skcoop import ComparativeDistiller, CooperativeDistiller, DiversePeersDistiller
from skcoop._utils._parallel import _run
from skcoop.counterfactuals import BatchedDice

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = (X + RNG.normal(0, 0.6, X.shape)).argmax(axis=1)


def cooperative(member, **params):
    members = [
        ("linear", LogisticRegression()),
        ("odd", member),
        ("tree", DecisionTreeClassifier(max_depth=2)),
    ]
    params = {"n_rounds": 2, "cv": 3, "random_state": 0, **params}
    return CooperativeDistiller(members, **params)


def diverse(member, **params):
    members = [("odd", member), ("tree", DecisionTreeClassifier(max_depth=2))]
    params = {"cv": 3, "n_virtual": 20, "random_state": 0, **params}
    return DiversePeersDistiller(members, leader=GaussianNB(), **params)


def comparative(member, **params):
    teacher = LogisticRegression().fit(X, Y)
    params = {"teacher_budget": 30, "n_virtual": 20, "random_state": 0, **params}
    params = {"query": "uncertain", "max_comparisons": 200, **params}
    return ComparativeDistiller(teacher, member, **params)


def first_line(caught):
    return str(caught.value).splitlines()[0]


def assert_nothing_fitted(model):
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    # What the columns are called is known, and what was paid for is kept.
    known = {"n_features_in_", "teacher_answers_", "n_teacher_calls_"}
    assert {name for name in vars(model) if name.endswith("_")} <= known


# Members that fail at a certain call


class Trouble(Exception):
    """Nothing that anybody else raises."""


class Odd(GaussianNB):
    """Misbehaves from one call of one method on, for so many calls."""

    fault = None
    at = n_calls = 0
    lasting = 1
    asked_to_teach = None

    @classmethod
    def plan(cls, fault, at, lasting):
        cls.fault, cls.at, cls.lasting = fault, at, lasting
        cls.n_calls, cls.asked_to_teach = 0, None

    @classmethod
    def is_now(cls, method):
        if cls.fault is None or cls.fault[0] != method:
            return False
        cls.n_calls += 1
        return cls.at <= cls.n_calls < cls.at + cls.lasting

    def fit(self, X, y, sample_weight=None):
        if self.is_now("fit"):
            raise Trouble("no more room")
        return super().fit(X, y, sample_weight)

    def predict_proba(self, X):
        proba = super().predict_proba(X)
        if not self.is_now("predict_proba"):
            return proba
        if self.fault[1] == "raise":
            raise Trouble("no more room")
        return proba * np.nan if self.fault[1] == "nan" else proba[:-1]


class Asking(BatchedDice):
    """Notes after how many calls the first teacher was asked."""

    def generate(self, *args, **params):
        if Odd.asked_to_teach is None:
            Odd.asked_to_teach = Odd.n_calls
        return super().generate(*args, **params)


@pytest.fixture
def odd():
    yield Odd
    Odd.plan(None, 0, 0)


FAULTS = [
    ("fit", "raise"),
    ("predict_proba", "raise"),
    ("predict_proba", "nan"),
    ("predict_proba", "shape"),
]
OFTEN = [1, 10**6]


@pytest.mark.filterwarnings("ignore:Some teaching failed")
@pytest.mark.parametrize("lasting", OFTEN, ids=["once", "from then on"])
@pytest.mark.parametrize("fault", FAULTS, ids=" ".join)
def test_member_that_fails_at_some_call(odd, fault, lasting):
    """Before it was judged, the error names it; after that it keeps what it knew."""
    odd.plan(fault, 10**9, 1)
    cooperative(Odd(), counterfactuals=Asking()).fit(X, Y)
    n_calls, judged = odd.n_calls, odd.asked_to_teach
    assert 2 < judged < n_calls
    later = np.linspace(judged + 1, n_calls, 8).astype(int)
    for at in [1, judged, *later]:
        odd.plan(fault, at, lasting)
        model = cooperative(Odd(), counterfactuals=Asking())
        if at > judged:
            model.fit(X, Y)
            odd.plan(None, 0, 0)
            assert np.isfinite(model.predict_proba(X)).all()
            continue
        with pytest.raises((Trouble, ValueError)) as error:
            model.fit(X, Y)
        assert first_line(error).startswith("Member 'odd', ")
        assert_nothing_fitted(model)


@pytest.mark.parametrize("fault", FAULTS, ids=" ".join)
def test_peer_that_fails_in_a_later_round_stays_as_it_was(odd, fault):
    def new(n_rounds):
        return diverse(Odd(), n_rounds=n_rounds, accept=None)

    odd.plan(fault, 10**9, 1)
    one_round = new(1).fit(X, Y)
    at = odd.n_calls + 1
    odd.plan(fault, at, 10**6)
    with pytest.warns(UserWarning, match=r"Round 2 failed.*: Peer 'odd', "):
        model = new(3).fit(X, Y)
    odd.plan(None, 0, 0)
    assert_array_equal(model.predict_proba(X), one_round.predict_proba(X))
    assert_array_equal(
        model.peers_["odd"].predict_proba(X), one_round.peers_["odd"].predict_proba(X)
    )
    assert len(model.diversity_) == 1
    history = model.history_
    assert history.loc[history["kept"], "round"].max() == 1
    failed = history[history["failure"] != ""]
    assert failed["round"].tolist() == [2]
    assert not failed["kept"].any()


@pytest.mark.parametrize("fault", FAULTS[1:], ids=" ".join)
def test_teacher_that_fails_when_it_is_asked_again(odd, fault):
    """Whoever cannot stand by an answer has given none, and the user hears of it."""

    class ThenFails(BatchedDice):
        def generate(self, teacher, *args, **params):
            result = super().generate(teacher, *args, **params)
            if teacher.name == "odd":
                odd.plan(fault, 1, 1)
            return result

    model = cooperative(Odd(), counterfactuals=ThenFails(), n_rounds=1)
    with pytest.warns(UserWarning, match="teacher 'odd': (Trouble|ValueError)"):
        model.fit(X, Y)
    by_odd = model.history_["teacher"] == "odd"
    assert model.history_.loc[by_odd, "asked"].sum() > 0
    assert not (model.lessons_["teacher"] == "odd").any()
    assert (model.lessons_["teacher"] == "linear").any()


@pytest.mark.parametrize("fault", FAULTS, ids=" ".join)
@pytest.mark.parametrize("make", [diverse, comparative])
def test_peer_or_student_that_fails_at_some_call(odd, make, fault):
    odd.plan(fault, 10**9, 1)
    make(Odd()).fit(X, Y)
    assert odd.n_calls > 5
    for at in np.linspace(1, odd.n_calls, 4).astype(int):
        odd.plan(fault, at, 1)
        model = make(Odd())
        with pytest.raises((Trouble, ValueError)) as error:
            model.fit(X, Y)
        name = "Peer 'odd', " if make is diverse else "The student, "
        assert first_line(error).startswith(name)
        assert_nothing_fitted(model)
        if make is comparative:
            answered = ~np.isnan(model.teacher_answers_).any(axis=1)
            assert answered.sum() == model.n_teacher_calls_ > 0


# Members that hang


class Hanging(GaussianNB):
    """Hangs in fit, but with certain numbers of rows; then the clock starts."""

    def __init__(self, unless=(), limit=0.2):
        super().__init__()
        self.unless = unless
        self.limit = limit

    def fit(self, X, y):
        if len(X) not in self.unless:
            if self.limit is not None:
                signal.setitimer(signal.ITIMER_REAL, self.limit)
            time.sleep(1000)
        return super().fit(X, y)


@pytest.fixture
def alarm():
    """Return a function that says what is raised when the time is over."""
    before = signal.getsignal(signal.SIGALRM)

    def set_error(error):
        def late(*args):
            raise error("too late")

        signal.signal(signal.SIGALRM, late)

    yield set_error
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


needs_alarm = pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no alarm")


@needs_alarm
@pytest.mark.parametrize(
    ("make", "unless"),
    # With other numbers of rows, a member is fitted to its lessons.
    [(cooperative, ()), (cooperative, (40, 60)), (diverse, ()), (comparative, ())],
)
def test_a_limit_of_the_user_ends_a_fit_that_hangs(alarm, make, unless):
    alarm(KeyboardInterrupt)
    model = make(Hanging(unless), cv=KFold(3))
    with pytest.raises(KeyboardInterrupt, match="too late"):
        model.fit(X, Y)
    assert_nothing_fitted(model)


@needs_alarm
def test_a_limit_of_the_user_ends_processes_that_hang(alarm):
    """The clock is in this process, and the member that hangs in another."""
    alarm(KeyboardInterrupt)
    model = cooperative(Hanging(limit=None))
    signal.setitimer(signal.ITIMER_REAL, 3.0)
    with joblib.parallel_config(n_jobs=2), pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    assert_nothing_fitted(model)
    with joblib.parallel_config(n_jobs=2):  # hangs if a process still does
        model.set_params(odd__unless=range(1000)).fit(X, Y)


@needs_alarm
@pytest.mark.filterwarnings("ignore:Some teaching failed")
def test_a_member_that_gives_up_its_lessons_keeps_what_it_knew(alarm):
    alarm(TimeoutError)
    model = cooperative(Hanging(unless=(40, 60)), cv=KFold(3)).fit(X, Y)
    failures = model.history_.loc[model.history_["student"] == "odd", "failure"]
    assert failures.str.fullmatch(
        "TimeoutError: Member .odd., fitted on .*: too late"
    ).any()
    assert np.isfinite(model.predict_proba(X)).all()


# Members that warn at every call


class Noisy(GaussianNB):
    def fit(self, X, y, sample_weight=None):
        warnings.warn("a noisy fit", stacklevel=1)
        return super().fit(X, y, sample_weight)

    def predict_proba(self, X):
        warnings.warn("a noisy answer", RuntimeWarning, stacklevel=1)
        return super().predict_proba(X)


@pytest.mark.parametrize(
    ("make", "backend"),
    [
        (cooperative, "sequential"),
        (cooperative, "loky"),
        (cooperative, "threading"),
        (diverse, "sequential"),
        (comparative, "sequential"),
    ],
)
def test_a_member_that_warns_at_every_call_is_heard_a_few_times(make, backend):
    model = make(Noisy())
    n_jobs = {} if backend == "sequential" else {"n_jobs": 2}
    with (
        warnings.catch_warnings(record=True) as caught,
        joblib.parallel_config(backend, **n_jobs),
    ):
        warnings.simplefilter("always")
        model.fit(X, Y)
    for text, category in {
        "a noisy fit": UserWarning,
        "a noisy answer": RuntimeWarning,
    }.items():
        heard = [w for w in caught if str(w.message) == text]
        # Once in a step: two to start with, two in a round, and one in the end.
        assert 1 <= len(heard) <= 2 + 2 * 2 + 1
        assert {w.category for w in heard} == {category}


def test_filters_of_the_user_hold_inside_of_a_fit():
    model = cooperative(Noisy())
    before = list(warnings.filters), warnings.showwarning
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "a noisy")
        model.fit(X, Y)
        warnings.filterwarnings("error", "a noisy answer")
        with pytest.raises(RuntimeWarning, match="a noisy answer"):
            model.fit(X, Y)
    assert (list(warnings.filters), warnings.showwarning) == before


class Picky(UserWarning):
    """Holds what cannot be sent, and so cannot be read in another process."""

    def __init__(self, *, text):
        super().__init__(text)
        self.lock = Lock()


class WarnsPickily(GaussianNB):
    def fit(self, X, y):
        warnings.warn(Picky(text="a picky fit"), stacklevel=1)
        return super().fit(X, y)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_warnings_that_cannot_travel_arrive_as_text(n_jobs):
    model = cooperative(WarnsPickily(), n_jobs=n_jobs, n_rounds=0)
    with joblib.parallel_config("loky"), pytest.warns(UserWarning) as caught:
        model.fit(X, Y)
    kind, text = (Picky, "a picky fit"), (UserWarning, "Picky: a picky fit")
    seen = {(w.category, str(w.message)) for w in caught}
    assert seen == {kind if n_jobs is None else text}


def test_a_call_in_another_process_brings_each_warning_once():
    def call(times):
        for _ in range(times):
            warnings.warn("a noisy call", RuntimeWarning, stacklevel=1)
            warnings.warn(Picky(text="a picky call"), stacklevel=1)
        return times

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        result, caught = _run(os.getpid() + 1, call, (3,), {})
    assert result == 3
    assert [(type(one.message), str(one.message)) for one in caught] == [
        (RuntimeWarning, "a noisy call"),
        (UserWarning, "Picky: a picky call"),
    ]


def test_fits_in_threads_leave_warnings_as_they_are():
    """What is caught in one thread is caught in all: it is not done there."""
    shown, filters = warnings.showwarning, list(warnings.filters)
    warned = []
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: warned.append(str(message))
        warnings.simplefilter("always")
        threads = [
            Thread(target=cooperative(Noisy(), n_rounds=0).fit, args=(X, Y))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert "a noisy fit" in warned
    assert (warnings.showwarning, list(warnings.filters)) == (shown, filters)


# A full disk


def no_room(number):
    def dump(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    return dump


@pytest.mark.parametrize(
    ("backend", "number"), [("loky", errno.ENOSPC), ("multiprocessing", errno.EDQUOT)]
)
def test_full_disk_costs_no_fit(monkeypatch, tmp_path, backend, number):
    """joblib sends large tables through files: they then travel without."""
    alone = cooperative(GaussianNB(), n_rounds=0).fit(X, Y)
    monkeypatch.setattr(joblib._memmapping_reducer, "dump", no_room(number))
    shared = {"max_nbytes": 100, "temp_folder": str(tmp_path)}
    with (
        joblib.parallel_config(backend, n_jobs=2, **shared),
        pytest.warns(UserWarning, match="full.*JOBLIB_TEMP_FOLDER"),
    ):
        model = cooperative(GaussianNB(), n_rounds=0).fit(X, Y)
    assert_array_equal(model.predict_proba(X), alone.predict_proba(X))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


class Unsendable(GaussianNB):
    """Cannot be sent to another process, as soon as it is fitted."""

    def fit(self, X, y):
        self.lock_ = Lock()
        return super().fit(X, y)


@pytest.mark.parametrize("number", [errno.EIO, None])
def test_other_faults_of_sending_are_the_users_to_see(monkeypatch, tmp_path, number):
    model = cooperative(GaussianNB() if number else Unsendable(), n_rounds=0)
    if number:
        monkeypatch.setattr(joblib._memmapping_reducer, "dump", no_room(number))
    shared = {"max_nbytes": 100, "temp_folder": str(tmp_path)}
    with (
        joblib.parallel_config("loky", n_jobs=2, **shared),
        pytest.raises((PicklingError, TypeError)),
    ):
        model.fit(X, Y)
    assert_nothing_fitted(model)


class Crowded(ValueError):
    """Cannot be read by another process: its constructor wants two numbers."""

    def __init__(self, n_rows, most):
        super().__init__(f"{n_rows} rows are more than {most}")
        self.most = most


class Small(GaussianNB):
    def fit(self, X, y):
        raise Crowded(len(X), 5)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_errors_from_another_process_say_what_they_are(n_jobs):
    """One that cannot be read there would break the pool, and hide itself."""
    model = cooperative(Small(), n_rounds=0, n_jobs=n_jobs)
    message = "^Member 'odd', fitted on 60 rows and 0 lessons: 60 rows are more than 5$"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=message) as error:
            model.fit(X, Y)
    assert isinstance(error.value, Crowded) == (n_jobs is None)
    assert error.value.most == 5


class Hoarder(GaussianNB):
    """Counts its fits, each of which finds a disk of its own full."""

    fits = 0

    def fit(self, X, y):
        type(self).fits += 1
        raise OSError(errno.ENOSPC, "No space left on device")


def test_full_disk_of_a_member_is_its_own_error():
    """Nothing that joblib sends was the reason: no warning, no second attempt."""
    Hoarder.fits = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(OSError, match=r"^Member 'odd', fitted.*No space left"):
            cooperative(Hoarder(), n_rounds=0).fit(X, Y)
    assert Hoarder.fits == 1


# Interrupted anywhere


class Interrupter:
    """Raises KeyboardInterrupt as skcoop enters its n-th function."""

    def __init__(self, at=None):
        self.at = at
        self.n_calls = 0

    def __call__(self, frame, event, arg):
        if event != "call" or not frame.f_globals.get("__name__", "").startswith(
            "skcoop."
        ):
            return
        # A generator that nobody waits for is entered to be closed, and Python then
        # prints what is raised instead of raising it.
        if frame.f_code.co_flags & inspect.CO_GENERATOR:
            return
        self.n_calls += 1
        if self.n_calls == self.at:
            raise KeyboardInterrupt

    def __enter__(self):
        sys.setprofile(self)
        return self

    def __exit__(self, *error):
        sys.setprofile(None)


@pytest.mark.parametrize(
    ("make", "n_moments"), [(cooperative, 100), (diverse, 20), (comparative, 20)]
)
def test_interrupted_at_any_moment(make, n_moments):
    rows, labels = X[:40].copy(), Y[:40].copy()
    options = {"cv": 2, "n_rounds": 1}
    if make is diverse:
        options["accept"] = None
    if make is comparative:
        options = {"cv": 2, "n_virtual": 0, "teacher_budget": 10}

    def new():
        return make(GaussianNB(), **options)

    model = new()
    with Interrupter() as whole:
        model.fit(rows, labels)
    expected = model.predict_proba(rows)
    # The last function of a fit with callbacks tells these that all is done.
    n_calls = whole.n_calls - (make is cooperative)
    before = list(warnings.filters), warnings.showwarning
    draw = np.random.default_rng(0)
    for at in draw.choice(n_calls, n_moments, replace=False) + 1:
        model = new()
        with pytest.raises(KeyboardInterrupt), Interrupter(at):
            model.fit(rows, labels)
        assert_nothing_fitted(model)
        assert (list(warnings.filters), warnings.showwarning) == before
    assert_array_equal(rows, X[:40])
    assert_array_equal(labels, Y[:40])
    assert_array_equal(model.fit(rows, labels).predict_proba(rows), expected)


SIGINT_SCRIPT = textwrap.dedent(
    """
    import signal, sys, time
    import numpy as np
    from sklearn.exceptions import NotFittedError
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.utils.validation import check_is_fitted
    from skcoop import CooperativeDistiller

    # Shells start what is to run in the background with the signal ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    class Slow(GaussianNB):
        def __init__(self, seconds=0.6):
            super().__init__()
            self.seconds = seconds

        def fit(self, X, y):
            time.sleep(self.seconds)
            return super().fit(X, y)

    rng = np.random.default_rng(0)
    X = rng.normal(size=(8000, 20))  # large enough to be sent through files
    y = (X[:, :3] + rng.normal(0, 0.6, (8000, 3))).argmax(axis=1)
    members = [("slow", Slow()), ("linear", LogisticRegression())]
    model = CooperativeDistiller(members, n_jobs=2, max_lessons=50)
    left = int(sys.argv[1])
    while left:
        if left == 1:
            model.set_params(slow__seconds=10_000)
        try:
            print("begins", flush=True)
            model.fit(X, y)
            print("ended", flush=True)
        except KeyboardInterrupt:
            left -= 1
            try:
                check_is_fitted(model)
                print("fitted", flush=True)
            except NotFittedError:
                print("interrupted", flush=True)
    """
)


def running_in(group):
    """Return the processes of a group that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, process_group = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has ended
            continue
        if int(process_group) == group and state != "Z":
            found.append(path.parent.name)
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_control_c_leaves_no_process_and_no_file(tmp_path):
    """A fit takes two seconds at least; in the last of them, a member hangs.

    Python drops what is raised while it makes a process ("Exception ignored in"): that
    fit is whole, and the next one is interrupted instead.
    """
    delays = np.random.default_rng(0).uniform(0.0, 2.5, size=5)
    script = tmp_path / "script.py"
    script.write_text(SIGINT_SCRIPT)
    shared = tmp_path / "shared"
    shared.mkdir()
    with subprocess.Popen(
        [sys.executable, script, str(len(delays))],
        env=os.environ | {"JOBLIB_TEMP_FOLDER": str(shared)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        dropped = 0
        for number, delay in enumerate(delays):
            said = "ended\n"
            while said == "ended\n" and dropped < 3:
                assert process.stdout.readline() == "begins\n"
                time.sleep(delay)
                # In a terminal, the workers hear the signal too.
                tell = os.killpg if number % 2 else os.kill
                tell(process.pid, signal.SIGINT)
                said = process.stdout.readline()
                dropped += said == "ended\n"
            assert said == "interrupted\n"
        assert process.wait(60) == 0
    deadline = time.monotonic() + 20
    while running_in(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert running_in(process.pid) == []
    assert [path for path in shared.rglob("*") if path.is_file()] == []


def test_failure_is_noted_for_those_who_asked():
    """An engine that fails about rows of one silo failed nobody who asked elsewhere."""

    class FailsInOneSilo(BatchedDice):
        def generate(self, teacher, X, y, **params):
            if set(map(tuple, X.tolist())) & bad:
                raise RuntimeError("not here")
            return super().generate(teacher, X, y, **params)

    silos = np.array(["linear", "odd", "tree"])[np.arange(60) % 3]
    bad = set(map(tuple, X[silos == "tree"].tolist()))
    model = cooperative(GaussianNB(), counterfactuals=FailsInOneSilo(), n_rounds=1)
    with pytest.warns(UserWarning, match="not here"):
        model.fit(X, Y, silos=silos)
    history = model.history_
    # Whoever has answers from all that it asked about has no failure.
    whole = history[history["found"] == history["asked"]]
    failed = history[history["failure"] != ""]
    assert len(failed)
    assert (failed["found"] < failed["asked"]).all()
    assert (whole["failure"] == "").all()
