"""Holds the codes of the log together: each one of src/base/message_code.hpp is in the table, is used by the source, and
at the level that the table tells; none is written into a text by hand. Prints `ok NAME` or `not ok NAME: where`.

That every line has one is the compiler's business (log/log.hpp), and the unit tests look at the texts. The system tests
hold every line that they see against the table (test/system/harness.py).
"""

import pathlib
import re
import sys

SRC = pathlib.Path(__file__).resolve().parent.parent / "src"
HEADER = SRC / "base" / "message_code.hpp"
TABLE = SRC / "base" / "message_table.cpp"

CODE = re.compile(r"^  (k\w+) = (\d+),", re.M)
ENTRY = re.compile(r"\.code = (k\w+),\s*\.level = k(Warn|Error),")
USE = re.compile(r"MessageCode::(k\w+)")
# The level and the code of a line, in one call. Codes that are chosen elsewhere (obituaries) are not seen.
CALL = re.compile(r"(?:\b(warn|error)\(|Coded::k(Warn|Error), )\s*(?:[\w.]+ == \w+ \? |\w+ \? )?MessageCode::(k\w+)"
                  r"(?:\s*: MessageCode::(k\w+))?")


def sources() -> list[pathlib.Path]:
    return [path for path in sorted(SRC.rglob("*")) if path.suffix in (".cpp", ".hpp") and path not in (HEADER, TABLE)]


def check_table(codes: dict[str, int], levels: dict[str, str]) -> list[str]:
    order = list(levels)
    wrong = [f"{name} is not in the table" for name in codes if name not in levels]
    return wrong or ([] if order == list(codes) else ["the table has another order than the header"])


def check_used(codes: dict[str, int]) -> list[str]:
    used = {name for path in sources() for name in USE.findall(path.read_text())}
    return [f"{name} is used nowhere" for name in codes if name not in used]


def check_levels(levels: dict[str, str]) -> list[str]:
    wrong = []
    for path in sources():
        for call in CALL.finditer(path.read_text()):
            level = (call[1] or call[2]).lower()
            wrong += [f"{path.relative_to(SRC)} writes {name} as {level}" for name in (call[3], call[4])
                      if name and levels.get(name) != level]
    return wrong


def check_not_by_hand() -> list[str]:
    return [f"{path.relative_to(SRC)} has {found[0]}" for path in sources() for found in
            re.finditer(r"\[PR\d{4}\]", path.read_text())
            if path.name != "message_code.cpp" and not path.relative_to(SRC).as_posix().startswith("ctl/")]


def main() -> int:
    codes = {name: int(number) for name, number in CODE.findall(HEADER.read_text())}
    levels = {name: level.lower() for name, level in ENTRY.findall(TABLE.read_text())}
    results = {
        "there are codes at all": [] if len(codes) > 50 and len(levels) > 50 else ["the patterns of this test are wrong"],
        "every code is in the table, in order": check_table(codes, levels),
        "every code is used": check_used(codes),
        "every code is written at its level": check_levels(levels),
        "no code is written into a text by hand": check_not_by_hand(),
    }
    for name, wrong in results.items():
        print(f"not ok {name}: " + "; ".join(wrong) if wrong else f"ok {name}")
    return 1 if any(results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
