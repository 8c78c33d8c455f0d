"""Whether a package of one of quell's extras is there, without importing it."""

from importlib.util import find_spec


def is_installed(module: str) -> bool:
    """Such as `google.oauth2`; False also where nothing of its parent package is there."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
