"""Line plots with logarithmic axes as SVG, for the figures of docs/ that are drawn from a benchmark's output."""
import math

COLOURS = ["#1b6ca8", "#c1440e", "#5a8f29", "#7a3e9d", "#b8860b", "#444444"]
LEFT, TOP, WIDTH, HEIGHT = 60, 20, 430, 330


def _ticks(low, high, log):
    if log:
        return [10.0 ** k for k in range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)]
    step = 10 ** math.floor(math.log10(high - low))
    step *= next(k for k in (0.2, 0.5, 1, 2) if (high - low) / (step * k) <= 8)
    return [low + step * k for k in range(int((high - low) / step + 1e-9) + 1)]


def plot(series, x_label, y_label, x_range, y_range, log_x=True, log_y=False, notes=()):
    """SVG text. `series`: (name, [(x, y)…], dashed); dashed ones share the colour of the solid one before them."""
    def place(value, limits, log):
        low, high = limits
        value = min(max(value, low), high)
        return math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)

    def at(x, y):
        return LEFT + WIDTH * place(x, x_range, log_x), TOP + HEIGHT * (1 - place(y, y_range, log_y))

    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 400" font-family="sans-serif" font-size="12">',
           '<rect width="640" height="400" fill="white"/>']
    for y in _ticks(*y_range, log_y):
        _, py = at(x_range[0], y)
        out.append(f'<line x1="{LEFT}" y1="{py:.1f}" x2="{LEFT + WIDTH}" y2="{py:.1f}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{py + 4:.1f}" text-anchor="end">{y:g}</text>')
    for x in _ticks(*x_range, log_x):
        px, _ = at(x, y_range[0])
        out.append(f'<line x1="{px:.1f}" y1="{TOP}" x2="{px:.1f}" y2="{TOP + HEIGHT}" stroke="#ddd"/>'
                   f'<text x="{px:.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{x:g}</text>')
    middle = TOP + HEIGHT / 2
    out.append(f'<text x="{LEFT + WIDTH / 2}" y="{TOP + HEIGHT + 36}" text-anchor="middle">{x_label}</text>'
               f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">{y_label}</text>')
    colour, legend = -1, 0
    for name, points, dashed in series:
        colour += not dashed
        stroke = COLOURS[colour % len(COLOURS)]
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        line = " ".join("%.1f,%.1f" % at(x, y) for x, y in points)
        out.append(f'<polyline points="{line}" fill="none" stroke="{stroke}" stroke-width="2"{dash}/>')
        if name:
            y = 40 + 20 * legend
            legend += 1
            out.append(f'<line x1="502" y1="{y}" x2="526" y2="{y}" stroke="{stroke}" stroke-width="2"{dash}/>'
                       f'<text x="532" y="{y + 4}">{name}</text>')
    for k, note in enumerate(notes):
        out.append(f'<text x="502" y="{60 + 20 * legend + 18 * k}">{note}</text>')
    return "\n".join(out) + "</svg>\n"
