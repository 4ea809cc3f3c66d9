"""The checks of `./dev lint`: layout, clang-tidy over every C++ file, syntax of the scripts, generated pages in step.

clang-tidy takes ten seconds a file, so a file that was clean is not read again, in whatever checkout, until something that
it includes, its compile command, a .clang-tidy or clang-tidy itself changes (the digests are remembered in the cache folder).

`deep` is the path-sensitive analysis alone (clang-analyzer-*), which takes as long as all the rest.
"""

import concurrent.futures
import contextlib
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = TOP / "build" / "opt"
CLEAN = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "prongd" / "lint"
# But for one: members stand in the order in which they are explained.
DEEP_CHECKS = "-*,clang-analyzer-*,-clang-analyzer-optin.performance.Padding"
# Warnings of the compiler are those of g++, which the code is built with: clang's own go further in places (inside libstdc++
# 12, at signs that change), and -Werror would make them errors.
CLANG_WARNINGS = ["--extra-arg=-w"]
REMEMBERED_SECONDS = 60 * 24 * 3600
CLANG_TIDY = "clang-tidy-19"
CLANG_FORMAT = "clang-format-19"
CPP_FOLDERS = ("src", "include", "test", "docs", "conf")
CPP_SUFFIXES = (".cpp", ".hpp", ".h")
SHELL_SCRIPTS = ("dev", ".ci/run")
# A single file that takes longer has sent clang-tidy into a loop.
FILE_LIMIT_SECONDS = 300


def output(command: list[str]) -> tuple[int, str]:
    done = subprocess.run(command, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    return done.returncode, done.stdout


def check_format() -> bool:
    files = [str(path.relative_to(TOP)) for folder in CPP_FOLDERS
             for path in sorted((TOP / folder).rglob("*")) if path.suffix in CPP_SUFFIXES]
    status, text = output([CLANG_FORMAT, "--dry-run", "-Werror", *files])
    print(text, end="")
    return status == 0


def cpp_files() -> list[dict]:
    """The entries of the compile database that are ours; the C of llhttp is not."""
    entries = json.loads((BUILD / "compile_commands.json").read_text())
    for entry in entries:
        entry["path"] = (pathlib.Path(entry["directory"]) / entry["file"]).resolve()
    ours = [each for each in entries if each["path"].suffix == ".cpp" and each["path"].is_relative_to(TOP)
            and not each["path"].is_relative_to(TOP / "build")]
    # The longest first, so that no core is left with a long one at the end.
    return sorted(ours, key=lambda each: -each["path"].stat().st_size)


def digest(entry: dict, tool: list[str]) -> str:
    """Of everything that decides what clang-tidy says about this file, and nothing of where the checkout lies; empty when it
    cannot be had."""
    # The compile command with -E -C for -c: the whole text, comments (NOLINT) included.
    words = shlex.split(entry["command"])
    for option in ("-o", "-MQ", "-MF"):
        if option in words:
            del words[words.index(option):words.index(option) + 2]
    kept = [word for word in words if word not in ("ccache", "-c", "-MD")]
    text = subprocess.run([*kept, "-E", "-C", "-fno-working-directory"], cwd=entry["directory"], capture_output=True,
                          check=False)
    if text.returncode != 0:
        return ""
    configs = b"".join(path.read_bytes() for path in sorted(TOP.rglob(".clang-tidy")))
    return hashlib.sha256(b"\0".join([*map(str.encode, tool), configs, entry["command"].encode(), text.stdout])).hexdigest()


def check_file(entry: dict, version: str, options: list[str]) -> str:
    """What clang-tidy found, or nothing."""
    key = digest(entry, [version, *options])
    if key and (CLEAN / key).exists():
        (CLEAN / key).touch()
        return ""
    try:
        done = subprocess.run([CLANG_TIDY, "-p", str(BUILD), "--quiet", *options, str(entry["path"])], cwd=TOP,
                              capture_output=True, text=True, errors="replace", check=False,
                              timeout=FILE_LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        return f"{entry['path']}: clang-tidy took longer than {FILE_LIMIT_SECONDS} s\n"
    if done.returncode == 0:
        if key:
            (CLEAN / key).touch()
        return ""
    return (done.stdout or done.stderr).replace(f"{TOP}/", "")


def forget_old_digests() -> None:
    for path in CLEAN.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another lint forgets too
            if path.stat().st_mtime < time.time() - REMEMBERED_SECONDS:
                path.unlink()


def check_tidy(is_deep: bool) -> bool:
    CLEAN.mkdir(parents=True, exist_ok=True)
    forget_old_digests()
    version = output([CLANG_TIDY, "--version"])[1]
    options = CLANG_WARNINGS + ([f"--checks={DEEP_CHECKS}"] if is_deep else [])
    clean = True
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for text in pool.map(lambda entry: check_file(entry, version, options), cpp_files()):
            print(text, end="", flush=True)
            clean = clean and not text
    return clean


def check_scripts() -> bool:
    clean = True
    for script in SHELL_SCRIPTS:
        status, text = output(["bash", "-n", script])
        print(text, end="")
        clean = clean and status == 0
    for path in sorted((TOP / "test").rglob("*.py")):
        try:
            compile(path.read_text(), str(path.relative_to(TOP)), "exec")
        except (SyntaxError, ValueError) as error:
            print(f"{path.relative_to(TOP)}: {error}")
            clean = False
    return clean


def check_pages() -> bool:
    status, text = output(["/usr/bin/python3", "test/pages.py"])
    print("".join(line for line in text.splitlines(keepends=True) if not line.startswith("ok ")), end="")
    return status == 0


def main() -> int:
    is_deep = sys.argv[1:] == ["deep"]
    if sys.argv[1:] and not is_deep:
        raise SystemExit("usage: ./dev lint [deep]")
    failed = []
    for name, check in (("layout", check_format), ("scripts", check_scripts), ("pages", check_pages),
                        ("clang-tidy", lambda: check_tidy(is_deep))):
        print(f"== {name}", flush=True)
        if not check():
            failed.append(name)
    print("lint: clean" if not failed else f"lint: failed: {', '.join(failed)}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
