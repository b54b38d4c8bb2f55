# SIGUSR1 opens the log file anew: no line is lost, and a file that cannot be opened changes nothing.
import json
import signal
import unittest

from harness import RedisServer, Spillway, until
from wire import Wire


class Rotation(unittest.TestCase):
    def setUp(self):
        self.redis = self.enterContext(RedisServer())
        self.spillway = Spillway(self.redis)
        self.file = self.spillway.directory / "log"
        self.spillway.config["log"]["file"] = str(self.file)
        self.enterContext(self.spillway)

    def reopen(self):
        self.spillway.child.send_signal(signal.SIGUSR1)

    def reload(self):
        self.spillway.request("POST", "/api/v1/reload")

    def events(self, file):
        return [json.loads(line)["event"] for line in file.read_text().splitlines()] if file.exists() else []

    def test_the_next_line_is_in_the_new_file(self):
        old = self.file.with_suffix(".1")
        until("its begin", lambda: "started" in self.events(self.file))
        self.file.rename(old)
        self.reload()
        until("a line in the file that was moved", lambda: "config_reloaded" in self.events(old))
        self.reopen()
        until("the new file", self.file.exists)
        self.reload()
        until("a line in it", lambda: self.events(self.file) == ["config_reloaded"])
        self.assertEqual(self.events(old).count("config_reloaded"), 1)

    def test_a_file_that_cannot_be_opened(self):
        old = self.file.with_suffix(".1")
        until("its begin", lambda: "started" in self.events(self.file))
        self.file.rename(old)
        self.file.mkdir()
        self.reopen()
        until("a word of it", lambda: "goes on in the old file" in old.read_text())
        self.assertIn("(Is a directory)", old.read_text())
        self.reload()
        until("the next line", lambda: "config_reloaded" in self.events(old))

    def test_standard_error_stays(self):
        with Spillway(self.redis) as plain:
            plain.child.send_signal(signal.SIGUSR1)
            plain.request("POST", "/api/v1/reload")
            plain.record("config_reloaded")


class Journal(unittest.TestCase):
    def lines(self, stream):
        redis = self.enterContext(RedisServer(maxmemory="32mb"))
        spillway = Spillway(redis, guard={"mode": "off"}, log={"format": "text"})
        error = spillway.directory / "err"
        error.touch()
        status = error.stat()
        spillway.env["JOURNAL_STREAM"] = stream.format(device=status.st_dev, inode=status.st_ino)
        self.enterContext(spillway)
        redis.fill(1)
        with Wire(spillway.endpoint) as wire:
            wire.command("SET", "k", "x" * 100_000)
        until("a record of many lines", lambda: "advice" in spillway.output())
        return spillway.output().splitlines()

    def test_each_line_has_its_level(self):
        lines = self.lines("{device}:{inode}")
        self.assertEqual({line[:3] for line in lines} - {"<3>", "<4>", "<6>"}, set())
        self.assertTrue(all(line.startswith("<6>") for line in lines if " INFO " in line[:40]))
        oom = next(n for n, line in enumerate(lines) if " WARN " in line and " oom " in line)
        self.assertEqual([line[:3] for line in lines[oom:oom + 4]], ["<4>"] * 4)  # its block, too

    def test_another_stream_has_none(self):
        self.assertFalse(any(line.startswith("<") for line in self.lines("{device}:1{inode}")))


if __name__ == "__main__":
    unittest.main()
