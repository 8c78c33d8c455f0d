"""`quell emergency-test`: whether the emergency address reaches anybody."""

import asyncio

import typer

from engine.cli.options import Config, Json
from engine.cli.output import print_json, say
from engine.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("emergency-test")(emergency_test)


def emergency_test(config: Config = None, json: Json = False) -> int:
    """Send a test message to the emergency address of quell.yaml.

    It goes out from this machine, with this configuration, as a real one would. Look whether it
    has arrived: only a person can see that.
    """
    from engine.app import try_emergency

    asyncio.run(try_emergency(load_settings(config, {})))
    if json:
        print_json({"accepted": True})
    else:
        say("the emergency address took the test message: see whether it has arrived")
    return 0
