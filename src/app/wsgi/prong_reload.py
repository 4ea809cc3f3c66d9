"""For development: sees that a file of a loaded module was saved, and asks the master for a reload.

A thread waits for inotify(7), so that nothing runs while nothing is saved. Folders are watched and not files, because
editors put a new file in the old one's place, and because a module that could not be imported is nowhere in
sys.modules: once a reload was asked for, the reload that this worker outlives has failed, and every .py file of the
project may be the one that mends it.
"""

import atexit
import ctypes
import errno
import os
import struct
import sys
import threading
from select import POLLIN, poll

import prong_worker

# linux/inotify.h
CLOSE_WRITE = 0x8
MOVED_TO = 0x80
CREATE = 0x100
DELETE = 0x200
ONLY_FOLDER = 0x01000000
OVERFLOW = 0x4000
IS_FOLDER = 0x40000000
EVENT = struct.Struct("iIII")
BUFFER = 65536

# An editor or a checkout that writes many files is one change: asked when nothing has come for so long.
QUIET_MILLISECONDS = 100
# But not later than after so many times.
MOST_PAUSES = 20
# Of a project; a root that holds the world (a home folder, say) shall not take all watches of the user.
MOST_FOLDERS = 4000
# What a project keeps inside it and does not write.
FOREIGN = ("site-packages", "dist-packages", "node_modules", "__pycache__")


def is_foreign(folder):
    name = os.path.basename(folder)
    return (name in FOREIGN or name.startswith(".") or folder == os.path.dirname(os.__file__)
            or os.path.exists(os.path.join(folder, "pyvenv.cfg")))


class Watch:
    """The folders of a project, as inotify sees them."""

    def __init__(self, roots):
        self.roots = [os.path.realpath(root) for root in roots]
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self.libc.inotify_init1(os.O_CLOEXEC)
        if self.fd < 0:
            raise self.error("inotify_init1")
        self.ended, self.end = os.pipe()
        os.register_at_fork(after_in_child=self.leave_to_parent)
        self.poll = poll()
        self.poll.register(self.fd, POLLIN)
        self.poll.register(self.ended, POLLIN)
        self.is_over = False
        self.folders = {}  # watch descriptor -> folder
        self.is_full = False
        self.asked = False
        for root in self.roots:
            self.add_tree(root)

    def leave_to_parent(self):
        """In a child that the application forks, which goes its own way."""
        atexit.unregister(self.stop)
        for fd in (self.fd, self.ended, self.end):
            os.close(fd)

    @staticmethod
    def error(what):
        number = ctypes.get_errno()
        return OSError(number, f"{what}: {os.strerror(number)}")

    def add(self, folder):
        if len(self.folders) >= MOST_FOLDERS:
            if not self.is_full:
                print(f"reload: more than {MOST_FOLDERS} folders; the rest is not watched", file=sys.stderr, flush=True)
            self.is_full = True
            return
        mask = CLOSE_WRITE | MOVED_TO | CREATE | DELETE | ONLY_FOLDER
        number = self.libc.inotify_add_watch(self.fd, os.fsencode(folder), mask)
        if number >= 0:
            self.folders[number] = folder
        elif ctypes.get_errno() not in (errno.ENOENT, errno.EACCES, errno.ENOTDIR):  # it went, or is nobody's to read
            raise self.error(f"cannot watch {folder}")

    def add_tree(self, root):
        for folder, below, _ in os.walk(root):
            below[:] = [] if self.is_full else sorted(
                name for name in below if not is_foreign(os.path.join(folder, name)))
            self.add(folder)

    def loaded(self):
        """The files of the modules that are loaded now and belong to the project."""
        files = set()
        for module in list(sys.modules.values()):
            path = getattr(module, "__file__", None)
            if isinstance(path, str) and path.endswith(".py"):
                files.add(os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)))
        return {file for file in files if any(file.startswith(os.path.join(root, "")) for root in self.roots)}

    def changes(self):
        """Waits for events, or for the end; the files in them that count."""
        if any(fd == self.ended for fd, _ in self.poll.poll()):
            self.is_over = True
            return set()
        data = os.read(self.fd, BUFFER)
        loaded = self.loaded()
        changed = set()
        at = 0
        while at < len(data):
            number, mask, _, size = EVENT.unpack_from(data, at)
            name = os.fsdecode(data[at + EVENT.size:at + EVENT.size + size].rstrip(b"\0"))
            at += EVENT.size + size
            if mask & OVERFLOW:
                changed.add("many files")
            elif number not in self.folders or not name:
                continue
            else:
                changed |= self.found_by(os.path.join(self.folders[number], name), mask, loaded)
        return changed

    def found_by(self, path, mask, loaded):
        if not mask & IS_FOLDER:
            return {path} if path in loaded or self.asked and path.endswith(".py") else set()
        if mask & DELETE or is_foreign(path):
            return set()
        self.add_tree(path)
        # What lay in it before it was watched.
        below = os.path.join(path, "")
        return {path} if self.asked or any(file.startswith(below) for file in loaded) else set()

    def collect(self):
        """Waits for a change, and for the end of it."""
        changed = self.changes()
        pauses = 0
        while changed and pauses < MOST_PAUSES and self.poll.poll(QUIET_MILLISECONDS):
            changed |= self.changes()
            pauses += 1
        return changed

    def run(self):
        while not self.is_over:
            changed = self.collect()
            if changed and not self.is_over:
                self.asked = True
                prong_worker.ask_for_reload(describe(changed))

    def stop(self, thread):
        """A thread that the end of the interpreter finds at work would never let go of what it holds."""
        os.write(self.end, b"x")
        thread.join()


def describe(changed):
    first, *more = sorted(changed)
    here = os.path.join(os.path.realpath(os.getcwd()), "")
    first = first[len(here):] if first.startswith(here) else first
    return f"{first} changed" if not more else f"{first} and {len(more)} more changed"


def start(roots):
    """Before the application is loaded, so that nothing that is saved meanwhile is missed."""
    try:
        watch = Watch(dict.fromkeys(roots))
    except OSError as error:
        print(f"reload: saved files do not reload: {error.strerror}", file=sys.stderr, flush=True)
        return
    thread = threading.Thread(target=watch.run, name="prongd-reload", daemon=True)
    thread.start()
    atexit.register(watch.stop, thread)
