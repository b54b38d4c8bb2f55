# Draws the memory curve and the bars as SVG text whose colours are readable on a light and on a dark ground.
from html import escape

TEXT, FAINT = "#7d8590", "#7d859055"
COLOURS = ("#e5534b", "#3b82f6", "#8b949e", "#c69026", "#57ab5a", "#986ee2")
WIDTH, LEFT, RIGHT = 800, 64, 24


class Drawing:
    """Shapes gathered until they are written out as one document."""

    def __init__(self, height, title):
        self.height, self.parts = height, [f"<title>{escape(title)}</title>"]

    def text(self, x, y, text, colour=TEXT, anchor="start", weight="normal"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" '
                          f'font-weight="{weight}">{escape(text)}</text>')

    def line(self, x1, y1, x2, y2, colour=FAINT, dashes=""):
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{dashed}/>')

    def path(self, points, colour):
        self.parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2.2" stroke-linejoin="round" points="' +
                          " ".join(f"{x:.1f},{y:.1f}" for x, y in points) + '"/>')

    def bar(self, x, y, width, height, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}" rx="2" '
                          f'fill="{colour}"/>')

    def svg(self):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" '
                'font-family="system-ui,-apple-system,Segoe UI,Helvetica,Arial,sans-serif" font-size="13">\n' +
                "\n".join(self.parts) + "\n</svg>\n")


def memory_svg(curves, replies, title, shed_at):
    """Curves of [(second, per cent of maxmemory)] by name, and what each had to answer, in words."""
    height, top, bottom = 340, 64, 300
    low = 10 * (int(min(share for curve in curves.values() for _, share in curve)) // 10)
    high, seconds = 104, max(moment for curve in curves.values() for moment, _ in curve)
    drawing = Drawing(height, title)

    def at(moment, share):
        return (LEFT + (WIDTH - LEFT - RIGHT) * moment / seconds,
                bottom - (bottom - top) * (min(share, high) - low) / (high - low))
    for share in range(low, 100, 10):
        _, y = at(0, share)
        drawing.line(LEFT, y, WIDTH - RIGHT, y)
        drawing.text(LEFT - 8, y + 4, f"{share} %", anchor="end")
    for share, dashes, colour in ((100, "", TEXT), (100 * shed_at, "2 4", TEXT)):
        _, y = at(0, share)
        drawing.line(LEFT, y, WIDTH - RIGHT, y, colour, dashes)
        drawing.text(LEFT - 8, y + 4, f"{share:.0f} %", anchor="end")
    drawing.text(WIDTH - RIGHT, at(0, 100)[1] - 5, "maxmemory", anchor="end")
    step = next(step for step in (1, 2, 5, 10, 20, 60, 300) if seconds / step <= 8)
    for second in range(0, int(seconds) + 1, step):
        drawing.text(at(second, low)[0], bottom + 20, f"{second} s", anchor="middle")
    for number, ((name, curve), colour) in enumerate(zip(curves.items(), COLOURS)):
        drawing.path([at(*point) for point in curve], colour)
        x = LEFT + number * (WIDTH - LEFT - RIGHT) / 2
        drawing.bar(x, 15, 22, 4, colour)
        drawing.text(x + 30, 22, name, colour, weight="bold")
        drawing.text(x + 30, 40, replies[name])
    drawing.text(WIDTH - RIGHT, height - 6, title, anchor="end")
    return drawing.svg()


def bars_svg(groups, unit, title):
    """Groups of bars: {label: {name: value}}; a name has the same colour in each."""
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    longest = max(value for group in groups.values() for value in group.values())
    left, row, gap, top = 190, 17, 16, 50
    drawing = Drawing(top + sum(row * len(group) + gap for group in groups.values()) + 20, title)
    for number, name in enumerate(names):
        drawing.bar(20 + 130 * number, 12, 14, 12, COLOURS[(number + 1) % len(COLOURS)])
        drawing.text(40 + 130 * number, 23, name)
    y = top
    for label, group in groups.items():
        drawing.text(left - 10, y + row * len(group) / 2 + 4, label, anchor="end")
        for name, value in group.items():
            width = (WIDTH - left - 110) * value / longest
            drawing.bar(left, y, width, row - 3, COLOURS[(names.index(name) + 1) % len(COLOURS)])
            drawing.text(left + width + 8, y + row - 6, f"{value:.2f} {unit}")
            y += row
        y += gap
    drawing.text(WIDTH - RIGHT, y + 8, title, anchor="end")
    return drawing.svg()
