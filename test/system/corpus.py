"""Reads the raw requests of test/corpus/http; the format is told in the README.md there. test/unit/http_corpus.cpp reads
them too."""

import re
from dataclasses import dataclass, field

from limits import TOP

ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|(.))")
ESCAPED = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}


@dataclass
class Answer:
    status: int
    method: str  # as the application sees it; of a refusal only "HEAD" or nothing
    refused: bool
    connection: str | None = None  # the answer's field, if it matters


@dataclass
class Entry:
    name: str
    limits: dict = field(default_factory=dict)  # the keys of the table http
    app: str = "any"
    wrong: bool = False
    data: bytes = b""
    answers: list = field(default_factory=list)
    end: str = ""

    @property
    def refused(self):
        return bool(self.answers) and self.answers[-1].refused


def unescape(text):
    return ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else ESCAPED[m[2]], text).encode("latin-1")


def _answer(text):
    status, _, rest = text.partition(" ")
    if not rest or rest.startswith("to "):
        return Answer(int(status), rest.removeprefix("to "), refused=True)
    return Answer(int(status), rest.split(" ")[0], refused=False)


def _limit(text):
    key, _, value = text.partition("=")
    return key, int(value) if key == "max_headers" else value


def _take(entry, line):
    if line.startswith(">"):
        count, _, text = line[1:].partition(" ")
        entry.data += unescape(text) * int(count or "1")
        return
    if line.startswith("< "):
        entry.answers.append(_answer(line[2:]))
        return
    key, _, value = line.partition(":")
    value = value.strip()
    if key == "  connection":
        entry.answers[-1].connection = value
    elif key == "limits":
        entry.limits = dict(map(_limit, value.split()))
    elif key == "app":
        entry.app = value
    elif key == "wrong":
        entry.wrong = True
    elif key == "then":
        entry.end = value


def read():
    """All entries of all files."""
    entries = []
    for path in sorted((TOP / "test/corpus/http").glob("*.txt")):
        for line in path.read_text(encoding="ascii").splitlines():
            if line.startswith("["):
                entries.append(Entry(line[1:-1]))
            elif line and not line.startswith("#"):
                _take(entries[-1], line)
    for entry in entries:
        entry.end = entry.end or ("close" if entry.refused else "open")
    return entries
