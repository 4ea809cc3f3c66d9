"""Makes page.cpp of page.html: the text of the page, and the policy under which a browser runs its style and script.

usage: embed.py PAGE OUTPUT

g++ 12 has no #embed, and a file beside the binary could be missing or be of another version.
"""

import base64
import hashlib
import re
import sys
from pathlib import Path

CHUNK = 96  # bytes of the page in a line of the output


def hashes(page, element):
    """The sources of a directive of the policy (CSP3, section 2.3.1): each inline element, by its hash."""
    found = re.findall(rf"<{element}\b[^>]*>(.*?)</{element}>", page, re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in found)


def policy(page):
    directives = ["default-src 'none'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'",
                  "frame-ancestors 'none'"]
    for element in ("style", "script"):
        if sources := hashes(page, element):
            directives.append(f"{element}-src {sources}")
    if "data:image/" in page:
        directives.append("img-src data:")
    return "; ".join(directives)


def literal(data):
    """C++ string literals, one a line, of exactly these bytes."""
    def escape(byte):
        char = chr(byte)
        return "\\" + char if char in "\"\\?" else char if 32 <= byte < 127 else f"\\{byte:03o}"
    lines = ["".join(map(escape, data[start:start + CHUNK])) for start in range(0, len(data), CHUNK)]
    return "\n".join(f'    "{line}"' for line in lines) or '    ""'


def main():
    source, target = map(Path, sys.argv[1:])
    data = source.read_bytes()
    target.write_text(f"""// Made by embed.py of {source.name}.
#include "app/status/page.hpp"

namespace prong::app {{

const std::string_view kStatusPage{{
{literal(data)},
    {len(data)}}};

const std::string_view kStatusPageSecurityPolicy{{
{literal(policy(data.decode()).encode())}}};

}}  // namespace prong::app
""")


if __name__ == "__main__":
    main()
