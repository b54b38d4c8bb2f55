# Draws the memory of two runs beside each other, with the marks at which Spillway and Redis act.
from __future__ import annotations

from itertools import groupby
from typing import Sequence

from screen import Screen

Curve = Sequence[tuple[float, float]]  # (seconds since the start, share of maxmemory)

THROTTLE_AT, SHED_AT = 0.85, 0.97  # Spillway's defaults
FULL = 0.999                       # of maxmemory: Redis refuses nearly all, give or take a write
# The top rows are narrower: what matters happens there. A row shows memory between its two bounds.
BOUNDS = (0.0, 0.21, 0.43, 0.64, THROTTLE_AT, 0.89, 0.93, SHED_AT, FULL, 1.03)
MARKS = {0.0: "0 %", THROTTLE_AT: "85 %", SHED_AT: "97 %", FULL: "100 %"}
EIGHTHS = " ▁▂▃▄▅▆▇█"
LABEL_COLUMNS, GAP_COLUMNS = 8, 4


def sampled(curve: Curve, seconds: float, columns: int) -> list[float]:
    """The highest share within each column's time; a column without a sample repeats the last."""
    shares = [0.0] * columns
    for moment, share in curve:
        column = min(columns - 1, max(0, int(moment / seconds * columns)))
        shares[column] = max(shares[column], share)
    for column in range(1, columns):
        shares[column] = shares[column] or shares[column - 1]
    return shares


def colour_of(low: float) -> str:
    if low >= FULL:
        return "red"
    if low >= SHED_AT:
        return "magenta"
    return "yellow" if low >= THROTTLE_AT else "green"


def cell(screen: Screen, share: float, low: float, high: float) -> tuple[str, str]:
    """One character and its style: how far memory reached into this row, or the row's mark."""
    if share > low:
        eighths = max(1, min(8, round((share - low) / (high - low) * 8)))
        return EIGHTHS[eighths] if screen.unicode else "_#"[eighths >= 4], colour_of(low)
    if low in MARKS and low > 0:
        return "┈" if screen.unicode else "-", "dim"
    return " ", "dim"


def bar_row(screen: Screen, shares: Sequence[float], low: float, high: float) -> str:
    """What one row shows of a curve; neighbours of one style are painted at once."""
    cells = [cell(screen, share, low, high) for share in shares]
    runs = groupby(cells, key=lambda one: one[1])
    return "".join(screen.paint("".join(text for text, _ in run), style) for style, run in runs)


def time_axis(seconds: float, columns: int) -> str:
    end = f"{seconds:.0f} s"
    middle = f"{seconds / 2:.0f} s"
    left = "0 s".ljust(max(4, columns // 2 - len(middle) // 2)) + middle
    return left.ljust(columns - len(end)) + end


def draw(screen: Screen, charts: Sequence[tuple[str, Curve]], seconds: float) -> list[str]:
    """The lines of all charts side by side, each with its title."""
    gaps = GAP_COLUMNS * (len(charts) - 1)
    columns = (screen.columns - LABEL_COLUMNS - gaps - 2) // len(charts)
    gap, margin = " " * GAP_COLUMNS, " " * LABEL_COLUMNS
    rows = [sampled(curve, seconds, columns) for _, curve in charts]
    titles = [screen.paint(title.ljust(columns), "bold") for title, _ in charts]
    lines = [margin + gap.join(titles)]
    for low, high in reversed(list(zip(BOUNDS, BOUNDS[1:]))):
        label = MARKS.get(low, "").rjust(LABEL_COLUMNS - 2) + "  "
        parts = [bar_row(screen, row, low, high) for row in rows]
        lines.append(label + gap.join(parts))
    lines.append(margin + gap.join(time_axis(seconds, columns) for _ in charts))
    return lines
