#!/usr/bin/env python3
# Runs each kind of day on a real Redis, without and with Spillway, and prints one table of what came out.
import argparse
import itertools
import json
import os
import shlex
import shutil
import signal
import sys
import textwrap
import time
import traceback
from pathlib import Path

sys.dont_write_bytecode = True

import lab  # noqa: E402, its import makes the modules of tests/integration known
import calm  # noqa: E402
import charts  # noqa: E402
import pressure  # noqa: E402

SCENARIOS = (pressure.Burst, pressure.Consumers, calm.Steady, calm.FullCache, pressure.RunningOut, pressure.Proxies,
             pressure.FourProxies, pressure.Bypass, calm.MovedCeiling, pressure.Relief, calm.Header, calm.Order)
COLUMNS = ("scenario", "measured", lab.ALONE, lab.GUARDED, "bar", "verdict")
STYLES = {"ok": "32", "missed": "31", "failed": "31", "void": "33"}
LABEL_COLUMNS = 46


def options_of(arguments):
    parser = argparse.ArgumentParser(description="Spillway's scenarios on a real Redis, without it and with it.",
                                     epilog="Exit status: 0 no bar is missed, 1 one is, 2 wrong usage. Void means that "
                                            "Redis alone had no trouble either, so that nothing was shown.")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these scenarios; see --list")
    parser.add_argument("--list", action="store_true", help="names and numbers of all scenarios, and end")
    parser.add_argument("--seed", type=int, help="draw other numbers: sizes, kinds of data, ceilings, settings")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="give numbers, to each scenario that has them")
    parser.add_argument("--scale", type=float, default=1.0, help="length of the runs, of the usual one")
    parser.add_argument("--json", action="store_true", help="print values and verdicts as JSON")
    parser.add_argument("--markdown", action="store_true", help="print what has a bar as a Markdown table")
    parser.add_argument("--curve", metavar="FILE", help="write the burst's memory curve as SVG")
    parser.add_argument("--spillway", default=os.environ.get("SPILLWAY_BIN", str(lab.ROOT / "build/release/spillway")),
                        help="the program, or a command line [build/release/spillway]")
    return parser, parser.parse_args(arguments)


def changes_of(pairs):
    """KEY=VALUE pairs; numbers as numbers."""
    changes = {}
    for pair in pairs:
        key, _, text = pair.partition("=")
        try:
            changes[key] = json.loads(text)
        except ValueError:
            changes[key] = text
    return changes


def run(scenario, options, say):
    """{side: values} of one scenario; a side that broke has its reason instead."""
    sides = {}
    for name in (lab.ALONE, lab.GUARDED):
        say(f"{scenario.name}: {name}")
        try:
            with lab.Side(name, options.command, options.scale) as side:
                sides[name] = scenario.run(side)
        except (AssertionError, OSError, ValueError, ZeroDivisionError) as error:
            traceback.print_exc()
            sides[name] = {"failed": f"{type(error).__name__}: {error}"}
    return sides


def judged(scenario, sides):
    """Rows of the table: (scenario, measured, alone, guarded, bar, verdict)."""
    alone, guarded = sides[lab.ALONE], sides[lab.GUARDED]
    rows, label = [], scenario.label()
    for side, values in sides.items():
        if "failed" in values:
            rows.append((label, f"{side} broke", "", values["failed"][:60], "runs", "failed"))
    for measure in [] if rows else scenario.measures():
        values = alone.get(measure.name), guarded.get(measure.name)
        rows.append((label, measure.name, *map(measure.show, values), measure.bar_text(), measure.verdict(*values)))
    return rows


def print_markdown(rows):
    """One row a scenario, of what has a bar; its lines are one below the other in each cell."""
    print("| " + " | ".join(COLUMNS) + " |\n|---|---|--:|--:|---|---|")
    for label in dict.fromkeys(row[0] for row in rows):
        lines = [row[1:] for row in rows if row[0] == label and row[5]]
        print("| " + " | ".join([label, *map("<br>".join, zip(*lines))]) + " |")


def print_table(rows, coloured):
    shown, breaks = [], set()
    for label in dict.fromkeys(row[0] for row in rows):
        breaks.add(len(shown))
        titles, figures = textwrap.wrap(label, LABEL_COLUMNS), [row[1:] for row in rows if row[0] == label]
        shown += [(title or "", *(figure or ("",) * 5)) for title, figure in itertools.zip_longest(titles, figures)]
    widths = [max(len(row[column]) for row in (COLUMNS, *shown)) for column in range(len(COLUMNS))]
    for number, row in enumerate((COLUMNS, *shown), -1):
        if number < 0 or number in breaks:
            print("-" * (sum(widths) + 2 * len(widths) - 2) if number >= 0 else "")
        cells = [cell.rjust(width) if column in (2, 3) else cell.ljust(width)
                 for column, (cell, width) in enumerate(zip(row, widths))]
        style = STYLES.get(row[5])
        if coloured and style:
            cells[5] = f"\033[{style}m{cells[5]}\033[0m"
        print("  ".join(cells).rstrip())


def list_scenarios():
    for kind in SCENARIOS:
        print(f"{kind.name:<12} {kind().label()}")
        print(" " * 13 + ", ".join(f"{key} {value}" for key, value in kind.numbers.items()))


def main(arguments):
    parser, options = options_of(arguments)
    if options.list:
        list_scenarios()
        return 0
    known = {kind.name: kind for kind in SCENARIOS}
    if unknown := set(options.only or ()) - set(known):
        parser.error(f"there is no scenario {', '.join(sorted(unknown))}; --list names them")
    options.command = [options.spillway] if Path(options.spillway).exists() else shlex.split(options.spillway)
    for program, remedy in ((options.command[0], "scripts/build"), ("redis-server", "scripts/deps --run"),
                            ("redis-benchmark", "scripts/deps --run")):
        if not shutil.which(program):
            parser.error(f"there is no program {program}; {remedy} makes it")
    changes = changes_of(options.set)
    chosen = [kind(changes, options.seed) for kind in SCENARIOS if not options.only or kind.name in options.only]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began, rows, results = time.monotonic(), [], {}

    def say(text):
        print(f"{time.monotonic() - began:5.0f} s  {text}", file=sys.stderr, flush=True)
    for scenario in chosen:
        sides = run(scenario, options, say)
        curves = {side: values.pop("curve", None) for side, values in sides.items()}
        rows += judged(scenario, sides)
        results[scenario.name] = {"numbers": scenario.n, "sides": sides, "rows": [
            dict(zip(COLUMNS, row)) for row in rows if row[0] == scenario.label()]}
        if options.curve and all(curves.values()):
            replies = {side: f"{values['OOM replies by Redis']:,} OOM replies by Redis, "
                             f"{values['refused by Spillway'] or 0:,.0f} refusals with a cause" for side, values in sides.items()}
            Path(options.curve).write_text(charts.memory_svg(curves, replies, scenario.label(), scenario.n["shed_at"]))
    missed = sum(row[5] in ("missed", "failed") for row in rows)
    if options.json:
        print(json.dumps({"missed": missed, "seed": options.seed, "scenarios": results}, indent=1))
    elif options.markdown:
        print_markdown(rows)
    else:
        print_table(rows, sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
        count, void = sum(bool(row[5]) for row in rows), sum(row[5] == "void" for row in rows)
        print(f"\n{missed} of {count} bars missed" if missed else f"\nall {count - void} bars met", end="")
        print(f", {void} void" if void else "")
    return 1 if missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
