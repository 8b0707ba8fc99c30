"""Silos on machines: their files, their sockets, and Flower between them."""

import json
import os
import socket
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline

from skcoop.federation._config import read_silo
from skcoop.federation._loopback import receive, send
from skcoop.federation._messages import Packer

ROWS = pd.DataFrame(
    {"age": [30, 40, 50, 60], "sick": ["no", "no", "yes", "yes"], "w": [1, 2, 1, 0]}
)


def rows():
    return ROWS


def write(folder, text, name="silo.toml"):
    ROWS.to_csv(folder / "rows.csv", index=False)
    ROWS.to_parquet(folder / "rows.parquet")
    file = folder / name
    file.write_text(text)
    return file


GOOD = """
name = "basel"
rows = "rows.csv"
target = "sick"
weights = "w"
trusted = ["some.Type"]
[members]
bayes = "sklearn.naive_bayes:GaussianNB"
linear = "skcoop.federation._demo:linear"
[levels]
color = ["red", "blue"]
[consent]
share_predictions = true
[limits]
seconds = 60
"""


@pytest.mark.parametrize("where", ["rows.csv", "rows.parquet", f"{__name__}:rows"])
def test_a_silo_is_what_its_file_says(tmp_path, where):
    data = read_silo(write(tmp_path, GOOD.replace("rows.csv", where)))
    assert data.name == "basel"
    assert list(data.X.columns) == ["age"]
    assert data.y.tolist() == ["no", "no", "yes"]  # the last row has no weight
    assert data.weights.tolist() == [1, 2, 1]
    (first, bayes), (second, linear) = data.estimators
    assert (first, second) == ("bayes", "linear")
    assert isinstance(bayes, GaussianNB)
    assert isinstance(linear, Pipeline)
    assert data.consent.share_predictions
    assert not data.consent.models_with_rows
    assert data.limits.seconds == 60
    assert data.levels == {"color": ["red", "blue"]}
    assert data.trusted == ["some.Type"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("target =", "aim ="), r"unknown keys \['aim'\], missing keys \['target'\]"),
        (("share_predictions", "share_rows"), r"unknown keys \['share_rows'\]"),
        (('"sick"', '"ill"'), r"the rows lack the columns \['ill'\]"),
    ],
)
def test_a_file_that_says_something_else(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        read_silo(write(tmp_path, GOOD.replace(*change)))


def ask(path, message, timeout):
    """Send a message to a silo's socket and return the reply."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(path)
        with connection.makefile("rwb") as stream:
            send(stream, message)
            return receive(stream)


@pytest.fixture
def process(tmp_path):
    file, path = write(tmp_path, GOOD), tmp_path / "socket"
    command = [sys.executable, "-m", "skcoop.federation", "silo", file, path]
    own = subprocess.Popen(command, stderr=subprocess.PIPE)
    end = time.monotonic() + 60
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.05)
    yield own, path
    own.terminate()
    own.wait()
    own.stderr.close()


def test_a_silo_answers_behind_a_socket_of_its_own(process):
    _, path = process
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    packer = Packer(None)

    def asked(*steps):
        return packer.unpack(ask(str(path), packer.pack(list(steps)), 60))

    profile = asked(("profile", {"private": []}))["reply"]
    assert profile.name == "basel"
    assert profile.counts == [2, 1]
    assert asked(("rows", {}))["failed"] == {"step": "read", "type": "ValueError"}
    # It is still there after who asked has gone, and after a message that is none.
    for data in (b"", b"\0\0", packer.pack([("profile", {"private": []})])):
        with socket.socket(socket.AF_UNIX) as gone:
            gone.connect(str(path))
            gone.sendall(data)
            gone.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
    assert packer.unpack(ask(str(path), b"nothing", 60))["failed"]["step"] == "read"
    assert asked(("profile", {"private": []}))["reply"].name == "basel"


def test_a_group_may_send_messages(tmp_path):
    """Another user, as that of a node, and only if the silo says so."""
    import grp

    own_groups = [*os.getgroups(), os.getgid()]
    groups = [grp.getgrgid(number).gr_name for number in own_groups]
    path = tmp_path / "socket"
    command = "from skcoop.federation._socket import serve; import sys; "
    command += "serve(lambda data: data + b'!', sys.argv[1], sys.argv[2])"
    own = subprocess.Popen([sys.executable, "-c", command, path, groups[0]])
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if path.exists() and stat.S_IMODE(os.stat(path).st_mode) == 0o660:
            break
        time.sleep(0.05)
    try:
        assert grp.getgrgid(os.stat(path).st_gid).gr_name == groups[0]
        assert ask(str(path), b"hello", 10) == b"hello!"
    finally:
        own.terminate()
        own.wait()


def test_the_app_of_a_node_imports_nothing_of_ours():
    """Flower starts it anew for each message; and it could not reach rows."""
    import skcoop.federation

    folder = Path(skcoop.federation.__file__).parent / "flower_app"
    text = (folder / "skcoop_flower_app" / "relay.py").read_text()
    assert "import skcoop" not in text
    assert "from skcoop" not in text


def test_the_same_fit_over_flower(tmp_path):
    """A SuperLink and two nodes with keys and certificates, on this machine."""
    pytest.importorskip("flwr", reason="needs skcoop[flower]")
    from skcoop import CooperativeDistiller
    from skcoop.federation import _demo

    X, y, silos = _demo.clinics()
    two = np.isin(silos, ["basel", "zurich"])
    X, y, silos = X[two].reset_index(drop=True), y[two], silos[two]
    with _demo.Federation(tmp_path) as federation:
        for name in ("basel", "zurich"):
            own = silos == name
            federation.add_silo(name, X[own].assign(diagnosis=y[own]))
        result = federation.run()
        processes = [process.pid for process in federation.processes]
    assert not any(Path(f"/proc/{i}").exists() for i in processes)
    local = CooperativeDistiller(
        [("basel", _demo.linear()), ("zurich", _demo.bayes())], random_state=0
    ).fit(X, y, silos=silos)
    far = result["distiller"]
    pd.testing.assert_frame_equal(far.history_, local.history_, check_exact=True)
    np.testing.assert_array_equal(far.predict_proba(X), local.predict_proba(X))
    trips = [step for silo, step, *_ in result["trips"] if silo == "basel"]
    rounds = far.history_["round"].max()
    assert len(trips) <= 4 * rounds + 13
    said = "".join(file.read_text(errors="ignore") for file in tmp_path.glob("*.log"))
    cells = [json.dumps(cell) for cell in X["mean_radius"].unique()[:50]]
    assert not any(f" {cell} " in said for cell in cells)
