"""What quell.yaml changes of a rule by its id: shipped files stay as they are."""

from collections.abc import Collection

from engine.catalog.parsing import Parsed
from engine.catalog.sources import CatalogSources, SourceFile
from engine.core.findings import Finding, nearest
from engine.core.rule_documents import RuleDocument, RuleOverlay, RulesDocument
from engine.core.severity import Mode, ModeLimit

_FIELDS = {"mode": "mode", "severity": "severity", "playbook": "playbook", "with_": "with"}


def overlaid(document: RuleDocument, overlay: RuleOverlay | None) -> RuleDocument:
    """The rule as quell.yaml wants it; `with` is added to, and begins anew for a new playbook."""
    if overlay is None:
        return document
    changes: dict[str, object] = {}
    if overlay.mode is not None:
        changes["mode"] = overlay.mode
    if overlay.severity is not None:
        changes["severity"] = overlay.severity
    if overlay.playbook is not None:
        changes["playbook"] = overlay.playbook
    if overlay.with_ is not None:
        kept = document.with_ if overlay.playbook in (None, document.playbook) else {}
        changes["with_"] = {**kept, **overlay.with_}
    return document.model_copy(update=changes)


def caps_of(
    file: SourceFile, document: RuleDocument, sources: CatalogSources
) -> tuple[ModeLimit, ...]:
    """What holds a shipped rule down until quell.yaml gives it a mode of its own.

    A rule without a playbook does nothing that could be held down.
    """
    overlay = sources.overlay.get(document.id)
    chosen = overlay is not None and overlay.mode is not None
    if not file.shipped or sources.shipped_mode is None or chosen or document.playbook is None:
        return ()
    mode = Mode(sources.shipped_mode)
    said = f"shipped rules {mode.value} until {sources.overlay_file} gives {document.id} a mode"
    return (ModeLimit(mode, said),)


def rule_findings(parsed: Parsed[RulesDocument], sources: CatalogSources) -> list[Finding]:
    """The mistakes of a file's rules; what the overlay wrote is shown as the overlay's mistake."""
    found = []
    for mistake in parsed.mistakes.found:
        name = _overlaid_word(parsed, mistake.path, sources)
        if name:
            found.append(Finding(sources.overlay_file, 0, 0, f"{name}: {mistake.message}"))
        elif not parsed.follows(mistake):
            found.append(parsed.finding(mistake))
    return found


def unknown_rules(sources: CatalogSources, known: Collection[str]) -> list[Finding]:
    """A finding for every overlay of a rule that isn't there."""
    return [
        Finding(sources.overlay_file, 0, 0, f"rules: unknown rule {name!r}{nearest(name, known)}")
        for name in sources.overlay
        if name not in known
    ]


def _overlaid_word(
    parsed: Parsed[RulesDocument], path: tuple[str | int, ...], sources: CatalogSources
) -> str:
    if len(path) < 3 or not isinstance(path[1], int):
        return ""
    rule = parsed.document.rules[path[1]]
    overlay = sources.overlay.get(rule.id)
    if overlay is None:
        return ""
    written = {_FIELDS.get(name, "") for name in overlay.model_fields_set}
    if "playbook" in written:
        # What the rule gives fits its own playbook; another one was chosen there.
        written.add("with")
    return ".".join(["rules", rule.id, *map(str, path[2:])]) if path[2] in written else ""
