"""Sizes as people write them: `256MiB` as bytes, and bytes as `256MiB`."""

_UNITS = {"TiB": 1024**4, "GiB": 1024**3, "MiB": 1024**2, "KiB": 1024, "B": 1}
_MOST_DIGITS = 15


def parse_size(text: str) -> int:
    """`256MiB` in bytes; units B, KiB, MiB, GiB, TiB. Raises ValueError, with an example."""
    digits = text.rstrip("BKMGTi")
    unit = text.removeprefix(digits)
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _MOST_DIGITS):
        unit = ""
    if unit not in _UNITS:
        raise ValueError(
            f"{text!r} isn't a size; write it like '256MiB' or '2GiB' (units {', '.join(_UNITS)})"
        )
    return int(digits) * _UNITS[unit]


def format_size(size: int) -> str:
    """The shortest spelling that `parse_size` reads back, and exactly so: 1536 is 1536B."""
    unit = next(unit for unit, of in _UNITS.items() if not size % of and (size or of == 1))
    return f"{size // _UNITS[unit]}{unit}"
