"""Rules and playbooks with their tests, made so that they are right in the project they go into."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel

from connectors import registry
from engine.app.configured import catalog_sources
from engine.app.process import SystemClock
from engine.app.rehearsals import alert_of_step
from engine.catalog import CatalogSources, load_what_is_right
from engine.catalog.drafts import (
    MORE,
    SKELETON,
    Example,
    Outcome,
    draft_rule,
    draft_test,
    outcome_of,
)
from engine.catalog.playbook_drafts import PlaybookDraft, Surroundings
from engine.catalog.sources import Kind, SourceFile, read_sources
from engine.core.catalog import Catalog
from engine.core.classify import classify
from engine.core.egress import EgressConfig
from engine.core.findings import Finding, nearest
from engine.core.inventory import enrich
from engine.core.rehearsal_documents import AlertStep
from engine.errors import ConfigError
from engine.settings import LoadedSettings


@dataclass(frozen=True, slots=True)
class Draft:
    """The texts of ID.yaml and ID.test.yaml, and what its author should know, "" for nothing.

    `mistakes` are those of the project's other files, which the draft has no part in.
    """

    id: str
    text: str
    test: str
    note: str = ""
    mistakes: Sequence[Finding] = ()


@dataclass(frozen=True, slots=True)
class _Project:
    """What is right of the project's files, and the mistakes of its rules and playbooks."""

    sources: CatalogSources
    catalog: Catalog
    mistakes: Sequence[Finding]

    @staticmethod
    def of(loaded: LoadedSettings) -> "_Project":
        """Raises ConfigError for mistakes in what a draft is made from, as the inventory."""
        sources = catalog_sources(loaded)
        files = read_sources(sources, [])
        catalog, mistakes = load_what_is_right(sources, registry.declarations())
        beside = {sources.overlay_file, *(each.path for each in files if each.kind in _BESIDE)}
        underneath = [each for each in mistakes if each.file not in beside]
        if underneath:
            raise ConfigError("nothing can be drafted from files with mistakes", underneath)
        return _Project(replace(sources, kept=files), catalog, mistakes)

    def with_draft(self, kind: Kind, draft: Draft) -> Draft:
        """The draft, once it is right among these files. Raises ConfigError where it isn't."""
        folder = "rules" if kind is Kind.RULES else "playbooks"
        added = [
            SourceFile(each, name, name, text.encode(), shipped=False)
            for each, name, text in (
                (kind, f"{folder}/{draft.id}.yaml", draft.text),
                (Kind.REHEARSALS, f"{folder}/{draft.id}.test.yaml", draft.test),
            )
        ]
        # Behind the user's own, so that a name that is taken is told of the draft.
        files = sorted((*(self.sources.kept or ()), *added), key=lambda each: each.shipped)
        _, found = load_what_is_right(replace(self.sources, kept=files), registry.declarations())
        if new := [each for each in found if each not in self.mistakes]:
            raise ConfigError("the draft would not be right in this project", new)
        return replace(draft, mistakes=self.mistakes)


# What has no part in a draft beside it.
_BESIDE = (Kind.RULES, Kind.PLAYBOOK, Kind.REHEARSALS)


def draft(loaded: LoadedSettings, rule_id: str, examples: Sequence[Example]) -> Draft:
    """A rule that takes these alerts, and a test that fires the first of them.

    Without examples it is a skeleton. Raises ConfigError for an id that is taken, and where an
    earlier rule takes the alert, because the new one would then never be asked.
    """
    project = _Project.of(loaded)
    catalog = project.catalog
    for rule in catalog.rules:
        if rule.id == rule_id:
            raise ConfigError(f"{rule.file} has a rule {rule_id!r} already; choose another --id")
    more = "" if examples else MORE
    examples = examples or (SKELETON,)
    first, place = examples[0], f"rules/{rule_id}.yaml"
    step = AlertStep(
        fire="alert", source=first.source, labels=first.fired, annotations=first.annotations
    )
    alert = enrich(alert_of_step(step, SystemClock().now(), firing=True), catalog.inventory)
    found = classify(alert, catalog.rules)
    taken = found.taken if found.taken is not None and not found.taken.is_catch_all else None
    if taken is not None and _is_asked_before(taken.rule.file, place):
        raise ConfigError(
            f"rule {taken.rule.id!r} of {taken.rule.file} takes this alert already, and is asked "
            f"before {place}; change that rule, or choose an --id that sorts before it"
        )
    outcomes = [
        Outcome(each.rule.id, each.severity, each.mode.mode.value)
        for each in found.observed
        if _is_asked_before(each.rule.file, place) and not each.is_catch_all
    ]
    outcomes.append(outcome_of(rule_id, first))
    note = ""
    if taken is not None:
        note = (
            f"rule {taken.rule.id!r} of {taken.rule.file} takes this alert so far, and is asked "
            "behind this one; keep one of them, or narrow the `matchers`"
        )
    made = Draft(rule_id, draft_rule(rule_id, examples, more), draft_test(first, outcomes), note)
    return project.with_draft(Kind.RULES, made)


def _is_asked_before(file: str, place: str) -> bool:
    """Whether the rules of a file come before those of `place`: the user's, in byte order."""
    return not file.startswith("shipped/") and file.encode() < place.encode()


def draft_playbook(loaded: LoadedSettings, playbook_id: str, uses: Sequence[str]) -> Draft:
    """A playbook that uses these actions, and tests that it passes unedited.

    Raises ConfigError for an id that is taken, an unknown action, and where nothing can be drafted
    for one.
    """
    project = _Project.of(loaded)
    catalog = project.catalog
    configs: dict[str, type[BaseModel]] = {}

    def note(kind: str, config: type[BaseModel]) -> Mapping[str, BaseModel]:
        configs[kind] = config
        return {}

    actions = registry.by_name(registry.build_actions(note, EgressConfig()))
    for name in uses:
        if name not in actions:
            raise ConfigError(f"unknown action {name!r}{nearest(name, actions)}")
    if playbook_id in catalog.playbooks:
        raise ConfigError(f"there is a playbook {playbook_id!r} already; choose another ID")
    allowed = loaded.settings.egress.allow
    if "http.request" in uses and not allowed:
        raise ConfigError(
            "http.request reaches only what quell.yaml allows, which is nothing yet; write "
            "`egress: {allow: [HOST]}` first"
        )
    around = Surroundings(
        actions=actions,
        estate=catalog.estate,
        connections={kind: _example(config) for kind, config in configs.items()},
        samples={"url": f"http://{allowed[0].removeprefix('*.')}/"} if allowed else {},
    )
    drafted = PlaybookDraft(playbook_id, uses, around)
    made = Draft(playbook_id, drafted.playbook, drafted.test)
    return project.with_draft(Kind.PLAYBOOK, made)


def _example(config: type[BaseModel]) -> Mapping[str, str]:
    """The keys of a connection that its connector gives as an example."""
    extra = config.model_config.get("json_schema_extra")
    found = extra.get("example") if isinstance(extra, dict) else None
    return {key: str(value) for key, value in found.items()} if isinstance(found, dict) else {}
