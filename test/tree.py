"""Holds the tree to its own rules: what the top level may hold, that no source or test is left out of the build, that
links in the documents lead somewhere. Prints `ok NAME` or `not ok NAME: where`.
"""

import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent

TOP_LEVEL = {"meson.build", "meson_options.txt", "src", "include", "systemd", "conf", "test", "docs", "README.md",
             "LICENSE", "dev"}
# Files that a tool looks for at the top under this very name.
TOOL_FILES = {".ci", ".clang-format", ".clang-tidy", ".editorconfig", ".git", ".gitignore", ".gitattributes"}

LINK = re.compile(r"\]\(([^)\s]+)\)")


def tracked_files() -> list[pathlib.Path]:
    """What a clone would hold: tracked, or new and not ignored. Without git (a tarball), all but build/."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            cwd=TOP, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        paths = (TOP / name for name in listed.stdout.split("\0") if name)
        return sorted(path for path in paths if path.is_file())
    return sorted(path for path in TOP.rglob("*") if path.is_file() and path.relative_to(TOP).parts[0] != "build")


def check_top_level(files: list[pathlib.Path]) -> list[str]:
    names = {path.relative_to(TOP).parts[0] for path in files}
    return sorted(names - TOP_LEVEL - TOOL_FILES)


def check_built(files: list[pathlib.Path], folder: str) -> list[str]:
    """Every .cpp stands by name in the meson.build beside it."""
    forgotten = []
    for path in files:
        if path.suffix != ".cpp" or not path.is_relative_to(TOP / folder):
            continue
        build_file = path.parent / "meson.build"
        if not build_file.exists() or f"'{path.name}'" not in build_file.read_text():
            forgotten.append(f"{path.relative_to(TOP)} is not in {build_file.relative_to(TOP)}")
    return forgotten


def check_links(files: list[pathlib.Path]) -> list[str]:
    dead = []
    for path in files:
        if path.suffix != ".md":
            continue
        for target in LINK.findall(path.read_text()):
            file = target.partition("#")[0]
            if "://" not in target and file and not (path.parent / file).exists():
                dead.append(f"{path.relative_to(TOP)} points to {target}")
    return dead


def check_executable(files: list[pathlib.Path]) -> list[str]:
    return [name for name in ("dev", ".ci/run") if not (TOP / name).stat().st_mode & 0o100]


def main() -> int:
    files = tracked_files()
    results = {
        "the top level holds only what it should": check_top_level(files),
        "every source of src/ is built": check_built(files, "src"),
        "every unit test is built": check_built(files, "test/unit"),
        "links in the documents lead somewhere": check_links(files),
        "the entry scripts are executable": check_executable(files),
    }
    for name, wrong in results.items():
        print(f"not ok {name}: " + "; ".join(wrong) if wrong else f"ok {name}")
    return 1 if any(results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
