"""The Python half of a worker: loads the application and hands it to prong_worker, which serves it.

Runs on the main thread of an interpreter that prongd's worker has become. What it leaves behind in the interpreter is
what a user would find in a program of his own: sys.argv, sys.path, __main__ and the working directory.
"""

import faulthandler
import gc
import importlib
import os
import sys
import traceback

import prong_worker

DEFAULT_NAME = "application"


def report(exception):
    """Prints an exception as a traceback, without the frames of this file."""
    trace = exception.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    traceback.print_exception(type(exception), exception, trace)
    sys.stderr.flush()


def find_application(name):
    """The callable that "module", "module:name" or "module:factory()" names."""
    module_name, _, path = name.partition(":")
    path = path or DEFAULT_NAME
    is_factory = path.endswith("()")
    found = importlib.import_module(module_name)
    for part in path[:-2].split(".") if is_factory else path.split("."):
        found = getattr(found, part)
    if is_factory:
        found = found()
    if not callable(found):
        raise TypeError(f"{name} is {type(found).__name__}, and no application: it cannot be called")
    return found


def prepare(folders, stack_fd):
    """What a program of the user's would find."""
    sys.argv[:] = ["prongd"]
    working_directory = os.getcwd()
    # "" is the working directory, wherever that will be; the one of now is meant.
    rest = [entry for entry in sys.path if entry not in ("", working_directory) and entry not in folders]
    front = list(dict.fromkeys([*folders, working_directory]))
    sys.path[:] = front + rest
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")
    # A file of the master's, who tells it with the worker's death.
    faulthandler.enable(stack_fd)
    # A child that the application forks has that number no more, or for another file.
    os.register_at_fork(after_in_child=lambda: faulthandler.is_enabled() and faulthandler.enable())


def beside(name):
    """A module that lies beside this one, where sys.path does not lead; of those that only development needs."""
    from importlib.util import module_from_spec, spec_from_file_location
    spec = spec_from_file_location(name, os.path.join(os.path.dirname(__file__), name + ".py"))
    module = module_from_spec(spec)
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    spec.loader.exec_module(module)
    sys.dont_write_bytecode = written
    return module


def reporter_with_pages():
    """report(), which also gives the exception as a page, for clients on this machine."""
    render = beside("prong_debug").render

    def report_and_render(exception):
        report(exception)
        return render(exception)

    return report_and_render


def main(record):
    settings = prong_worker.begin(record)
    prepare(settings["path"], settings["stack"])
    if settings["reload"]:
        # Byte code is believed when the file's second of change and size are the same: not those of two quick saves.
        sys.dont_write_bytecode = True
    if settings["watches"]:
        beside("prong_reload").start([*settings["path"], os.getcwd()])
    try:
        application = find_application(settings["application"])
    except BaseException as error:  # SystemExit too: a module that exits is none
        report(error)
        last = "".join(traceback.format_exception_only(type(error), error)).strip().splitlines()[-1]
        prong_worker.refuse(f"cannot load the application {settings['application']}: {last}")
        sys.exit(1)
    if settings["gc_freeze"]:
        gc.collect()
        gc.freeze()
    sys.exit(prong_worker.serve(application, reporter_with_pages() if settings["debug_errors"] else report))
