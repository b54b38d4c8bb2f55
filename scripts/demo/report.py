# Says what the two runs were like for the application, and what one record of Spillway's log means.
from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any, Iterable, Sequence

from load import BATCH, READERS, WRITERS, Tally, jobs_of
from memory_chart import FULL, Curve, draw
from screen import Screen

MB = 1 << 20
LABEL_COLUMNS, VALUE_COLUMNS = 36, 20
FIELD_COLUMNS = 16
SPILLWAY_SAYS, REDIS_SAYS = "OOM spillway ", "OOM "


@dataclass
class Run:
    """One run: what the application saw, and Redis' memory meanwhile."""
    title: str
    tally: Tally
    curve: Curve
    seconds: float

    def oom_replies(self) -> int:
        """Refusals by Redis itself, of any command."""
        return count_of((self.tally.write_errors, self.tally.worker_errors),
                        lambda text: text.startswith(REDIS_SAYS) and not by_spillway(text))

    def refusals(self) -> int:
        """Refusals by Spillway, of any command."""
        return count_of((self.tally.write_errors, self.tally.worker_errors), by_spillway)

    def full_at(self) -> float | None:
        """The second at which memory first was full."""
        return next((moment for moment, share in self.curve if share >= FULL), None)

    def ended_at(self) -> float:
        return self.curve[-1][1] if self.curve else 0.0

    def jobs_left(self) -> int:
        return jobs_of(self.seconds) - self.tally.jobs_done


def by_spillway(text: str) -> bool:
    return text.startswith(SPILLWAY_SAYS)


def count_of(counters: Iterable[dict[str, int]], wanted: Any) -> int:
    return sum(count for counter in counters for text, count in counter.items() if wanted(text))


def latency(samples: Sequence[float]) -> str:
    """Median, 99th percentile and the slowest of all."""
    if not samples:
        return "-"
    rank = sorted(samples)
    chosen = (rank[len(rank) // 2], rank[min(len(rank) - 1, len(rank) * 99 // 100)], rank[-1])
    return " / ".join(f"{value:.1f}" if value < 10 else f"{value:.0f}" for value in chosen) + " ms"


def percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def number(value: int) -> str:
    return f"{value:,}"


class Report:
    """Writes the results on a screen."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen

    def table(self, direct: Run, guarded: Run) -> None:
        screen, runs = self.screen, (direct, guarded)
        titles = "".join(run.title.rjust(VALUE_COLUMNS) for run in runs)
        screen.heading("What the application saw".ljust(LABEL_COLUMNS + 2) + titles)
        self.group(f"{WRITERS} writers, {BATCH} carts a request")
        self.row("writes accepted", [number(run.tally.accepted) for run in runs])
        self.row("bare OOM errors", [number(oom_only(run)) for run in runs], bad=oom_only(direct))
        self.row("refused by Spillway, with the cause",
                 [number(count_of((run.tally.write_errors,), by_spillway)) for run in runs])
        self.row("a request took, p50 / p99 / max", [latency(run.tally.write_ms) for run in runs])
        self.group(f"{READERS} readers")
        self.row("reads", [number(run.tally.reads) for run in runs])
        self.row("reads that failed", [number(sum(run.tally.read_errors.values())) for run in runs])
        self.row("a read took, p50 / p99 / max", [latency(run.tally.read_ms) for run in runs])
        self.group("1 worker that empties a queue")
        self.row("jobs done", [f"{number(run.tally.jobs_done)} of {number(jobs_of(run.seconds))}"
                               for run in runs])
        errors = [sum(run.tally.worker_errors.values()) for run in runs]
        self.row("times it was refused", [number(count) for count in errors], bad=errors[0])
        self.group("Redis")
        self.row("memory at the end, of maxmemory", [percent(run.ended_at()) for run in runs])

    def group(self, text: str) -> None:
        self.screen.line(self.screen.paint("  " + text, "cyan"))

    def row(self, label: str, values: Sequence[str], bad: int = 0) -> None:
        """A figure of both runs; with `bad`, the first is what Spillway is there against."""
        cells = [value.rjust(VALUE_COLUMNS) for value in values]
        if bad:
            cells = [self.screen.paint(cells[0], "red"), self.screen.paint(cells[1], "green")]
        self.screen.line("    " + label.ljust(LABEL_COLUMNS - 2) + "".join(cells))

    def errors(self, *runs: Run) -> None:
        """Each text that the application was given instead of a result."""
        self.screen.heading("The errors by their text")
        for run in runs:
            texts = run.tally.write_errors + run.tally.worker_errors + run.tally.read_errors
            for text, count in texts.most_common():
                self.screen.line(f"  {run.title:<18}{number(count):>9} x  {text}")
            if not texts:
                self.screen.line(f"  {run.title:<18}        0")

    def chart(self, *runs: Run) -> None:
        self.screen.heading("Redis' memory, as a share of maxmemory (the scale is wider from 85 %)")
        self.screen.line()
        curves = [(run.title, run.curve) for run in runs]
        for line in draw(self.screen, curves, max(run.seconds for run in runs)):
            self.screen.line(line)
        self.screen.line()
        self.screen.line("  85 %   Spillway begins to slow writes down")
        self.screen.line("  97 %   Spillway refuses writes; what is left is for critical commands")
        self.screen.line(" 100 %   Redis refuses every write that could grow, whoever sends it")

    def in_short(self, direct: Run, guarded: Run) -> None:
        self.screen.heading("In short")
        for style, text in (("red", story_of_redis(direct)), ("green", story_of_spillway(guarded))):
            for start, line in zip_first("* ", textwrap.wrap(text, self.screen.columns - 6)):
                self.screen.line("  " + self.screen.paint(start, style) + line)

    def record(self, record: dict[str, Any], revised: dict[str, Any] | None) -> None:
        """An `oom` record, in words; `revised` is the one that corrected its cause, if any did."""
        client, memory = record.get("client", {}), record.get("memory", {})
        told = revised or record
        also = record.get("also") or []
        self.field("Redis refused", [f"{record.get('command')} {record.get('key')} "
                                     f"({record.get('bytes', 0):,} bytes)"], "red")
        self.field("sent by", [f"{client.get('name') or 'a client without a name'} at "
                               f"{client.get('addr')}, user {client.get('user')}"])
        cause = f"{told.get('cause')}, confidence {told.get('confidence', 0) * 100:.0f} %"
        self.field("cause", [cause + (f"; also {', '.join(also)}" if also else "")], "bold")
        self.field("memory", [memory_in_words(memory)])
        self.field("evidence", told.get("evidence", []))
        self.field("what to do", told.get("advice", []), "green")
        grown = record.get("top_growth", [])
        self.field("who grew", [growth_in_words(row) for row in grown if matters(row, grown[0])])

    def field(self, label: str, values: Sequence[str], *styles: str) -> None:
        columns = self.screen.columns - FIELD_COLUMNS - 4
        lines = [(start, line) for value in values
                 for start, line in zip_first("- " if len(values) > 1 else "",
                                              textwrap.wrap(value, columns))]
        for at, (start, line) in enumerate(lines):
            head = (label if at == 0 else "").ljust(FIELD_COLUMNS)
            self.screen.line("  " + self.screen.paint(head, "cyan") + start
                             + self.screen.paint(line, *styles))


def zip_first(first: str, lines: Sequence[str]) -> list[tuple[str, str]]:
    """Each line with what goes before it: `first`, then blanks of its width."""
    return [(first if at == 0 else " " * len(first), line) for at, line in enumerate(lines)]


def oom_only(run: Run) -> int:
    return count_of((run.tally.write_errors,),
                    lambda text: text.startswith(REDIS_SAYS) and not by_spillway(text))


def story_of_redis(run: Run) -> str:
    full_at = run.full_at()
    if full_at is None:
        return (f"{run.title}: the burst did not fill Redis on this machine within "
                f"{run.seconds:.0f} s, so there was nothing to refuse. Try --seconds 30.")
    text = (f"{run.title}: full after {full_at:.0f} s. From then on {number(oom_only(run))} writes "
            "failed with a sentence that names no cause.")
    if run.jobs_left() > 0:
        text += (f" The worker that would have made room was refused as well: "
                 f"{number(run.jobs_left())} jobs are still in the queue.")
    return text


def story_of_spillway(run: Run) -> str:
    peak = max((share for _, share in run.curve), default=0.0)
    text = f"{run.title}: memory reached {percent(peak)} and ended at {percent(run.ended_at())}."
    if run.refusals():
        text += (f" {number(run.refusals())} writes were refused before they reached Redis, each "
                 "with its cause.")
    oom = run.oom_replies()
    text += f" Redis itself had to refuse {number(oom) if oom else 'nothing'}."
    text += (" The worker did all its jobs." if run.jobs_left() <= 0 else
             f" The worker left {number(run.jobs_left())} jobs.")
    if not run.tally.read_errors:
        text += " No read failed."
    return text


def memory_in_words(memory: dict[str, Any]) -> str:
    counted, ceiling = memory.get("counted", 0), memory.get("ceiling", 0)
    text = f"{counted / MB:.1f} of {ceiling / MB:.1f} MB"
    growth = memory.get("growth_bytes_per_s", 0)
    if growth > 0:
        text += f", growing by {growth / MB:.1f} MB a second"
    return text + f", policy {memory.get('policy')}"


def matters(row: dict[str, Any], first: dict[str, Any]) -> bool:
    """Whether a row of growth is worth a line beside the largest one."""
    return row.get("bytes", 0) > 0.01 * first.get("bytes", 0)


def growth_in_words(row: dict[str, Any]) -> str:
    return (f"{row.get('pattern')} {row.get('bytes', 0) / MB:.1f} MB, by {row.get('command')} of "
            f"{row.get('client') or 'a client'}, "
            f"{row.get('without_ttl', 0) * 100:.0f} % of it without a TTL")
