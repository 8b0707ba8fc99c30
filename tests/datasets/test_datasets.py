"""Loaders read what is there, check what they download, and never leave halves."""

import hashlib
import threading
from functools import partial
from http.client import IncompleteRead
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import URLError

import numpy as np
import pandas as pd
import pytest

from skcoop.datasets import _download as download
from skcoop.datasets import _fashion_mnist as fashion_module
from skcoop.datasets import _heart_disease as heart_module
from skcoop.datasets import fetch_fashion_mnist, fetch_heart_disease

HEART = {
    "cleveland": "63.0,1.0,1.0,145.0,233.0,1.0,2.0,150.0,0.0,2.3,3.0,0.0,6.0,0\n"
    "67.0,1.0,4.0,160.0,286.0,0.0,2.0,108.0,1.0,1.5,2.0,3.0,3.0,2\n",
    "hungarian": "28,1,2,130,132,0,2,185,0,0,?,?,?,0\n",
    "switzerland": "32,1,1,95,0,?,0,127,0,.7,1,?,?,1\n",
    "va": "63,1,4,140,260,0,1,112,1,3,2,?,?,2\n",
}


class Server(ThreadingHTTPServer):
    """Serves a folder on this machine and remembers what it was asked for."""

    def __init__(self, folder):
        self.asked, self.failures = [], 0

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(handler):
                self.asked.append(handler.path)
                if self.failures:
                    self.failures -= 1
                    handler.send_error(503)
                else:
                    super().do_GET()

            def log_message(handler, *args):
                pass

        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))


@pytest.fixture
def uci(tmp_path, monkeypatch):
    """A stand-in for the repository, with a few rows."""
    folder = tmp_path / "server"
    folder.mkdir()
    for hospital, text in HEART.items():
        (folder / f"processed.{hospital}.data").write_text(text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        monkeypatch.setitem(heart_module._SHA256, hospital, digest)
    server = Server(folder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(heart_module, "_URL", f"http://127.0.0.1:{server.server_port}/")
    server.folder = folder
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def offline(monkeypatch):
    def unreachable(url, timeout):
        raise URLError("no route to host")

    monkeypatch.setattr(download, "urlopen", unreachable)


def test_hospitals_are_downloaded_once_and_laid_out(uci, tmp_path):
    home = tmp_path / "home"
    bunch = fetch_heart_disease(data_home=home)
    assert len(uci.asked) == 4
    assert bunch.data.shape == (5, 14) and bunch.frame.shape == (5, 15)
    assert list(bunch.frame)[-2:] == ["hospital", "target"]
    assert bunch.feature_names == list(bunch.data)
    assert bunch.target.tolist() == [0, 1, 0, 1, 1]
    assert bunch.silos.tolist() == ["cleveland"] * 2 + [
        "hungarian",
        "switzerland",
        "va",
    ]
    assert (bunch.data.drop(columns="hospital").dtypes == "float64").all()
    # A question mark is missing, and so is a cholesterol of 0.
    assert bunch.data["ca"].isna().tolist() == [False, False, True, True, True]
    assert bunch.data["chol"].isna().tolist() == [False, False, False, True, False]
    again = fetch_heart_disease(data_home=home, download_if_missing=False)
    assert len(uci.asked) == 4
    pd.testing.assert_frame_equal(again.frame, bunch.frame)


def test_hospitals_as_arrays(uci, tmp_path):
    bunch = fetch_heart_disease(data_home=tmp_path, as_frame=False)
    assert isinstance(bunch.data, np.ndarray) and bunch.data.shape == (5, 13)
    assert len(bunch.feature_names) == 13 and bunch.frame is None
    X, y = fetch_heart_disease(data_home=tmp_path, as_frame=False, return_X_y=True)
    np.testing.assert_array_equal(X, bunch.data)
    np.testing.assert_array_equal(y, bunch.target)
    frame, _ = fetch_heart_disease(data_home=tmp_path, return_X_y=True)
    np.testing.assert_array_equal(frame.drop(columns="hospital"), X)


def test_local_files_may_write_missing_as_nan(uci, tmp_path):
    folder = tmp_path / "heart_disease"
    folder.mkdir()
    for hospital, text in HEART.items():
        path = folder / f"processed.{hospital}.data"
        path.write_text(text.replace("?", "NaN"))
    bunch = fetch_heart_disease(data_home=tmp_path, download_if_missing=False)
    assert bunch.data["thal"].isna().sum() == 3


def test_a_file_with_another_checksum_is_not_kept(uci, tmp_path):
    (uci.folder / "processed.va.data").write_text("63,1,4\n")
    with pytest.raises(
        OSError, match=r"va\.data sent has the SHA-256 .* nothing was kept"
    ):
        fetch_heart_disease(data_home=tmp_path)
    kept = sorted(path.name for path in (tmp_path / "heart_disease").iterdir())
    assert kept == [
        f"processed.{h}.data" for h in ("cleveland", "hungarian", "switzerland")
    ]


def test_tries_again_while_the_server_fails(uci, tmp_path):
    uci.failures = 2
    fetch_heart_disease(data_home=tmp_path, n_retries=2, delay=0.0)
    assert len(uci.asked) == 6
    uci.failures = 1
    (tmp_path / "heart_disease" / "processed.va.data").unlink()
    with pytest.raises(OSError, match="could not be read"):
        fetch_heart_disease(data_home=tmp_path, n_retries=0)


def test_answer_that_is_cut_is_a_failure_of_the_network(uci, tmp_path, monkeypatch):
    tries = []

    def cut(url, timeout):
        tries.append(url)
        raise IncompleteRead(b"28,1,2")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="by hand"):
        patch.setattr(download, "urlopen", cut)
        fetch_heart_disease(data_home=tmp_path, n_retries=2, delay=0.0)
    assert len(tries) == 3
    fetch_heart_disease(data_home=tmp_path)


def test_files_may_be_read_by_whom_the_folder_may_be(tmp_path):
    for mode in (0o755, 0o700):
        tmp_path.chmod(mode)
        with download.replacing(tmp_path / "file") as new:
            new.write_text("content")
        assert (tmp_path / "file").stat().st_mode & 0o777 == mode & 0o666


@pytest.mark.parametrize("content", [b"<html>", b"PK\x03\x04 cut", b""])
def test_fashion_file_that_is_damaged(tmp_path, content):
    (tmp_path / "fashion_mnist.npz").write_bytes(content)
    with pytest.raises(OSError, match=r"fashion_mnist\.npz is damaged.*Delete it"):
        fetch_fashion_mnist(data_home=tmp_path)


def test_does_not_try_again_for_what_is_not_there(uci, tmp_path):
    (uci.folder / "processed.cleveland.data").unlink()
    with pytest.raises(OSError, match="404"):
        fetch_heart_disease(data_home=tmp_path, n_retries=5)
    assert len(uci.asked) == 1


def test_offline_says_what_to_do(offline, tmp_path):
    with pytest.raises(OSError, match="by hand and put it there, or name another"):
        fetch_heart_disease(data_home=tmp_path, n_retries=1, delay=0.0)
    with pytest.raises(OSError, match="download_if_missing is False"):
        fetch_heart_disease(data_home=tmp_path, download_if_missing=False)


def test_half_written_files_never_appear(tmp_path):
    path = tmp_path / "folder" / "file"
    with pytest.raises(RuntimeError), download.replacing(path) as new:
        new.write_text("half")
        raise RuntimeError
    assert list(path.parent.iterdir()) == []
    path.write_text("old")
    with download.replacing(path) as new:
        new.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_fashion_reads_what_is_there(tmp_path):
    rng = np.random.default_rng(0)
    parts = {
        "X_train": rng.integers(0, 256, (6, 784), dtype=np.uint8),
        "y_train": np.arange(6, dtype=np.uint8),
        "X_test": rng.integers(0, 256, (3, 784), dtype=np.uint8),
        "y_test": np.arange(3, dtype=np.uint8),
    }
    np.savez(tmp_path / "fashion_mnist.npz", **parts)
    whole = fetch_fashion_mnist(data_home=tmp_path, download_if_missing=False)
    assert whole.data.shape == (9, 784) and whole.data.dtype == np.uint8
    assert whole.target.tolist() == [*range(6), *range(3)]
    assert len(whole.target_names) == 10 and whole.frame is None
    X, y = fetch_fashion_mnist(data_home=tmp_path, subset="test", return_X_y=True)
    np.testing.assert_array_equal(X, parts["X_test"])
    np.testing.assert_array_equal(y, parts["y_test"])
    framed = fetch_fashion_mnist(data_home=tmp_path, subset="train", as_frame=True)
    assert framed.frame.shape == (6, 785)
    assert list(framed.data) == framed.feature_names
    with pytest.raises(ValueError, match="subset"):
        fetch_fashion_mnist(data_home=tmp_path, subset="valid")


def test_fashion_comes_from_openml_once(tmp_path, monkeypatch):
    asked = []

    def openml(data_id, n_retries, delay, **params):
        asked.append((data_id, n_retries, delay))
        return np.arange(5 * 4.0).reshape(5, 4), np.array(list("01234"))

    monkeypatch.setattr(fashion_module, "fetch_openml", openml)
    monkeypatch.setattr(fashion_module, "_N_TRAIN", 3)
    train = fetch_fashion_mnist(data_home=tmp_path, subset="train", n_retries=7)
    test = fetch_fashion_mnist(data_home=tmp_path, subset="test")
    assert asked == [(40996, 7, 1.0)]
    assert train.data.dtype == np.uint8 and len(train.data) == 3
    assert test.target.tolist() == [3, 4]


def test_fashion_offline_says_what_to_do(tmp_path, monkeypatch):
    def unreachable(**params):
        raise URLError("no route to host")

    monkeypatch.setattr(fashion_module, "fetch_openml", unreachable)
    with pytest.raises(OSError, match="Name a data_home"):
        fetch_fashion_mnist(data_home=tmp_path)
    with pytest.raises(OSError, match="download_if_missing"):
        fetch_fashion_mnist(data_home=tmp_path, download_if_missing=False)
    assert not (tmp_path / "fashion_mnist.npz").exists()
