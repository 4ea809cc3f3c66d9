"""Runs a command in a network namespace of its own, whose loopback is up: two runs of the system tests then share no port,
no abstract UNIX socket and no table of connections. Needs CAP_SYS_ADMIN; exits with 125 when there can be none.

    apart.py COMMAND [ARGUMENT...]
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys

CLONE_NEWNET = 0x40000000  # linux/sched.h
SIOCSIFFLAGS = 0x8914      # linux/sockios.h
IFF_UP = 0x1               # linux/if.h
NOT_APART = 125


def leave_the_network() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "unshare(CLONE_NEWNET)")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        fcntl.ioctl(asker, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return NOT_APART
    try:
        leave_the_network()
    except OSError as error:
        print(f"apart.py: no network namespace: {error}", file=sys.stderr)
        return NOT_APART
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
