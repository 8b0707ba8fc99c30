# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""A federation of three clinics on this machine: Flower, keys, certificates and all."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import joblib
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcoop._cooperative._distiller import CooperativeDistiller

# Seconds until a process must have done what it was started for.
_PATIENCE = 300
_APP = Path(__file__).parent / "flower_app"


def clinics() -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return rows of three clinics that see tumours of different sizes."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X = X.iloc[:, :10].rename(columns=lambda name: name.replace(" ", "_"))
    sizes = np.digitize(X["mean_radius"], X["mean_radius"].quantile([0.4, 0.7]))
    order = np.argsort(sizes, kind="stable")
    names = np.array(list(MEMBERS))[sizes]
    X = X.iloc[order].reset_index(drop=True)
    return X, np.where(y, "benign", "malignant")[order], names[order]


def linear() -> Any:
    """Return the member of the first clinic."""
    return make_pipeline(StandardScaler(), LogisticRegression())


def forest() -> Any:
    """Return the member of the second clinic."""
    return RandomForestClassifier(50, max_depth=6)


def bayes() -> Any:
    """Return the member of the third clinic."""
    return GaussianNB()


MEMBERS = {"basel": linear, "bern": forest, "zurich": bayes}


def demo() -> None:
    """Fit over Flower and in one process, and say that both are the same."""
    began = time.perf_counter()
    X, y, silos = clinics()
    with tempfile.TemporaryDirectory() as name, Federation(Path(name)) as federation:
        for clinic in MEMBERS:
            own = silos == clinic
            federation.add_silo(clinic, X[own].assign(diagnosis=y[own]))
        result = federation.run()
    local = CooperativeDistiller(
        [(name, make()) for name, make in MEMBERS.items()], random_state=0
    ).fit(X, y, silos=silos)
    far = result["distiller"]
    _say(local, far, result["trips"], X, y)
    print(f"It took {time.perf_counter() - began:.0f} s.")


def _say(local: Any, far: Any, trips: list[Any], X: Any, y: Any) -> None:
    print(f"{'member':10}{'alone':>10}{'after':>10}{'one process':>14}")
    for k, name in enumerate(MEMBERS):
        scores = [
            models[k].score(X, y)
            for models in (far.initial_estimators_, far.estimators_, local.estimators_)
        ]
        print(f"{name:10}{scores[0]:10.4f}{scores[1]:10.4f}{scores[2]:14.4f}")
    same = all(
        np.array_equal(a.predict_proba(X), b.predict_proba(X))
        for a, b in zip(far.estimators_, local.estimators_, strict=True)
    ) and np.array_equal(far.predict_proba(X), local.predict_proba(X))
    word = "the same" if same else "NOT the same"
    print(
        f"Over Flower and in one process, all predictions are {word} to the last bit."
    )
    for name in MEMBERS:
        own = [trip for trip in trips if trip[0] == name]
        left = sum(got for *_, got in own)
        print(f"{name}: {len(own)} messages, {left:,} bytes left, no row among them")


class Federation:
    """The processes of a federation on this machine, and where they keep their files.

    Parameters
    ----------
    folder : Path
        For everything; nothing is written elsewhere.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.logs: list[IO[bytes]] = []
        self.silos: list[str] = []
        self.port = free_port()
        self.environment = {
            **os.environ,
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
            "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.1",
            "FLWR_HOME": str(folder / "home"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }

    def __enter__(self) -> Federation:
        """Make certificates and start the SuperLink."""
        write_certificates(self.folder)
        home = self.folder / "home"
        home.mkdir()
        (home / "config.toml").write_text(
            f"[superlink]\ndefault = 'tls'\n\n[superlink.tls]\n"
            f"address = '127.0.0.1:{self.port}'\n"
            f"root-certificates = '{self.folder / 'ca.pem'}'\n"
        )
        try:
            self._start(
                "superlink",
                "flower-superlink",
                *("--ssl-ca-certfile", str(self.folder / "ca.pem")),
                *("--ssl-certfile", str(self.folder / "server.pem")),
                *("--ssl-keyfile", str(self.folder / "server.key")),
                "--enable-supernode-auth",
                *("--host", "127.0.0.1", "--port", str(self.port)),
            )
            self._wait(lambda: listens(self.port), "the SuperLink")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: Any) -> None:
        """End all processes and those that they started, the last one first."""
        for kind in (signal.SIGTERM, signal.SIGKILL):
            for process in reversed(self.processes):
                with suppress(ProcessLookupError):  # all of them have ended
                    os.killpg(process.pid, kind)
            for process in self.processes:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(10)
        for log in self.logs:
            log.close()

    def add_silo(self, name: str, rows: pd.DataFrame) -> None:
        """Start a silo's process and its node."""
        own = self.folder / name
        own.mkdir()
        rows.to_csv(own / "rows.csv", index=False)
        (own / "silo.toml").write_text(
            f"name = {json.dumps(name)}\nrows = 'rows.csv'\ntarget = 'diagnosis'\n"
            f"[members]\n{name} = 'skcoop.federation._demo:{MEMBERS[name].__name__}'\n"
        )
        path = own / "socket"
        module = [sys.executable, "-m", "skcoop.federation"]
        self._start(name, *module, "silo", str(own / "silo.toml"), str(path))
        self._wait(path.exists, f"the silo {name!r}")
        write_key(own / "key", own / "key.pub")
        self._flwr("supernode", "register", str(own / "key.pub"), "tls", "--name", name)
        self._start(
            f"{name}-node",
            "flower-supernode",
            *("--root-certificates", str(self.folder / "ca.pem")),
            *("--auth-supernode-private-key", str(own / "key")),
            *("--superlink", f"127.0.0.1:{self.port}"),
            *("--host", "127.0.0.1", "--port", str(free_port())),
            *("--node-config", f'socket="{path}"'),
            home=own / "home",
        )
        self.silos.append(name)

    def run(self) -> dict[str, Any]:
        """Submit the app, wait until it has finished, and return what it kept."""
        app, result = self.folder / "app", self.folder / "result"
        shutil.copytree(_APP, app)
        config = f'silos="{",".join(self.silos)}" folder="{result}"'
        self._flwr("run", str(app), "tls", "--run-config", config)
        kept = result / "distiller.joblib"
        self._wait(kept.exists, "the fit")
        return joblib.load(kept)

    def _start(self, name: str, *command: str, home: Path | None = None) -> None:
        log = (self.folder / f"{name}.log").open("wb")
        self.logs.append(log)
        environment = dict(self.environment)
        if home is not None:
            environment["FLWR_HOME"] = str(home)
        self.processes.append(
            subprocess.Popen(
                command,
                env=environment,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        )

    def _flwr(self, *arguments: str) -> None:
        done = subprocess.run(
            ["flwr", *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(
                f"flwr {arguments[0]} failed: {(done.stdout + done.stderr).decode()}"
            )

    def _wait(self, is_done: Any, what: str) -> None:
        end = time.monotonic() + _PATIENCE
        while not is_done():
            ended = [p for p in self.processes if p.poll() is not None]
            if ended or time.monotonic() > end:
                said = "\n".join(
                    f"{log.name}:\n{Path(log.name).read_text()[-2000:]}"
                    for log in self.logs
                )
                raise RuntimeError(f"{what} did not come about. Logs:\n{said}")
            time.sleep(0.1)


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def listens(port: int) -> bool:
    """Tell whether somebody listens on a port."""
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def write_key(private: Path, public: Path) -> None:
    """Write a pair of keys, as Flower's nodes are known by."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP384R1())
    private.touch(0o600)
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
    )


def write_certificates(folder: Path) -> None:
    """Write a certificate for this machine, and that of who signed it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = datetime.datetime.now(datetime.UTC)

    def certificate(subject: str, issuer: str, key: Any, signer: Any) -> Any:
        names = [
            x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])
            for name in (subject, issuer)
        ]
        host = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        is_authority = subject == issuer
        return (
            x509.CertificateBuilder()
            .subject_name(names[0])
            .issuer_name(names[1])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([host, x509.DNSName("localhost")]), False
            )
            .sign(signer, hashes.SHA256())
        )

    authority, server = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    for file, made in (
        ("ca.pem", certificate("skcoop demo", "skcoop demo", authority, authority)),
        ("server.pem", certificate("127.0.0.1", "skcoop demo", server, authority)),
    ):
        (folder / file).write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key = folder / "server.key"
    key.touch(0o600)
    key.write_bytes(
        server.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
