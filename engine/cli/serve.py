"""`quell up` and `quell serve`: the engine, embedded or as configured."""

import json as json_text
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import structlog
import typer

from engine.cli.options import Config, Inventory, Json, Playbooks, Rules, project_settings
from engine.cli.output import say
from engine.cli.server_file import Running, announced
from engine.settings import ALL_ROLES, LoadedSettings, Role, load_settings

if TYPE_CHECKING:
    from engine.app import Engine

log = structlog.get_logger(__name__)

Greeting = Literal["person", "program", "nobody"]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("up")(up)
    app.command("serve")(serve)


def _is_address(given: str | None) -> str | None:
    host, _, port = (given or "host:0").rpartition(":")
    if not host or not port.isdecimal():
        raise typer.BadParameter(f"{given!r} isn't HOST:PORT, like 127.0.0.1:8484")
    return given


def up(  # noqa: PLR0913 - one argument an option
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen",
            metavar="HOST:PORT",
            callback=_is_address,
            help="Default 127.0.0.1:8484; port 0: any that is free.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Where everything is kept: ./quell-data."),
    ] = None,
    rules: Rules = None,
    playbooks: Playbooks = None,
    inventory: Inventory = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Run the whole system on this machine, on one folder.

    The stream is embedded, the store is SQLite, and the shipped rules only observe. With --json,
    one line on standard output says where it is once it is up.
    """
    given: dict[str, object] = {
        "shipped_mode": "observe",
        "listen": listen,
        "data": data,
        **project_settings(rules, playbooks, inventory),
    }
    loaded = load_settings(config, given)
    return run_engine(loaded, ALL_ROLES, greeting="program" if json else "person")


def serve(
    config: Config = None,
    only: Annotated[
        Role | None, typer.Option("--only", help="Run this part alone; others run elsewhere.")
    ] = None,
    json: Json = False,
) -> int:
    """Run the engine as quell.yaml says.

    Any number of equal processes share one PostgreSQL and Kafka. With --json, one line on
    standard output says where it is once it is up.
    """
    roles = ALL_ROLES if only is None else frozenset({only})
    return run_engine(load_settings(config, {}), roles, greeting="program" if json else "nobody")


def run_engine(loaded: LoadedSettings, roles: frozenset[Role], *, greeting: Greeting) -> int:
    """Run until a signal."""
    import uvloop

    uvloop.run(_run(loaded, roles, greeting))
    return 0


async def _run(loaded: LoadedSettings, roles: frozenset[Role], greeting: Greeting) -> None:
    from engine.app import open_engine

    async with open_engine(loaded) as engine:
        with ExitStack() as announcement:

            def started(url: str) -> None:
                if url:
                    tls = loaded.settings.tls
                    certificate = None if tls is None else tls.certificate.absolute()
                    running = Running(url, engine.token, certificate)
                    announcement.enter_context(announced(loaded.settings.data, running))
                version = engine.catalogs.active.version
                log.info("started", url=url, roles=sorted(roles), catalog=version)
                if greeting == "person":
                    _greet(engine, url)
                elif greeting == "program":
                    where = {"url": url, "data": str(loaded.settings.data.resolve())}
                    typer.echo(json_text.dumps(where))

            await engine.run(roles, started)
    if greeting == "person":
        say("quell has stopped; everything is kept")


def _greet(engine: "Engine", url: str) -> None:
    catalog, settings = engine.catalogs.active, engine.loaded.settings
    shown = "" if str(settings.data) == "quell-data" else f" --data {settings.data}"
    say(f"quell is up on {url}", style="bold green")
    for warning in engine.reload.warnings():
        say(f"  {warning}", style="bold red")
    facts = (
        ("data", str(settings.data.resolve())),
        ("rules", f"{len(catalog.rules)}, and {len(catalog.playbooks)} playbooks"),
        ("Prometheus", f"alertmanagers: [{{targets: ['{url.partition('://')[2]}']}}]"),
        ("Alertmanager", f"webhook_configs: [{{url: '{url}/v1/alerts/alertmanager'}}]"),
        ("look", f"quell incidents{shown}"),
        ("stop", "Ctrl-C"),
    )
    for name, value in facts:
        say(f"  {name:<13} {value}")
