"""For development: an exception as a page. It refers to nothing outside itself, and runs nothing."""

import html
import linecache
import os
import traceback

CONTEXT = 4  # lines before and after the one that counts

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 62em; padding: 0 1em; }
h1 { font-size: 1.4em; overflow-wrap: anywhere; } h1 small { color: #777; display: block; font-size: .65em; }
h2 { font-size: 1em; font-weight: normal; margin: 1.6em 0 .3em; } .library h2 { color: #888; }
pre { background: #f5f5f5; border-radius: 4px; font: 13px/1.45 ui-monospace, monospace; margin: 0; overflow: auto;
  padding: .7em; } pre b { background: #ffe08a; font-weight: normal; }
footer { color: #777; margin: 2em 0; }
@media (prefers-color-scheme: dark) { body { background: #1b1b1b; color: #ddd; } pre { background: #282828; }
  pre b { background: #6b5500; } }
"""


def frames_of(exception):
    """Oldest first, as a traceback has them: (file, line, function)."""
    found = []
    trace = exception.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        found.append((code.co_filename, trace.tb_lineno, code.co_name))
        trace = trace.tb_next
    return found


def is_library(file):
    return file.startswith("<") or "site-packages" in file or "dist-packages" in file or file.startswith(
        os.path.dirname(os.__file__))


def source_around(file, line):
    shown = []
    for number in range(max(1, line - CONTEXT), line + CONTEXT + 1):
        text = linecache.getline(file, number)
        if text:
            row = html.escape(f"{number:5}  {text.rstrip()}")
            shown.append(f"<b>{row}</b>" if number == line else row)
    return "\n".join(shown)


def frame_section(file, line, function):
    source = source_around(file, line)
    body = f"<pre>{source}</pre>" if source else ""
    place = html.escape(f"{file}, line {line}, in {function}")
    return f'<section{" class=library" if is_library(file) else ""}><h2>{place}</h2>{body}</section>'


def render(exception):
    """The page, UTF-8."""
    linecache.checkcache()
    title = "".join(traceback.format_exception_only(type(exception), exception)).strip()
    last = html.escape(title.splitlines()[-1] if title else type(exception).__name__)
    whole = "".join(traceback.format_exception(type(exception), exception, exception.__traceback__))
    sections = "\n".join(frame_section(*frame) for frame in reversed(frames_of(exception)))
    page = (f"<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8><title>{last}</title><style>{STYLE}</style></head>"
            f"\n<body><h1>{last}<small>The application raised an exception.</small></h1>\n"
            f"{sections}\n<h2>As in the log</h2>\n<pre>{html.escape(whole)}</pre>\n"
            "<footer>Shown because of debug_errors, and only to clients on this machine.</footer></body></html>\n")
    return page.encode("utf-8", "backslashreplace")
