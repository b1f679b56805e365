"""Plots as SVG that may stand in a page with a strict policy: no style attribute, no clashing id."""

import io
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from warmup_bench.contracts.redact import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
LEFT_OUT = {f"{{{SVG}}}{name}" for name in ("metadata", "style", "title")}
INHERITED = {"stroke-linejoin": "round", "stroke-linecap": "butt"}
"""What matplotlib says for all elements in the style element that is left out."""

_REFERENCE = re.compile(r"url\(#([^)]*)\)")


def inline_svg(figure: "Figure", prefix: str, label: str) -> str:
    """Draw a figure as an ``<svg>`` element without a ground of its own.

    Args:
        figure: The plot.
        prefix: Makes the ids of this plot unique in the page.
        label: What a screen reader says.
    """
    import matplotlib as mpl

    from warmup_bench.report.plots.style import look

    file = io.StringIO()
    with look(), mpl.rc_context({"svg.fonttype": "path"}):
        figure.savefig(file, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    return strict_svg(file.getvalue(), prefix, label)


def strict_svg(text: str, prefix: str, label: str) -> str:
    """Turn a drawing of matplotlib into what :func:`inline_svg` returns: declarations become attributes."""
    root = ET.fromstring(
        visible(text)
    )  # matplotlib repeats each label in a comment, where XML has no escapes
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in LEFT_OUT]:
            parent.remove(child)
    for node in root.iter():
        for declaration in node.attrib.pop("style", "").split(";"):
            name, _, value = declaration.partition(":")
            if value:
                node.set(name.strip(), value.strip())
        for name, value in node.attrib.items():
            if name == "id":
                node.set(name, f"{prefix}-{value}")
            elif name in ("href", f"{{{XLINK}}}href") and value.startswith("#"):
                node.set(name, f"#{prefix}-{value[1:]}")
            else:
                node.set(name, _REFERENCE.sub(rf"url(#{prefix}-\1)", value))
    root.attrib.pop("height", None)  # it follows from the width, which a narrow page makes smaller
    root.attrib |= {**INHERITED, "role": "img", "aria-label": visible(label)}
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", XLINK)
    return ET.tostring(root, encoding="unicode")
