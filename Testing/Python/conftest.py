"""For every test."""

import os

# The networks of the tests are so small that threads would mostly wait for each other, above all
# on a busy machine; before torch is imported, here and in the processes that the tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
