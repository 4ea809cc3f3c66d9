"""The first Python that a worker runs: says what is wrong with an interpreter that cannot be one.

Written so that any Python can read it, however old.
"""

import os
import sys

OLDEST = (3, 9)
# A message of the worker to the master (src/ipc/messages.cpp): protocol version 1, "cannot start".
START_FAILED = b"\x01\x02"
LONGEST = 4000


def complaint():
    """Why this interpreter cannot run the worker, or None."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    implementation = getattr(getattr(sys, "implementation", None), "name", "cpython")
    if implementation != "cpython":
        return "it is %s, and a worker needs CPython" % implementation
    if sys.version_info < OLDEST:
        return "it is Python %s, and a worker needs 3.9 or newer" % version
    if "t" in getattr(sys, "abiflags", ""):
        return "it is a free-threaded build (%s), which has another binary interface" % version
    return None


def refuse(channel, reason):
    """Tells the master, which tells the operator."""
    text = "the interpreter %s cannot be used: %s" % (sys.executable, reason)
    os.write(channel, START_FAILED + text.encode("utf-8", "replace")[:LONGEST])
    sys.exit(1)


def main(arguments, dont_write_bytecode):
    record, channel = [int(argument) for argument in arguments]
    reason = complaint()
    if reason is not None:
        refuse(channel, reason)
    try:
        import prong_host
    except ImportError as error:
        refuse(channel, str(error))
    # What led here is nobody else's business.
    del sys.path[0]
    sys.dont_write_bytecode = dont_write_bytecode
    for name in ("sys", "written", "prong_start"):
        del sys.modules["__main__"].__dict__[name]
    prong_host.main(record)
