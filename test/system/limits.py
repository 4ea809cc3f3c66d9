"""The binary under test and the one limit for everything that a test waits for.

PRONGD_TEST_TIMEOUT_SCALE scales it; without that, a sanitizer build (about three times slower) scales itself.
"""

import functools
import os
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PRONGD = os.environ.get("PRONGD", str(TOP / "build/opt/src/main/prongd"))

# The same daemon with an application that sleeps, hangs and crashes as it is asked (test/trial).
TRIAL = str(Path(PRONGD).parents[2] / "test/trial/prongd-trial")


# What asks it.
PRONGCTL = str(Path(PRONGD).parents[1] / "ctl/prongctl")


@functools.cache
def is_sanitized():
    """Whether the binary under test is an address sanitizer build: slower, and its memory figures say nothing."""
    try:
        return b"__asan_init" in Path(PRONGD).read_bytes()
    except FileNotFoundError:
        return False


SCALE = float(os.environ.get("PRONGD_TEST_TIMEOUT_SCALE") or ("3" if is_sanitized() else "1"))
LIMIT = 20.0 * SCALE  # seconds; nothing that a test waits for takes longer unless it is broken
