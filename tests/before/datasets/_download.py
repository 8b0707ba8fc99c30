# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Files that are downloaded once, checked, and kept."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

# Seconds without an answer after which a server counts as silent.
_TIMEOUT = 60.0


def fetch_file(
    url: str,
    path: Path,
    sha256: str,
    *,
    download_if_missing: bool,
    n_retries: int,
    delay: float,
) -> Path:
    """Return the path of a file, downloading it first if it is not there.

    A file that is there is taken as it is.

    Parameters
    ----------
    url : str
        Where to get it.
    path : Path
        Where it is kept.
    sha256 : str
        Checksum that a downloaded file must have.
    download_if_missing : bool
        Whether it may be downloaded.
    n_retries : int
        How often to try again after a failure of the network.
    delay : float
        Seconds between tries.

    Returns
    -------
    path : Path
        The same path.

    Raises
    ------
    OSError
        If the file is missing and cannot or may not be downloaded, or if what was
        downloaded is not what it should be.
    """
    if path.exists():
        return path
    by_hand = f"Download {url} by hand and put it there, or name another data_home."
    if not download_if_missing:
        raise OSError(f"{path} is missing and download_if_missing is False. {by_hand}")
    content = _download(url, n_retries, delay, f"{path} is missing. {by_hand}")
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise OSError(
            f"What {url} sent has the SHA-256 checksum {found}, expected {sha256}. "
            "The file may have been changed or cut; nothing was kept."
        )
    with replacing(path) as new:
        new.write_bytes(content)
    return path


def _download(url: str, n_retries: int, delay: float, advice: str) -> bytes:
    for left in range(n_retries, -1, -1):
        try:
            with urlopen(url, timeout=_TIMEOUT) as answer:
                content: bytes = answer.read()
            return content
        # OSError includes URLError and timeouts; an answer that is cut is the other.
        except (OSError, HTTPException) as error:
            gone = isinstance(error, HTTPError) and error.code < 500
            if gone or left == 0:
                raise OSError(f"{url} could not be read ({error}). {advice}") from error
            time.sleep(delay)
    raise ValueError(f"n_retries must not be negative, got {n_retries}")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to; only when all is written does it become `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")
    os.close(handle)
    new = Path(name)
    try:
        yield new
        # Others may read it as they may read the folder, which mkstemp forbids.
        new.chmod(path.parent.stat().st_mode & 0o666)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
