# The Prometheus rules do what their tests say, and rules and Grafana dashboard name only metrics and labels that exist.
import json
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "packaging/prometheus/spillway.rules.yml"
RULE_TESTS = ROOT / "packaging/prometheus/spillway.rules.test.yml"
DASHBOARD = ROOT / "packaging/grafana/spillway.json"
PROMTOOL = shutil.which("promtool")
SCRAPED = {"job", "instance"}  # labels that Prometheus itself adds


def catalogue():
    """{metric: (type, labels)}, and {(metric, label): values}, of the page that a unit test holds to the catalogue."""
    page = (ROOT / "docs/metrics.md").read_text()
    metrics = {name: (kind, set(re.findall(r"`(\w+)`", labels)))
               for name, kind, labels in re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \|", page, re.M)}
    values = {}
    for label, names, listed in re.findall(r"^- `(\w+)` of (.*?): .*? One of (.*)\.$", page, re.M):
        for name in re.findall(r"`(\w+)`", names):
            values[name, label] = set(re.findall(r"`([^`]+)`", listed))
    return metrics, values


def rule_expressions():
    return re.findall(r"^ +expr: (.*)$", RULES.read_text(), re.M)


def dashboard_expressions():
    """As Grafana would send them: its variables stand for something."""
    dashboard = json.loads(DASHBOARD.read_text())
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    for variable, value in (("$__rate_interval", "5m"), ("$__range", "1h"), ("$job", ".*"), ("$instance", ".*")):
        found = [expression.replace(variable, value) for expression in found]
    return found


class Names(unittest.TestCase):
    metrics, values = catalogue()

    def check(self, expression):
        names = re.findall(r"\bspillway_\w+(?:\{[^}]*\})?(?:\[\w+\])?", expression)
        self.assertTrue(names or expression.startswith("up{"), expression)
        for text in names:
            series, selector, window = re.fullmatch(r"(\w+)(?:\{(.*)\})?(\[\w+\])?", text).groups()
            name = series.removesuffix("_bucket")
            self.assertIn(name, self.metrics, expression)
            kind, labels = self.metrics[name]
            self.assertEqual(series.endswith("_bucket"), kind == "histogram", expression)
            counted = bool(re.search(rf"\b(rate|increase)\({re.escape(text)}", expression))
            self.assertEqual(counted, kind in ("counter", "histogram"), f"{series} in {expression}")
            for label, operator, value in re.findall(r'(\w+)(=~?|!=)"([^"]*)"', selector or ""):
                self.assertIn(label, labels | SCRAPED, expression)
                if label in labels and operator == "=":
                    self.assertIn(value, self.values[name, label], expression)
        for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
            known = set().union(*(self.metrics[name][1] for name in self.metrics if name in expression))
            self.assertLessEqual(set(grouped.split(", ")), known | SCRAPED | {"le"}, expression)

    def test_the_catalogue_is_read(self):
        self.assertGreater(len(self.metrics), 25)
        self.assertEqual(self.metrics["spillway_commands_total"], ("counter", {"class", "verdict"}))
        self.assertIn("blind", self.values["spillway_guard_state", "state"])

    def test_rules(self):
        self.assertGreaterEqual(len(rule_expressions()), 10)
        for expression in rule_expressions():
            self.check(expression)

    def test_dashboard(self):
        self.assertGreaterEqual(len(dashboard_expressions()), 20)
        for expression in dashboard_expressions():
            self.check(expression)

    def test_it_finds_what_is_wrong(self):
        for wrong in ("spillway_nosuch > 0", 'spillway_guard_state{state="blinded"} == 1', "spillway_commands_total > 0",
                      "rate(spillway_clients[5m])", 'spillway_clients{verdict="pass"}', "spillway_command_seconds > 1",
                      "sum by (cause) (spillway_clients)", "vector(1)"):
            with self.subTest(wrong), self.assertRaises(AssertionError):
                self.check(wrong)

    def test_panels_do_not_overlap(self):
        taken, ids = set(), set()
        for panel in json.loads(DASHBOARD.read_text())["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            self.assertFalse(taken & cells, panel["title"])
            self.assertLessEqual(at["x"] + at["w"], 24)
            self.assertNotIn(panel["id"], ids)
            taken |= cells
            ids.add(panel["id"])


@unittest.skipUnless(PROMTOOL, "promtool (Debian package prometheus) is not installed")
class Promtool(unittest.TestCase):
    def accepts(self, *arguments):
        ended = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, timeout=60)
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)

    def test_rules(self):
        self.accepts("check", "rules", str(RULES))
        self.accepts("test", "rules", str(RULE_TESTS))

    def test_each_alert_is_tested_firing(self):
        alerts = set(re.findall(r"- alert: (\w+)", RULES.read_text()))
        fired = set(re.findall(r"alertname: (\w+)\n +eval_time: \w+\n +exp_alerts:\n", RULE_TESTS.read_text()))
        self.assertEqual(alerts, fired)

    def test_queries_of_the_dashboard(self):
        rules = [{"record": f"panel:query_{number}:0", "expr": expression}
                 for number, expression in enumerate(dashboard_expressions())]
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, file)  # JSON is YAML
            file.flush()
            self.accepts("check", "rules", file.name)


if __name__ == "__main__":
    unittest.main()
