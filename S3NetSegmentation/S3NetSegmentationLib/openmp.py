"""How the threads of OpenMP, which torch uses, wait for one another. Comes before torch."""

from __future__ import annotations

import os

SPINS = 2000
"""How often a thread of GNU OpenMP looks whether its wait is over before it sleeps: long enough
for the next layer of a network, and about a hundredth of what it does by default."""


def limit_spinning() -> None:
    """Let torch's threads sleep when they wait for one another, unless the user has a wish.

    They spin, by default. Where other programs keep the cores busy, that takes the time that the
    awaited thread needs, and a fit takes several times as long. OpenMP looks at these variables
    when torch is loaded, and never again.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))
        # Intel's and LLVM's OpenMP, with which torch comes on Windows and Macs; milliseconds.
        os.environ.setdefault("KMP_BLOCKTIME", "0")
