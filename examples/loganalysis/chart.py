"""Draws the counts as an SVG file, with Python alone."""

from pathlib import Path

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720, 320, 56, 40, 40
COLOURS = {"2xx": "#4e79a7", "4xx": "#edc948", "5xx": "#e15759"}
STYLE = """text { font: 12px sans-serif; fill: #333 } line { stroke: #8886 }
@media (prefers-color-scheme: dark) { text { fill: #ccc } }"""


def draw(total: dict, path: Path) -> None:
    """Draw the requests of each hour as bars, stacked by status."""
    requests = total["requests"]
    hours = [sum(requests[hour, kind] for kind in COLOURS) for hour in range(24)]
    top = 500 * (max(hours) // 500 + 1)
    scale = (HEIGHT - TOP - BOTTOM) / top
    step = (WIDTH - LEFT) / 24
    marks = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>Requests by hour of the day</title><style>{STYLE}</style>",
    ]
    for value in range(0, top + 1, 500):
        y = HEIGHT - BOTTOM - value * scale
        marks.append(f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        marks.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value}</text>')
    for hour in range(24):
        x, y = LEFT + hour * step, HEIGHT - BOTTOM
        for kind, colour in COLOURS.items():
            tall = requests[hour, kind] * scale
            y -= tall
            size = f'width="{step - 4:.1f}" height="{tall:.1f}"'
            marks.append(f'<rect x="{x + 2:.1f}" y="{y:.1f}" {size} fill="{colour}"/>')
        y = HEIGHT - BOTTOM + 18
        marks.append(f'<text x="{x + step / 2:.1f}" y="{y}" text-anchor="middle">{hour}</text>')
    for number, (kind, colour) in enumerate(COLOURS.items()):
        x = LEFT + number * 70
        marks.append(f'<rect x="{x}" y="10" width="12" height="12" fill="{colour}"/>')
        marks.append(f'<text x="{x + 18}" y="21">{kind}</text>')
    x = LEFT + len(COLOURS) * 70
    marks.append(f'<text x="{x}" y="21">requests of a week, by hour of the day and status</text>')
    marks.append("</svg>")
    path.write_text("\n".join(marks) + "\n", encoding="utf-8")
