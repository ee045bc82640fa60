"""SmartRetail: predictions from a shop's orders, made inside its own warehouse."""

import os

# Threads that wait for each other sleep instead of spinning: on a machine that does other work
# too, spinning makes LightGBM several times slower. Read once, when OpenMP is first loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# One thread for linear algebra: its products are small, and its threads, too, wait by spinning.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
