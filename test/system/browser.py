"""A headless Chromium that a test drives, and nothing of it left behind.

It is started through a chromedriver of our own: that one adopts whatever Chromium orphans (PR_SET_CHILD_SUBREAPER), so
that all its processes stay below one pid, which the harness is told of. Profile, home and cache lie in a folder that
goes with it. It resolves no names and uses no proxy, so that it can reach nothing but loopback.
"""

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from urllib.parse import urlsplit

import harness
from limits import LIMIT

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
PACKAGES = "chromium, chromium-driver, python3-selenium"
SWITCHES = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--no-proxy-server", "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-extensions", "--disable-breakpad", "--disable-default-apps", "--hide-scrollbars", "--mute-audio",
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--window-size=1400,1000"]


def is_there():
    """Whether all that is needed is installed."""
    return (os.access(CHROMIUM, os.X_OK) and os.access(DRIVER, os.X_OK)
            and importlib.util.find_spec("selenium") is not None)


class Browser:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="prongd-browser-")
        places = {name: self.folder for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "TMPDIR")}
        self._driver_process = subprocess.Popen(
            [DRIVER, "--port=0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=dict(os.environ, **places), start_new_session=True, preexec_fn=harness.become_subreaper)
        harness.OUTLIVING.add(self._driver_process.pid)
        self._driver = None
        try:
            self._start()
        except BaseException:
            self.end()
            raise

    def _start(self):
        from selenium import webdriver
        from selenium.webdriver.chromium.remote_connection import ChromiumRemoteConnection

        port = None
        for line in self._driver_process.stdout:
            if match := re.search(r"started successfully on port (\d+)", line):
                port = match[1]
                break
        assert port, "chromedriver did not start"
        # Nobody reads the rest, and nothing that it prints may block it.
        threading.Thread(target=self._driver_process.stdout.read, daemon=True).start()
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for switch in [*SWITCHES, f"--user-data-dir={self.folder}/profile"]:
            options.add_argument(switch)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        connection = ChromiumRemoteConnection(f"http://127.0.0.1:{port}", "goog", "chrome", ignore_proxy=True)
        self._driver = webdriver.Remote(command_executor=connection, options=options)
        self._driver.set_script_timeout(LIMIT)
        self._driver.set_page_load_timeout(LIMIT)

    # --- the page

    def open(self, url):
        """Loads a page afresh; what was logged before is forgotten."""
        self._driver.get("about:blank")
        self.console()
        self.requests()
        self._driver.get(url)

    def run(self, script, *arguments):
        """The value that a script returns."""
        return self._driver.execute_script(script, *arguments)

    def value(self, expression, *arguments):
        return self.run(f"return {expression}", *arguments)

    def wait(self, expression, what, limit=None):
        """Waits until the expression is true in the page, and returns its value."""
        deadline = time.monotonic() + (LIMIT if limit is None else limit)
        pause = threading.Event()  # so as not to take the processor from what is waited for
        while not (found := self.value(expression)):
            if time.monotonic() > deadline:
                raise harness.Late(f"waited in vain for: {what}; the page says:\n{self.text('body')}")
            pause.wait(0.04)
        return found

    def text(self, selector):
        """What a reader sees of the first such element; nothing when there is none."""
        return self.value("document.querySelector(arguments[0])?.innerText ?? null", selector)

    def click(self, selector):
        """With the mouse, so that it must be visible."""
        self._driver.find_element("css selector", selector).click()

    def press(self, key):
        """A key, for what has the focus."""
        self._driver.switch_to.active_element.send_keys(key)

    def console(self):
        """What the page has logged, and what was refused or went wrong in it, since the last call."""
        return [f"{entry['level']}: {entry['message']}" for entry in self._driver.get_log("browser")]

    def requests(self):
        """The addresses that the page has asked for since the last call, also in vain."""
        messages = [json.loads(entry["message"])["message"] for entry in self._driver.get_log("performance")]
        return [message["params"]["request"]["url"] for message in messages
                if message["method"] == "Network.requestWillBeSent"]

    def prefer(self, scheme):
        """"light" or "dark", as the reader's system would say."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self._command("Emulation.setEmulatedMedia", {"features": [feature]})

    def resize(self, width, height):
        self._command("Emulation.setDeviceMetricsOverride",
                      {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def _command(self, command, parameters):
        return self._driver.execute("executeCdpCommand", {"cmd": command, "params": parameters})["value"]

    # --- the end

    def end(self):
        """Ends all its processes; an error when some would not."""
        if self._driver is not None:
            with contextlib.suppress(Exception):  # whatever it is, the processes go
                self._driver.quit()
        pid = self._driver_process.pid
        left = harness.descendants(pid)
        self._driver_process.kill()
        for found in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(found.pid, signal.SIGKILL)
        self._driver_process.wait(LIMIT)
        for found in left:  # they are orphans now, and so children of this process
            with contextlib.suppress(ChildProcessError):
                os.waitpid(found.pid, 0)
        harness.OUTLIVING.discard(pid)
        shutil.rmtree(self.folder, ignore_errors=True)


def origin_of(url):
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
