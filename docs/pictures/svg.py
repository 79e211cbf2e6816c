#!/usr/bin/env python3
"""A terminal's text as SVG: svg.py TEXT SVG. Lines that begin with a time and `pbx#` are what was typed, `# ` are remarks."""

import re
import sys
from html import escape

SIZE, LINE, COLUMN, MARGIN = 13, 17, 8.1, 14
CLASSES = ((re.compile(r"^\d\d:\d\d:\d\d pbx# "), "typed"), (re.compile(r"^# "), "remark"))


def class_of(line):
    return next((name for pattern, name in CLASSES if pattern.match(line)), "said")


def main(source, target):
    with open(source, encoding="utf-8") as file:
        lines = [line.rstrip() for line in file.read().strip("\n").split("\n")]
    width = round(max(map(len, lines)) * COLUMN + 2 * MARGIN)
    height = len(lines) * LINE + 2 * MARGIN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
        f"<title>{escape(source.rsplit('/', 1)[-1])}: a session on Asterisk's console</title>",
        f"<style>text{{font:{SIZE}px 'DejaVu Sans Mono',Menlo,Consolas,monospace;white-space:pre}}"
        ".said{fill:#d0d0d0}.typed{fill:#ffffff;font-weight:bold}.remark{fill:#7fbf7f}</style>",
        f'<rect width="{width}" height="{height}" rx="6" fill="#1b1d23"/>',
    ]
    for number, line in enumerate(lines):
        if line:
            y = MARGIN + (number + 0.75) * LINE
            # As wide as it is in this font, in whichever a browser has.
            length = f'textLength="{len(line) * COLUMN:g}" lengthAdjust="spacingAndGlyphs"'
            out.append(f'<text class="{class_of(line)}" x="{MARGIN}" y="{y:g}" {length} xml:space="preserve">{escape(line)}</text>')
    out.append("</svg>\n")
    with open(target, "w", encoding="utf-8") as file:
        file.write("\n".join(out))


main(*sys.argv[1:])
