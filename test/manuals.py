"""The manual pages build, without a complaint of groff, and have everything: each option of prongd, each verb of prongctl
with its options, each signal, each key of the configuration. Prints `ok NAME` or `not ok NAME: why`. PRONGD names the
binary (default: the optimised build).
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from pages import keys_of, output

TOP = pathlib.Path(__file__).resolve().parent.parent
FOLDER = TOP / "docs" / "man"
PRONGD = pathlib.Path(os.environ.get("PRONGD", str(TOP / "build" / "opt" / "src" / "main" / "prongd")))
PRONGCTL = PRONGD.parents[1] / "ctl" / "prongctl"
PAGES = ("prongd.8", "prongctl.1", "prongd.toml.5")

OPTION = re.compile(r"^ +(?:(-\w),)?(--[\w-]+)", re.M)
VERB = re.compile(r"^  ([a-z][\w-]*) +\S", re.M)


def help_of(*command: object) -> str:
    return subprocess.run([*map(str, command), "--help"], capture_output=True, text=True, check=True).stdout


def roff(page: str) -> str:
    return subprocess.run(["scdoc"], input=(FOLDER / f"{page}.scd").read_text(), capture_output=True, text=True,
                          check=True).stdout


def text_of(page: str) -> str:
    """As scdoc's source has it, without its marks."""
    return re.sub(r"\\(.)", r"\1", (FOLDER / f"{page}.scd").read_text().replace("*", ""))


def entries_of(page: str) -> set[str]:
    """The words of the lines that an indented text explains."""
    lines = (FOLDER / f"{page}.scd").read_text().splitlines()
    heads = [line for line, after in zip(lines, lines[1:]) if line.startswith("*") and after.startswith("\t")]
    return {word.replace("\\", "") for line in heads for word in re.findall(r"\*([^*]+)\*", line)}


def check_builds(page: str) -> str:
    text = roff(page)
    if shutil.which("man") is None:
        return "" if ".SH NAME" in text else "it has no NAME"
    with tempfile.TemporaryDirectory(prefix="prongd-man-") as folder:
        file = pathlib.Path(folder) / page
        file.write_text(text)
        done = subprocess.run(["man", "--warnings", "-l", str(file)], capture_output=True, text=True, check=True,
                              env=dict(os.environ, MANWIDTH="100", LC_ALL="C.UTF-8", MANPAGER="cat"))
    # A mark that is left was not closed, or stands for a character that was not escaped.
    marks = re.findall(r"(?<![\w*])[*_]\w\S*[*_](?![\w*])|\\[*_]", done.stdout)
    return done.stderr.strip() or (f"marks are left: {', '.join(marks)}" if marks else "")


def missing(page: str, wanted: set[str], there: set[str]) -> str:
    lacking = sorted(wanted - there)
    return f"not in {page}: {', '.join(lacking)}" if lacking else "" if wanted else "nothing was looked for"


def check_options(page: str, program: pathlib.Path) -> str:
    wanted = {name for pair in OPTION.findall(help_of(program)) for name in pair if name}
    return missing(page, wanted, entries_of(page))


def verbs() -> set[str]:
    return set(VERB.findall(help_of(PRONGCTL).partition("Subcommands:\n")[2].partition("\n\n")[0]))


def check_verb_options() -> str:
    """In the line of the verb, where the arguments stand too."""
    lines = text_of("prongctl.1").splitlines()
    for verb in sorted(verbs()):
        heads = [line for line, after in zip(lines, lines[1:]) if after.startswith("\t") and line.split(" ")[0] == verb]
        options = {name for _, name in OPTION.findall(help_of(PRONGCTL, verb))} - {"--help"}
        if not heads or any(option not in heads[0] for option in options):
            return f"not in the line of {verb}: {', '.join(sorted(options))}"
    return ""


def check_signals() -> str:
    wanted = set(re.findall(r"^\| ([A-Z0-9]+) \|", output("--dump-reference", "signals"), re.M))
    return missing("prongd.8", wanted, entries_of("prongd.8"))


def check_keys() -> str:
    return missing("prongd.toml.5", keys_of(json.loads(output("--dump-schema"))), entries_of("prongd.toml.5"))


def main() -> int:
    checks = {f"{page} builds and is printed without a warning": lambda page=page: check_builds(page) for page in PAGES}
    checks["prongd.8 has every option"] = lambda: check_options("prongd.8", PRONGD)
    checks["prongctl.1 has every option"] = lambda: check_options("prongctl.1", PRONGCTL)
    checks["prongctl.1 has every verb"] = lambda: missing("prongctl.1", verbs(), entries_of("prongctl.1"))
    checks["prongctl.1 has every option of every verb"] = check_verb_options
    checks["prongd.8 has every signal"] = check_signals
    checks["prongd.toml.5 has every key"] = check_keys
    failed = False
    for name, check in checks.items():
        try:
            wrong = check()
        except (OSError, subprocess.CalledProcessError, ValueError) as error:
            wrong = f"{error} {getattr(error, 'stderr', None) or ''}".strip()
        failed = failed or bool(wrong)
        print(f"not ok {name}: {wrong}" if wrong else f"ok {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
