"""Completion of prongctl, driven in the shells themselves: bash, zsh and fish offer every verb, and the names of the pools
that the daemon has."""

import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

from harness import LIMIT, PRONGCTL
from limits import TOP

FOLDER = TOP / "src/ctl/completion"

# Run by an interactive zsh: Tab tells on descriptor FD what would be offered, and then END. What completion functions
# look for by themselves (-O, -A, -D) adds nothing.
ZSH = """
fpath=(FOLDER $fpath)
autoload -Uz compinit
compinit -u -D
compadd() {
  local -a offered
  if [[ " ${@[1,(i)(-|--)]} " != *" -"(O|A|D)" "* ]]; then
    builtin compadd -O offered "$@"
    (( $#offered )) && print -u FD -l -- $offered
  fi
  builtin compadd "$@"
}
offer() { _main_complete; print -u FD END }
zle -C offer complete-word offer
bindkey '^I' offer
print -u FD END
"""


class Bash:
    def __init__(self, environment, session):
        self.environment = environment

    def offers(self, *words):
        """For the last word."""
        quoted = " ".join(word or "''" for word in words)
        command = (f". {FOLDER}/prongctl.bash; COMP_WORDS=(prongctl {quoted}); COMP_CWORD={len(words)}; "
                   "_prongctl; printf '%s\\n' \"${COMPREPLY[@]}\"")
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=self.environment,
                              timeout=LIMIT, check=True)
        assert not done.stderr
        return done.stdout.split()

    def close(self):
        pass


class Fish:
    def __init__(self, environment, session):
        self.environment = environment | {"HOME": str(session.folder), "TERM": "dumb"}

    def offers(self, *words):
        command = f"source {FOLDER}/prongctl.fish; complete -C 'prongctl {' '.join(words)}'"
        done = subprocess.run(["fish", "--no-config", "-c", command], capture_output=True, text=True,
                              env=self.environment, timeout=LIMIT, check=True)
        assert not done.stderr
        return [line.partition("\t")[0] for line in done.stdout.splitlines()]

    def close(self):
        pass


class Zsh:
    """Its completion works in an editor on a terminal alone, so it gets one."""

    def __init__(self, environment, session):
        self.answers, writer = os.pipe()
        script = session.folder / "completion.zsh"
        script.write_text(ZSH.replace("FOLDER", str(FOLDER)).replace("FD", str(writer)))
        self.terminal, end = pty.openpty()
        self.shell = subprocess.Popen(["zsh", "-f", "-i"], stdin=end, stdout=end, stderr=end, pass_fds=[writer],
                                      env=environment | {"HOME": str(session.folder), "TERM": "dumb"}, start_new_session=True)
        session.helpers.append(self.shell)
        os.close(end)
        os.close(writer)
        self.text = b""
        self._write(f"source {script}\n")
        self._answer()

    def offers(self, *words):
        self._write(f"prongctl {' '.join(words)}\t")
        offered = self._answer()
        self._write("\x15")  # ^U: an empty line again
        return offered

    def _write(self, text):
        os.write(self.terminal, text.encode())

    def _answer(self):
        """What came up to END. What the terminal shows is read away, so that the shell is never held up."""
        deadline, shown = time.monotonic() + LIMIT, b""
        while b"END\n" not in self.text:
            ready = select.select([self.answers, self.terminal], [], [], max(0, deadline - time.monotonic()))[0]
            assert ready, f"zsh did not answer; it showed {shown!r}"
            if self.terminal in ready:
                shown += os.read(self.terminal, 4096)
            if self.answers in ready:
                part = os.read(self.answers, 4096)
                assert part, f"zsh has ended; it showed {shown!r}"
                self.text += part
        answer, _, self.text = self.text.partition(b"END\n")
        return answer.decode().splitlines()

    def close(self):
        os.close(self.answers)
        os.close(self.terminal)


@pytest.fixture(params=[Bash, Zsh, Fish], ids=lambda shell: shell.__name__.lower())
def shell(request, session):
    name = request.param.__name__.lower()
    if shutil.which(name) is None:
        pytest.skip(f"no {name} here (the Debian package {name})")
    environment = {"PATH": f"{os.path.dirname(PRONGCTL)}:{os.environ['PATH']}",
                   "RUNTIME_DIRECTORY": str(session.folder / "r0")}
    made = request.param(environment, session)
    yield made
    made.close()


def help_of(*verb):
    return subprocess.run([PRONGCTL, *verb, "--help"], capture_output=True, text=True, check=True).stdout


def verbs_of_prongctl():
    """Each with its options."""
    shown = help_of()
    verbs = re.findall(r"^  ([a-z-]+) ", shown[shown.index("Subcommands:"):], re.M)
    return {verb: set(re.findall(r"^  (?:-\w,)?(--[a-z-]+)", help_of(verb), re.M)) for verb in verbs}


def test_every_verb_and_the_pools_of_the_daemon_are_completed(session, shell):
    daemon = session.start(session.pool() + session.pool("other"))
    assert str(daemon.runtime_directory) == str(session.folder / "r0")
    verbs = verbs_of_prongctl()
    assert len(verbs) > 10 and set(verbs) <= set(shell.offers(""))
    assert {"reload", "recycle", "resume", "reopen-logs"} == set(shell.offers("re"))
    assert verbs["stop"] == {"--help", "--fast", "--no-wait"}
    for verb, options in verbs.items():
        assert options - {"--help"} <= {word.rstrip("=") for word in shell.offers(verb, "--")}, verb
    for verb in [verb for verb in verbs if re.search("^  POOL", help_of(verb), re.M)]:
        assert {"files", "other"} <= set(shell.offers(verb, "")), verb
        assert set(shell.offers(verb, "o")) == {"other"}, verb
    assert not {"files", "other"} & set(shell.offers("config", ""))
    assert set(shell.offers("reload", "--p")) == {"--plan"}
    assert {"debug", "info", "warn", "error"} <= set(shell.offers("log-level", ""))
    assert set(shell.offers("--json", "sc")) == {"scale"}


def test_codes_are_completed_and_without_a_daemon_there_are_no_pools(session, shell):
    assert {"PR0301", "PR0302"} <= set(shell.offers("explain", "PR03"))
    assert not [word for word in shell.offers("explain", "PR03") if not word.startswith("PR03")]
    assert not [word for word in shell.offers("status", "") if not word.startswith("-")]
