# Prints: colours and block characters where they can be shown, and one line of progress.
from __future__ import annotations

import os
import shutil
import sys
import time
from typing import TextIO

STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "magenta": "35",
          "cyan": "36"}
PROGRESS_S, PIPED_PROGRESS_S = 0.1, 3.0  # between two lines of progress; a pipe keeps them all


class Screen:
    """A terminal, or a pipe or file, which gets neither colours nor lines that change."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self.stream = stream
        self.terminal = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.coloured = self.terminal and not os.environ.get("NO_COLOR")
        self.unicode = (stream.encoding or "").lower().replace("-", "") == "utf8"
        self.terminal_columns = shutil.get_terminal_size((80, 24)).columns
        self.columns = max(60, min(100, self.terminal_columns))
        self.in_progress = False
        self.next_progress = 0.0

    def paint(self, text: str, *styles: str) -> str:
        if not self.coloured or not styles:
            return text
        return f"\033[{';'.join(STYLES[style] for style in styles)}m{text}\033[0m"

    def line(self, text: str = "") -> None:
        """One line that stays; it takes the place of the line of progress."""
        if self.in_progress:
            self.stream.write("\r\033[K")
            self.in_progress = False
        self.next_progress = time.monotonic() + (0 if self.terminal else PIPED_PROGRESS_S)
        self.stream.write(text + "\n")
        self.stream.flush()

    def heading(self, text: str) -> None:
        self.line()
        self.line(self.paint(text, "bold"))

    def progress(self, text: str) -> None:
        """What is going on just now. Call it as often as there is something new."""
        if time.monotonic() < self.next_progress:
            return
        if self.terminal:
            self.stream.write("\r\033[K" + text[:self.terminal_columns - 1])
            self.in_progress = True
            self.next_progress = time.monotonic() + PROGRESS_S
        else:
            self.stream.write(text + "\n")
            self.next_progress = time.monotonic() + PIPED_PROGRESS_S
        self.stream.flush()

    def bar(self, share: float, width: int = 12) -> str:
        """A share of 1 as a bar; more than 1 is a full one."""
        filled = round(min(share, 1.0) * width)
        full, empty = ("█", "░") if self.unicode else ("#", ".")
        return full * filled + empty * (width - filled)
