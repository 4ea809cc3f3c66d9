"""A Debian container with systemd as PID 1 and prongd installed in it, as `meson install` does it.

The tree is made once by debootstrap and kept in the user's cache; each run works on a copy, so that no test can spoil
it. What runs in it is seen through nsenter and systemctl only: no port of the host is touched (--private-network).
"""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
PRONGD = pathlib.Path(os.environ.get("PRONGD", TOP / "build/opt/src/main/prongd"))
BUILD = PRONGD.parents[2]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "prongd"
LIMIT = 30.0 * float(os.environ.get("PRONGD_TEST_TIMEOUT_SCALE") or 1)  # seconds; for anything that a test waits for
# curl asks, procps has the kill of ExecReload=; the rest makes systemd a system.
BASE_PACKAGES = "systemd,systemd-sysv,dbus,curl,procps"


class Unavailable(Exception):
    """Why there can be no container here."""


def wait_until(look, what: str, limit: float = LIMIT):
    """Calls look() until it returns something true, and returns that."""
    deadline = time.monotonic() + limit
    while not (value := look()):
        assert time.monotonic() < deadline, f"waited {limit:.0f} s in vain for: {what}"
        time.sleep(0.02)  # the pause between two looks, not a guess how long it takes
    return value


def output(*command: str, check: bool = True, limit: float | None = None, **options) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", check=False, timeout=limit, **options)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with status {done.returncode}: {done.stdout.strip()[-2000:]}")
    return done.stdout


# ---------------------------------------------------------------------------------------------------- the cached tree


def check_available() -> None:
    if os.environ.get("CI"):
        raise Unavailable("not in CI: it boots a container, as root, from a Debian tree that it downloads")
    if os.geteuid() != 0:
        raise Unavailable("needs root to boot a container")
    for program in ("debootstrap", "systemd-nspawn", "nsenter", "apt-get"):
        if shutil.which(program) is None:
            raise Unavailable(f"{program} is not installed (Debian packages debootstrap, systemd-container)")
    if not PRONGD.exists():
        raise Unavailable(f"{PRONGD} is not built")


def codename() -> str:
    release = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return release.get("VERSION_CODENAME", "").strip('"')


def mirror(release: str) -> str:
    """Where this system itself gets its packages from."""
    rows = output("apt-get", "indextargets", "--format", "$(REPO_URI)|$(CODENAME)|$(ORIGIN)", "Created-By: Packages")
    for row in rows.splitlines():
        uri, _, rest = row.partition("|")
        if rest == f"{release}|Debian":
            return uri
    raise Unavailable(f"the apt sources of this system name no Debian mirror for {release!r}")


def base_tree() -> pathlib.Path:
    """The tree that all runs copy; made at the first."""
    release = codename()
    tree = CACHE / f"nspawn-{release}"
    if not tree.exists():
        unfinished = tree.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            output("debootstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", release, str(unfinished),
                   mirror(release))
        except RuntimeError as error:
            raise Unavailable(f"no Debian tree: {error}") from error
        unfinished.rename(tree)
    install_libraries(tree)
    return tree


def install_libraries(tree: pathlib.Path) -> None:
    """Gives the tree the packages of the libraries that prongd is linked to, in the very versions of this system."""
    missing = [package for package in library_packages() if not is_installed(tree, package)]
    if not missing:
        return
    with tempfile.TemporaryDirectory(prefix="prongd-debs-") as folder:
        os.chmod(folder, 0o755)  # apt downloads as its own user
        try:
            output("apt-get", "download", "-q", *missing, cwd=folder)
        except RuntimeError:
            output("apt-get", "update", "-q")
            output("apt-get", "download", "-q", *missing, cwd=folder)
        target = tree / "var" / "cache" / "prongd"
        target.mkdir(parents=True)
        names = [shutil.copy(deb, target) for deb in pathlib.Path(folder).glob("*.deb")]
        output("chroot", str(tree), "dpkg", "-i", *(f"/{pathlib.Path(name).relative_to(tree)}" for name in names))
        shutil.rmtree(target)


def library_packages() -> set[str]:
    packages = set()
    for line in output("ldd", str(PRONGD)).splitlines():
        if "=> /" in line:
            path = pathlib.Path(line.split("=> ")[1].split()[0])
            # Debian's packages name the path from before /lib became a link to /usr/lib, or the one after.
            spellings = {str(path), str(path).removeprefix("/usr"), f"/usr{path}"}
            rows = output("dpkg-query", "-S", *spellings, check=False)
            found = [row.split(": /")[0].split(",")[0].split(":")[0] for row in rows.splitlines() if ": /" in row]
            if not found:
                raise Unavailable(f"no Debian package has {path}")
            packages.add(found[0])
    return packages


def is_installed(tree: pathlib.Path, package: str) -> bool:
    return output("dpkg-query", f"--admindir={tree}/var/lib/dpkg", "-W", "-f", "${db:Status-Status}", package,
                  check=False) == "installed"


# ------------------------------------------------------------------------------------------------------ the container


class Container:
    """A booted copy of the tree. Everything in here that takes a command runs it inside."""

    def __init__(self) -> None:
        CACHE.mkdir(parents=True, exist_ok=True)
        with open(CACHE / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two runs at once must not both make the tree
            base = base_tree()
            self._folder = tempfile.TemporaryDirectory(prefix="run-", dir=CACHE)
            self.root = pathlib.Path(self._folder.name) / "root"
            output("cp", "-a", "--reflink=auto", str(base), str(self.root))
        output("meson", "install", "-C", str(BUILD), "--no-rebuild", env=dict(os.environ, DESTDIR=str(self.root)))
        (self.root / "etc" / "machine-id").write_text("")
        self._nspawn = None
        self.leader = 0

    def boot(self) -> None:
        self._console = open(self.root.parent / "console.log", "w+")
        self._nspawn = subprocess.Popen(
            ["systemd-nspawn", "-q", "-D", str(self.root), "--register=no", "--keep-unit", "--private-network", "-b"],
            stdin=subprocess.DEVNULL, stdout=self._console, stderr=subprocess.STDOUT)
        self.leader = wait_until(self._find_leader, "systemd-nspawn to start the container")
        wait_until(lambda: self.run("systemctl", "is-system-running", check=False).strip() in ("running", "degraded"),
                   "systemd to be up in the container")

    def _find_leader(self) -> int:
        if self._nspawn.poll() is not None:
            self._console.seek(0)
            raise Unavailable(f"systemd-nspawn cannot boot a container here: {self._console.read().strip()[-500:]}")
        # Of its children only the last is the container's PID 1; the one before sets the stage and leaves.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for pid in pathlib.Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split():
                if re.search(r"^NSpid:\s+\d+\s+1$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.MULTILINE):
                    return int(pid)
        return 0

    def close(self) -> None:
        if self._nspawn is not None and self._nspawn.poll() is None:
            if self.leader:
                self.run("systemctl", "poweroff", check=False)
            try:
                self._nspawn.wait(LIMIT)
            except subprocess.TimeoutExpired:
                self._nspawn.send_signal(signal.SIGKILL)
                self._nspawn.wait()
        self._folder.cleanup()

    # --- commands

    def _inside(self, command: tuple[str, ...]) -> list[str]:
        return ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "-C", *command]

    def run(self, *command: str, check: bool = True) -> str:
        return output(*self._inside(command), check=check, limit=4 * LIMIT, env={"PATH": "/usr/sbin:/usr/bin", "LANG": "C.UTF-8"})

    def status_of(self, *command: str) -> int:
        return subprocess.run(self._inside(command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False, env={"PATH": "/usr/sbin:/usr/bin"}).returncode

    def start(self, *command: str) -> subprocess.Popen:
        """In the background; its output is in .stdout."""
        return subprocess.Popen(self._inside(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, env={"PATH": "/usr/sbin:/usr/bin"})

    def write(self, path: str, text: str) -> None:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def remove(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self.root / path.lstrip("/")).unlink()

    # --- what systemd says

    def show(self, unit: str, name: str) -> str:
        return self.run("systemctl", "show", "--value", "--property", name, unit).strip()

    def journal_cursor(self) -> str:
        self.run("journalctl", "--sync")
        shown = self.run("journalctl", "-n", "0", "--show-cursor", "--quiet")
        return shown.partition("cursor: ")[2].strip()

    def journal(self, after: str, *arguments: str) -> list[dict]:
        """The entries after a cursor, as systemd keeps them: {"MESSAGE": ..., "PRIORITY": ...}."""
        text = self.run("journalctl", "--quiet", "-o", "json", "--after-cursor", after, *arguments)
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
