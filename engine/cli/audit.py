"""`quell audit`: prove that the journal is what was written, here or far from its database."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import DATA, Config, Data, Json
from engine.cli.output import print_json, say
from engine.cli.site import reach
from engine.core.audit_export import ExportCheck, read_copies, told
from engine.core.checkpoint import SignatureCheck
from engine.core.journal import Entry
from engine.errors import ConfigError
from engine.ports.api import AuditAnswer
from engine.settings import load_settings
from engine.signing import keyring, public_keys_in, signer_in, signer_of

verbs = typer.Typer(help="Prove that the journal is what was written.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.add_typer(verbs, name="audit")


@verbs.command("verify")
def verify(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="An export; default: the journal itself."),
    ] = None,
    checkpoints: Annotated[
        list[Path] | None,
        typer.Option(
            "--checkpoints",
            metavar="FILE",
            help="Checkpoints that you kept: copies, or an older export; repeatable.",
        ),
    ] = None,
    key: Annotated[
        list[Path] | None,
        typer.Option("--key", metavar="FILE", help="Public keys that you trust; repeatable."),
    ] = None,
    data: Data = DATA,
    json: Json = False,
) -> int:
    """Check every chain and every checkpoint: what was edited, deleted, moved, cut or forked.

    A FILE is checked without any server or database. Exit code 1 on findings, and when
    --checkpoints or --key are given and no checkpoint verifies by them.
    """
    proof_wanted = bool(checkpoints or key)
    if file is None and not proof_wanted:
        with reach(data) as site:
            report = site.verify_audit()
    else:
        report = _verified_here(file, _keys(key or []), _held(checkpoints or []), data)
    unproven = proof_wanted and not report.verified_checkpoint
    if json:
        print_json(report)
    else:
        _tell(report, unproven=unproven)
    return 1 if report.faults or unproven else 0


@verbs.command("export")
def export(
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Default: standard output."),
    ] = None,
    data: Data = DATA,
) -> int:
    """Write the whole journal as JSON lines, which `quell audit verify FILE` checks anywhere."""
    with reach(data) as site, _written(output) as take:
        site.export_audit(take)
    return 0


@verbs.command("key")
def key(
    config: Config = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="The engine's data folder.")
    ] = None,
) -> int:
    """Print the public key of the checkpoints, for those who verify elsewhere."""
    settings = load_settings(config, {"data": data}).settings
    secret = settings.audit.signing_key
    signer = signer_in(settings.data) if secret is None else signer_of(secret.get_secret_value())
    if signer is None:
        raise ConfigError(
            f"there is no signing key: audit.signing_key is not set, and no engine has made one in "
            f"{str(settings.data)!r} yet"
        )
    typer.echo(signer.public_key, nl=False)
    return 0


def _verified_here(
    file: Path | None, check: SignatureCheck | None, held: tuple[list[Entry], list[str]], data: Path
) -> AuditAnswer:
    """What this process finds by itself, whoever sends the journal."""
    copies, notes = held
    export = ExportCheck(check, copies)
    if file is None:
        with reach(data) as site:
            site.export_audit(export.line)
    else:
        with _opened(file) as lines:
            for line in lines:
                export.line(line)
    outcome = export.end()
    return AuditAnswer(
        chains=outcome.chains,
        entries=outcome.entries,
        faults=tuple(map(told, outcome.faults)),
        notes=(*notes, *outcome.notes),
        checkpoints=outcome.checkpoints,
        verified_checkpoint=outcome.verified,
        verified_at=outcome.verified_at,
        uncovered=outcome.uncovered,
    )


def _tell(report: AuditAnswer, *, unproven: bool) -> None:
    for fault in report.faults:
        say(fault)
    for note in report.notes:
        say(note, style="dim")
    checkpoints = "1 checkpoint" if report.checkpoints == 1 else f"{report.checkpoints} checkpoints"
    counted = f"{report.entries} entries in {report.chains} chains, {checkpoints}"
    if report.faults:
        findings = "1 finding" if len(report.faults) == 1 else f"{len(report.faults)} findings"
        say(f"{counted}: {findings}", style="bold red")
    elif unproven:
        say(f"{counted}: no checkpoint verifies by what was given", style="bold red")
    else:
        say(f"{counted}: all are as they were written", style="green")
    if report.verified_checkpoint:
        when = f"{datetime.fromisoformat(report.verified_at):%Y-%m-%d %H:%M:%S} UTC"
        after = f"{report.uncovered} entries came after it and are not covered"
        if report.uncovered < 2:
            after = "1 entry came after it and is not covered"
        if report.uncovered == 0:
            after = "nothing came after it"
        say(f"checkpoint {report.verified_checkpoint} of {when} is the last that verified: {after}")


def _keys(files: list[Path]) -> SignatureCheck | None:
    texts: list[str] = []
    for file in files:
        with _opened(file) as lines:
            found = public_keys_in(b"".join(lines).decode(errors="replace"))
        if not found:
            raise ConfigError(f"there is no key in {str(file)!r}")
        texts += found
    return keyring(texts)


def _held(files: list[Path]) -> tuple[list[Entry], list[str]]:
    copies: list[Entry] = []
    notes: list[str] = []
    for file in files:
        with _opened(file) as lines:
            found, told_of = read_copies(lines)
        copies += found
        notes += [f"{file}: {note}" for note in told_of]
    return copies, notes


@contextmanager
def _opened(file: Path) -> Iterator[Iterator[bytes]]:
    """Its lines. Raises ConfigError when it can't be read."""
    try:
        with file.open("rb") as lines:
            yield lines
    except OSError as error:
        raise ConfigError(f"{str(file)!r} can't be read: {error.strerror}") from None


@contextmanager
def _written(output: Path | None) -> Iterator[Callable[[bytes], object]]:
    """Where lines go: to a file that appears when it is whole, for its owner alone to read."""
    if output is None:
        yield sys.stdout.buffer.write
        sys.stdout.buffer.flush()
        return
    draft = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(opened, "wb") as file:
                yield file.write
            draft.replace(output)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{str(output)!r} can't be written: {error.strerror}") from None
