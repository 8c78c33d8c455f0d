"""Prometheus's alerting rules in a hurry: what they wait for and look back on, divided."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

FACTOR = 240
# A rate needs some scrapes in its window, however short the window was.
SHORTEST_S = 3.0
UNITS_S: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600, "d": 86400}

_DURATION = r"(\d+)([smhd])"
# A range, its subquery's step, an offset; and how far predict_linear looks ahead, in seconds.
_LOOKED_BACK = re.compile(rf"(\[|:|offset ){_DURATION}(?=[\]:\s)]|$)")
_LOOKED_AHEAD = re.compile(r"(?<=\], )(\d+(?: \* \d+)?)(?=\))")


def hurried(text: str) -> dict[str, Any]:
    """A rules file's content with its durations divided; thresholds and labels stay."""
    content: dict[str, Any] = yaml.safe_load(text)
    for group in content["groups"]:
        for rule in group["rules"]:
            rule["expr"] = hurried_expression(rule["expr"])
            if "for" in rule:
                rule["for"] = re.sub(
                    _DURATION, lambda found: _shorter(*found.groups()), rule["for"]
                )
    return content


def hurried_expression(promql: str) -> str:
    shorter = _LOOKED_BACK.sub(lambda found: found[1] + _shorter(found[2], found[3]), promql)
    return _LOOKED_AHEAD.sub(rf"(\1) / {FACTOR}", shorter)


def _shorter(number: str, unit: str) -> str:
    seconds = max(int(number) * UNITS_S[unit] / FACTOR, SHORTEST_S)
    return f"{seconds * 1000:.0f}ms"
