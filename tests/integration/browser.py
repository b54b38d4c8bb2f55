# Drives a headless Chromium over its debugging pipe, and notes what it asked for and what went wrong in it.
import base64
import json
import os
import select
import shutil
import subprocess
import time

from harness import Process, until

NAMES = ("chromium-headless-shell", "chromium", "google-chrome", "chrome")
ANSWER_S = 30.0


def find_browser():
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser(Process):
    """One page. `requests` are the URLs that it asked for, `problems` its exceptions, errors and failed loads."""

    def __init__(self, width=1180, height=900, dark=False):
        super().__init__()
        self.size, self.dark = (width, height), dark
        self.requests, self.problems = [], []
        self.number, self.buffer, self.session, self.loaded = 0, b"", None, False

    def start(self):
        to_browser, self.sender = os.pipe()
        self.receiver, from_browser = os.pipe()
        # Chromium reads commands at descriptor 3 and writes its answers at 4.
        argv = [find_browser(), "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
                f"--user-data-dir={self.directory}/profile"]
        command = ["/bin/sh", "-c", f'exec "$@" 3<&{to_browser} 4>&{from_browser}', "sh", *argv]
        self.launch(command, pass_fds=(to_browser, from_browser))
        os.close(to_browser)
        os.close(from_browser)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.resize(*self.size)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if self.dark else "light"}])

    def stop(self):
        if self.running():
            self.child.terminate()
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()
        for descriptor in (self.sender, self.receiver):
            os.close(descriptor)

    def resize(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 600)

    def call(self, method, **parameters):
        """Sends a command and gives its result; what is told meanwhile is noted."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.sender, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + ANSWER_S
        while (answer := self.receive(deadline)).get("id") != self.number:
            self.note(answer)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]

    def receive(self, deadline):
        while b"\0" not in self.buffer:
            if not select.select([self.receiver], [], [], max(0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"the browser did not answer: {self.output()[-2000:]}")
            data = os.read(self.receiver, 1 << 20)
            if not data:
                raise AssertionError(f"the browser ended: {self.output()[-2000:]}")
            self.buffer += data
        text, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(text)

    def note(self, event):
        kind, data = event.get("method"), event.get("params", {})
        if kind == "Network.requestWillBeSent":
            self.requests.append(data["request"]["url"])
        elif kind == "Runtime.exceptionThrown":
            self.problems.append(str(data["exceptionDetails"].get("exception", data["exceptionDetails"])))
        elif kind == "Log.entryAdded" and data["entry"]["level"] in ("error", "warning"):
            self.problems.append(f"{data['entry']['text']} {data['entry'].get('url', '')}")
        elif kind == "Runtime.consoleAPICalled" and data["type"] in ("error", "warning", "assert"):
            self.problems.append(str(data["args"]))

    def open(self, url):
        self.call("Page.navigate", url=url)
        until("the page", lambda: self.run("document.readyState") == "complete")

    def run(self, expression):
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def text(self, selector):
        """What a reader sees of the first such element."""
        return self.run(f"document.querySelector({json.dumps(selector)}).innerText")

    def click(self, selector):
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def screenshot(self, path):
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=False)["data"]
        path.write_bytes(base64.b64decode(data))
