"""What keeping secrets out costs: a text through the masker, and deciding on alerts with it.

`python -m benchmarks.masking`, from the root of the repository.
"""

import asyncio
import base64
import json
import random
import string
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.harness import Variant, compare, timed
from engine.core.masking import Masker
from engine.ports.known_secrets import KNOWN
from tests.doubles.world import a_world

LETTERS = f"{string.ascii_letters}{string.digits}-_/+=%&"
SECRET_CHARACTERS = 40
TEXT_BYTES = 64 * 1024
REPEATS = 50
ALERTS = 500
USUAL, MANY = 20, 200


def secrets(count: int, rng: random.Random) -> list[tuple[str, str]]:
    """As many as an installation may have, each as long as a token."""
    return [
        (f"secret.{number}", "".join(rng.choices(LETTERS, k=SECRET_CHARACTERS)))
        for number in range(count)
    ]


def texts(rng: random.Random) -> dict[str, str]:
    """64 KiB each: what hosts and services answer, and what is the hardest to tell from secrets."""
    row = {"labels": {"instance": "gpu-07:9100", "model": "llama"}, "value": [1.7e9, "0.31"]}
    return {
        "JSON": json.dumps([row] * 1000)[:TEXT_BYTES],
        "log": "12:00:01 INFO model_server: request done in 0.31 s, 212 tokens\n" * 1024,
        "base64": base64.b64encode(rng.randbytes(TEXT_BYTES))[:TEXT_BYTES].decode(),
    }


def masking(count: int) -> None:
    """Print how long it takes to make a masker, and to mask each text with it."""
    rng = random.Random(count)
    known = secrets(count, rng)
    made_s = timed(lambda: Masker(known))()
    masker = Masker(known)
    figures = []
    for name, text in texts(rng).items():
        first_s = timed(lambda text=text: masker.mask(text))()  # type: ignore[misc]
        began = time.perf_counter()
        for _ in range(REPEATS):
            masker.mask(text)
        each_ms = (time.perf_counter() - began) / REPEATS * 1000
        figures.append(f"{name} {each_ms:.2f} ms (the first {first_s * 1000:.1f})")
    print(f"{count:4} secrets: made in {made_s * 1000:.0f} ms; 64 KiB of {', '.join(figures)}")


def deciding(count: int) -> Callable[[], float]:
    """Seconds to decide on alerts that each open an incident, with so many secrets known."""

    async def decide() -> float:
        KNOWN.forget()
        for name, secret in secrets(count, random.Random(count)):
            KNOWN.keep(name, secret)
        KNOWN.mask("")  # made when it is first needed
        with tempfile.TemporaryDirectory() as folder:
            async with a_world(Path(folder)) as world:
                alerts = [world.alert("Odd", {"service": f"s-{n}"}) for n in range(ALERTS)]
                await world.intake.accept("alertmanager", alerts, 0)
                began = time.perf_counter()
                await world.consume()
                return time.perf_counter() - began

    return lambda: asyncio.run(decide())


def main() -> None:
    for count in (USUAL, MANY):
        masking(count)
    print(f"\n{ALERTS} alerts decided on, each opens an incident:")
    without = Variant("no secrets", deciding(0))
    print(compare(without, Variant(f"{USUAL} secrets", deciding(USUAL))).table())


if __name__ == "__main__":
    main()
