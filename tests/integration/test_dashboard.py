# The dashboard: what it serves, and what a browser shows of a real burst at a real Redis of 64 MB.
import re
import threading
import unittest
import urllib.parse

from browser import Browser, find_browser
from harness import RedisServer, Spillway, until
from test_guard import Load
from wire import Wire

HOSTILE = "<img/src=x/onerror=document.title='owned'>"


class DashboardTest(unittest.TestCase):
    def start(self, **sections):
        self.redis = self.enterContext(RedisServer(maxmemory="64mb", maxmemory_policy="noeviction"))
        self.spillway = self.enterContext(Spillway(self.redis, **sections))
        self.url = f"http://127.0.0.1:{self.spillway.admin_port}/"


class Served(DashboardTest):
    def setUp(self):
        self.start()

    def names(self):
        """The files that the page names, and those that they import."""
        page = self.spillway.get("/")[1]
        names = set(re.findall(r'(?:src|href)="(dashboard/[^"]+)"', page))
        for name in list(names):
            names.update("dashboard/" + name for name in re.findall(r'from "\./([^"]+)"', self.spillway.get("/" + name)[1]))
        return sorted(names)

    def test_every_file_with_its_type_policy_and_tag(self):
        self.assertGreaterEqual(len(self.names()), 5)
        for path in ("/", *("/" + name for name in self.names())):
            with self.subTest(path):
                status, body, headers = self.spillway.get(path)
                self.assertEqual((status, bool(body)), (200, True))
                wanted = {"css": "text/css", "js": "text/javascript"}.get(path.rpartition(".")[2], "text/html")
                self.assertEqual(headers["Content-Type"], f"{wanted}; charset=utf-8")
                self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
                policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
                self.assertEqual((policy["default-src"], policy["script-src"]), ("'none'", "'self'"))
                self.assertEqual(policy["frame-ancestors"], "'none'")
                again = self.spillway.request("GET", path, headers={"If-None-Match": headers["ETag"]})
                self.assertEqual((again[0], again[1], again[2]["ETag"]), (304, "", headers["ETag"]))
                self.assertEqual(self.spillway.request("GET", path, headers={"If-None-Match": '"other"'})[0], 200)

    def test_no_file_of_another_name(self):
        for name in ("", "nosuch.js", "..%2f..%2fetc%2fpasswd", "index.htm", "page.js/x"):
            self.assertEqual(self.spillway.get("/dashboard/" + name)[0], 404, name)

    def test_data_never_becomes_markup(self):
        for name in self.names():
            text = self.spillway.get("/" + name)[1]
            self.assertEqual(re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|https?://(?!www\.w3\.org)",
                                        text), [], name)


@unittest.skipUnless(find_browser(), "no Chromium is installed (Debian package chromium-headless-shell)")
class Shown(DashboardTest):
    def browse(self, **options):
        self.browser = self.enterContext(Browser(**options))
        self.browser.open(self.url)
        self.shows("#live", "^live$")
        return self.browser

    def shows(self, selector, pattern, seconds=20):
        return until(f"{pattern!r} at {selector}", lambda: re.search(pattern, self.browser.text(selector)), seconds)

    def assert_clean(self):
        """No error, and nothing was asked of anybody else."""
        self.assertEqual(self.browser.problems, [])
        hosts = {urllib.parse.urlsplit(url).netloc for url in self.browser.requests if not url.startswith("data:")}
        self.assertEqual(hosts, {f"127.0.0.1:{self.spillway.admin_port}"})

    def assert_fits(self):
        self.assertLessEqual(self.browser.run("document.documentElement.scrollWidth"),
                             self.browser.run("document.documentElement.clientWidth"))

    def assert_numbers_are_seen(self, *tables):
        """Names give way to numbers: none of these lies where one would have to scroll."""
        for selector in tables:
            outside = self.browser.run(f"""[...document.querySelectorAll('{selector} td.number')].filter((cell) =>
                cell.getBoundingClientRect().right > cell.closest('.scroll').getBoundingClientRect().right + 1)
                .map((cell) => cell.parentElement.innerText)""")
            self.assertEqual(outside, [], selector)
            self.assertGreater(self.browser.run(f"document.querySelectorAll('{selector} td.number').length"), 0, selector)

    def test_before_anything_happened(self):
        self.start()
        self.browse(width=375, height=800)
        self.shows("#state", "^plenty$")
        self.shows("#incidents", "No incident since the start")
        self.shows("#growth", "Nothing has grown yet")
        self.shows("#verdicts", "No command was held or refused")
        self.shows("#forecast", "Not growing")
        self.assert_fits()
        self.browser.run("for (const each of document.querySelectorAll('details')) each.open = true")
        self.shows("#clients", "No client is connected")
        self.shows("#config", "throttle_at")
        self.assert_fits()
        self.assert_clean()

    def test_a_burst(self):
        self.start(guard={"horizon": "2s", "rule": [
            {"name": "drain", "clients": ["worker-*"], "priority": "critical"},
            {"name": "analytics", "keys": ["events:*"], "priority": "sheddable"}]})
        self.redis.fill(0.5)
        self.browse(dark=True)
        self.shows("#share", r"^\d\d\.\d %")
        wire = self.enterContext(Wire(self.spillway.endpoint))
        wire.command("CLIENT", "SETNAME", HOSTILE)
        wire.command("SET", HOSTILE, "x" * 100_000)
        for name in ("checkout", "analytics", "worker-1"):
            other = self.enterContext(Wire(self.spillway.endpoint))
            other.command("CLIENT", "SETNAME", name)
            other.pipeline([("SET", f"{'events' if name == 'analytics' else 'session'}:{n}", "v" * 1000)
                            for n in range(2000)])
        load = Load(self.spillway.endpoint, writers=8, batch=4, seconds=8)
        runner = threading.Thread(target=load.run)
        runner.start()
        self.addCleanup(runner.join)
        self.shows("#forecast", r"Full in .* at this growth, \+[\d.]+ [KM]iB/s")
        self.shows("#state", "paced|reserve|ceiling")
        self.shows("#state-words", "Writes that grow")
        runner.join()
        self.shows("#share", r"^(8[5-9]|9\d)\.\d %")
        wire.pipeline([("SETRANGE", HOSTILE, 20_000_000, "x"), ("SETRANGE", "cart:huge", 20_000_000, "x")])
        self.shows("#incidents", r"oversized-write|near-ceiling|noeviction-at-ceiling")
        self.shows("#incidents", r"refusals by the guard")
        self.browser.click("#incidents summary")
        self.shows("#incidents .story", "What to do")
        self.shows("#incidents .story", "By key pattern")
        counted = self.browser.text("#incidents summary")
        wire.pipeline([("SETRANGE", HOSTILE, 20_000_000, "x")] * 5)
        until("newer counts", lambda: self.browser.text("#incidents summary") != counted)
        asked = [urllib.parse.urlsplit(url).path for url in self.browser.requests]
        self.assertIn(f"/api/v1/incidents/{self.spillway.api('incidents')['incidents'][0]['id']}", asked)
        self.assertLess(asked.count("/api/v1/incidents"), 5, "an open incident is asked for alone")
        self.shows("#growth", r"cart:\*")
        self.shows("#growth", re.escape("<img/src=x"))
        self.shows("#verdicts", re.escape(HOSTILE))
        self.assertNotEqual(self.browser.run("document.title"), "owned")
        self.assertEqual(self.browser.run("document.querySelectorAll('main img').length"), 0)
        for chart in ("#memory-chart", "#rate-chart"):
            self.assertGreater(self.browser.run(f"document.querySelector('{chart} polyline').points.length"), 3)
        self.browser.resize(375, 800)
        self.assert_fits()
        self.assert_numbers_are_seen("#growth", "#verdicts", "#incidents .story", "#latency")
        self.assertIn(HOSTILE, self.browser.run("[...document.querySelectorAll('#verdicts [title]')].map((e) => e.title)"))
        self.assert_clean()

    def test_observe_says_what_would_happen(self):
        self.start(guard={"mode": "observe"}, monitor={"ceiling": "8mb", "policy": "noeviction", "interval": "20ms"})
        self.redis.command("SETRANGE", "fill", 9 << 20, "x")
        self.spillway.wait_state("ceiling")
        self.browse()
        self.shows("#state-words", "would be refused")
        self.shows("#forecast", "At the ceiling")
        wire = self.enterContext(Wire(self.spillway.endpoint))
        wire.command("CLIENT", "SETNAME", "web")
        self.assertEqual(set(wire.pipeline([("SET", "k", "v")] * 7)), {"OK"})
        self.shows("#verdicts", r"(?s)would refuse.*web\s+0\s+0\s+0\s+7\b")
        self.shows("#incidents", "would have refused is counted below")
        self.shows("#rates", "would refuse")
        self.assert_clean()

    def test_the_mode_is_switched_with_the_token(self):
        self.start(admin={"token": "sesame"})
        browser = self.browse()
        until("the mode", lambda: browser.run("document.querySelector('[value=protect]').ariaPressed") == "true")
        browser.click("#modes [value=observe]")
        self.shows("#ask-words", "from protect to observe")
        browser.click("#ask [value=yes]")
        for given, words in (("wrong", "give the token"), ("sesame", "token is wrong")):
            self.shows("#ask-words", words)
            browser.run(f"document.querySelector('#ask-token input').value = '{given}'")
            browser.click("#ask [value=yes]")
        until("the other mode", lambda: browser.run("document.querySelector('[value=observe]').ariaPressed") == "true")
        self.assertEqual(self.spillway.metric("spillway_guard_mode", mode="observe"), 1)
        browser.click("#modes [value=off]")  # the token is kept
        self.shows("#ask-words", "from observe to off")
        browser.click("#ask [value=cancel]")
        self.assertEqual(self.spillway.metric("spillway_guard_mode", mode="observe"), 1)

    def test_it_says_that_the_server_is_gone_and_comes_back(self):
        self.start()
        self.browse()
        self.spillway.stop()
        self.shows("#gone", "does not answer for .* Trying again every")
        before = len(self.browser.requests)
        self.spillway.start()
        self.shows("#live", "^live$")
        self.assertTrue(self.browser.run("document.querySelector('#gone').hidden"))
        self.assertLess(len(self.browser.requests) - before, 40, "it backs off")


if __name__ == "__main__":
    unittest.main()
