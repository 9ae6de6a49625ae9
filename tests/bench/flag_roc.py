#!/usr/bin/env python3
"""Tables and figure of docs/flagging.md from the output of the flagger's benchmark:

    FLAG_ROC=1 ./run bench flag --benchmark_filter=NONE | /usr/bin/python3 tests/bench/flag_roc.py docs/flagging-roc.svg
"""
import pathlib
import sys

from svg_plot import plot


def table(rows, first):
    """Markdown of `rows` (kind, column, our detections and false alarms, AOFlagger's)."""
    columns = list(dict.fromkeys(r[1] for r in rows))
    lines = [f"| {first} | " + " | ".join(f"{c:g}" for c in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for kind in dict.fromkeys(r[0] for r in rows):
        mine = [r for r in rows if r[0] == kind]
        for what, at, form in (("detected", 2, "%.1f / %.1f"), ("false alarms", 3, "%.3f / %.3f")):
            lines.append(f"| {kind}, {what} % | " + " | ".join(form % (r[at], r[at + 2]) for r in mine) + " |")
    return "\n".join(lines)


def main():
    strengths, thresholds, target = [], [], None
    for line in sys.stdin:
        words = line.split()
        if line.startswith("kind"):
            target = thresholds if "threshold" in words else strengths
        elif len(words) == 6 and target is not None:
            row = (words[0], *map(float, words[1:]))
            if row[0] == "none":
                print(f"Pure noise and sky: false alarms {row[3]:.3f} / {row[5]:.3f} %.\n")
            else:
                target.append(row)
    print(table(strengths, "peak over noise") + "\n\n" + table(thresholds, "base_threshold"))
    series = []
    for kind in dict.fromkeys(r[0] for r in thresholds):
        mine = [r for r in thresholds if r[0] == kind]
        series.append((kind, [(r[3], r[2]) for r in mine], False))
        series.append(("", [(r[5], r[4]) for r in mine], True))
    pathlib.Path(sys.argv[1]).write_text(plot(
        series, "false alarms, % of clean samples", "detected, % of affected samples", (5e-4, 30), (0, 100),
        notes=("solid: sumthreshold", "dashed: AOFlagger")))


if __name__ == "__main__":
    main()
