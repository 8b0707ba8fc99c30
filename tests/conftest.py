"""Each of the test processes keeps to one thread: there are as many as cores."""

import os

# Read when NumPy's libraries are loaded, which in the processes of xdist comes later.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
