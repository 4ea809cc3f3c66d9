"""Holds every #include under src/ against design.md section 3: which folder may include which, and which third-party
header has which room. Prints `ok NAME` or `not ok NAME: where`.

The link of the unit tests holds the same arrows for what is called; this holds them for what is only read.
"""

import pathlib
import re
import sys

SRC = pathlib.Path(__file__).resolve().parent.parent / "src"

# The arrows as they stand in design.md. "May include" reaches through: net -> os -> base, so net may include base.
ARROWS = {
    "base": (),
    "os": ("base",),
    "log": ("os",),
    "config": ("os",),
    "net": ("os",),
    "ipc": ("os",),
    "launch": ("ipc",),
    "http": ("net",),
    "app": ("http", "log", "ipc"),  # of ipc as ctl, and in app/status alone
    "worker": ("app", "ipc", "net", "config", "log"),
    "master": ("ipc", "net", "config", "log"),
    "ctl": ("ipc",),
    "main": ("config", "master", "worker"),
}

# What an include line starts with -> the only files that may hold it (a path below src/ starts with it, or with one of
# them).
ROOMS = {
    "toml++/": "config/reader",
    "spdlog/": "log/",
    "systemd/": "os/",
    "llhttp": "http/parser",
    "CLI/": ("main/", "ctl/"),
    "Python.h": "app/wsgi/",
    "nlohmann/": ("ipc/control_", "ctl/"),
    "catch2/": "(tests only)",
}

# base makes no system calls, so it needs none of their headers.
SYSTEM_CALL_HEADERS = re.compile(r"<(sys/|linux/|netinet/|arpa/|unistd\.h|fcntl\.h|signal\.h|poll\.h|csignal)")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"][^">]+[">])')


def allowed_from(folder: str) -> set[str]:
    """The folder itself and all that its arrows reach."""
    reached, waiting = set(), [folder]
    while waiting:
        current = waiting.pop()
        if current not in reached:
            reached.add(current)
            waiting.extend(ARROWS.get(current, ()))
    return reached


def includes(path: pathlib.Path) -> list[tuple[int, str]]:
    """(line, what stands between the brackets or quotes, first bracket or quote kept)."""
    found = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if match := INCLUDE.match(line):
            found.append((number, match[1]))
    return found


def below_src(path: pathlib.Path) -> str:
    return path.relative_to(SRC).as_posix()


def check_arrows(folder: str, files: list[pathlib.Path]) -> list[str]:
    wrong = []
    allowed = allowed_from(folder)
    for path in files:
        for number, include in includes(path):
            if not include.startswith('"'):
                continue
            name = include.strip('"')
            target = name.partition("/")[0]
            if "/" not in name or name.startswith("."):
                wrong.append(f"{below_src(path)}:{number} includes {include} without its path from src/")
            elif target in ARROWS and target not in allowed:
                wrong.append(f"{below_src(path)}:{number} includes {include}, and {folder} has no arrow to {target}")
    return wrong


def check_room(prefix: str, room: str | tuple[str, ...], files: list[pathlib.Path]) -> list[str]:
    return [f"{below_src(path)}:{number} includes {include}, whose room is {room}"
            for path in files for number, include in includes(path)
            if include[1:].startswith(prefix) and not below_src(path).startswith(room)]


def check_clients_know_the_protocol_alone(files: list[pathlib.Path]) -> list[str]:
    """Of ipc/, prongctl and the status pages use what is said to the master as to any client, and nothing else that
    crosses the fork; the other applications use nothing of it."""
    def may(name: str, include: str) -> bool:
        return include.startswith('"ipc/control') and name.startswith(("ctl/", "app/status/"))

    return [f"{below_src(path)}:{number} includes {include}"
            for path in files if below_src(path).startswith(("ctl/", "app/"))
            for number, include in includes(path)
            if include.startswith('"ipc/') and not may(below_src(path), include)]


def check_base_makes_no_system_calls(files: list[pathlib.Path]) -> list[str]:
    return [f"{below_src(path)}:{number} includes {include}"
            for path in files if below_src(path).startswith("base/")
            for number, include in includes(path) if SYSTEM_CALL_HEADERS.match(include)]


def check_pragma_once(files: list[pathlib.Path]) -> list[str]:
    return [below_src(path) for path in files
            if path.suffix == ".hpp" and "#pragma once" not in path.read_text().splitlines()]


def check_folders_known(folders: list[str]) -> list[str]:
    return [f"src/{folder} is not in design.md's table" for folder in folders if folder not in ARROWS]


def check_fork_stands_once(files: list[pathlib.Path]) -> list[str]:
    """fork() is called in one place of os/ (style.md), where the flushing, the mask and _exit are seen to."""
    call = re.compile(r"(?<![\w.>])(::)?v?fork\(\)")
    calls = []
    for path in files:
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if call.search(re.sub(r'//.*|"[^"]*"', "", line)):
                calls.append(f"{below_src(path)}:{number}")
    return [place for place in calls if not place.startswith("os/")] or (calls if len(calls) > 1 else [])


def check_no_cycles(files: list[pathlib.Path]) -> list[str]:
    """No header reaches itself through its includes."""
    edges = {below_src(path): [include.strip('"') for _, include in includes(path) if include.startswith('"')]
             for path in files if path.suffix == ".hpp"}
    done, cycles = set(), []

    def visit(header: str, trail: list[str]) -> None:
        if header in trail:
            cycles.append(" -> ".join([*trail[trail.index(header):], header]))
        elif header not in done:
            for target in edges.get(header, ()):
                visit(target, [*trail, header])
            done.add(header)

    for header in edges:
        visit(header, [])
    return cycles


def main() -> int:
    files = sorted(path for path in SRC.rglob("*") if path.suffix in (".cpp", ".hpp", ".c", ".h"))
    folders = sorted({below_src(path).partition("/")[0] for path in files})
    results = {f"src/{folder} includes only what its arrow allows":
               check_arrows(folder, [path for path in files if below_src(path).startswith(f"{folder}/")])
               for folder in folders}
    results |= {f"{prefix} is included only in {room}": check_room(prefix, room, files)
                for prefix, room in ROOMS.items()}
    results["every folder of src/ is in the table"] = check_folders_known(folders)
    results["of src/ipc, src/ctl and src/app/status include the control protocol alone, and the rest of src/app nothing"] = \
        check_clients_know_the_protocol_alone(files)
    results["src/base makes no system calls"] = check_base_makes_no_system_calls(files)
    results["every header has #pragma once"] = check_pragma_once(files)
    results["fork() stands once, in os/"] = check_fork_stands_once(files)
    results["no header includes itself through others"] = check_no_cycles(files)
    for name, wrong in results.items():
        print(f"not ok {name}: " + "; ".join(wrong) if wrong else f"ok {name}")
    return 1 if any(results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
