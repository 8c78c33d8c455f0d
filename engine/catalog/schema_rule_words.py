"""What editors show beside the keys of rules, by model and key."""

from collections.abc import Mapping

_WHEN = "an expression in CEL; the case holds where it is true"

RULE_WORDS: Mapping[str, Mapping[str, str]] = {
    "RulesDocument": {
        "language": "the version of the language that this file is written in",
        "defaults": "what every rule of this file has unless it says otherwise",
        "rules": "asked in order; the first that holds takes the alert",
    },
    "RuleDefaults": {
        "notify": "`[team]`: the people of quell.yaml are told; `[]`: nobody",
        "postmortem": "for which severities a postmortem is written",
    },
    "RuleDocument": {
        "id": "its name in incidents and overlays: lower case letters, digits and `-`",
        "description": "what is wrong when it holds, for people",
        "matchers": "Alertmanager's syntax, fully anchored; all of them must hold",
        "when": "an expression in CEL over `alert`, asked where the matchers hold",
        "inhibited_by": "another alert: while that fires, this rule's alert waits",
        "for": "how long it must have fired before the rule acts",
        "window": "how often it must happen within a time before the rule acts",
        "all_of": "several alerts that must come together before the rule acts",
        "absent": "the alerts are a heartbeat, and the rule acts when none comes",
        "flapping": "from when on it counts as flapping, and how long it must then be stable",
        "absorbs": "alerts of services that depend on this one wait while this one fires",
        "absorbed_by": "it waits while an alert with `absorbs` fires for what its service needs",
        "continue": "true lets the rules behind it have the alert, too",
        "severity": "P1 to P4, or cases: the first that holds counts",
        "escalate": "a higher severity once it has grown, or lasts",
        "group_by": "one incident for each combination of values: fields of the alert or labels",
        "mode": "how far it goes without a person, or cases: the first that holds counts",
        "playbook": "the id of the remedy; without one it starts nothing",
        "with": "the playbook's parameters; `${{ … }}` holds an expression over `alert`",
        "notify": "who is told, instead of the file's defaults; `[]`: nobody",
        "postmortem": "for which severities a postmortem is written, instead of the defaults",
    },
    "SeverityCase": {"when": _WHEN, "is": "the severity where it does"},
    "ModeCase": {"when": _WHEN, "is": "the mode where it does"},
    "Inhibition": {
        "matchers": "what the other alert must match",
        "equal": "labels that both alerts must share",
    },
    "Window": {
        "at_least": "so many",
        "of": "what is counted: occurrences, or each notice",
        "distinct": "count the different values of this label instead",
        "within": "a duration: 30s, 5m, 1h30m",
    },
    "AllOf": {
        "alerts": "the matchers of each alert",
        "within": "how far apart they may be; one that fires counts as of now",
    },
    "Absence": {
        "for": "how long none may have come",
        "expect_from_start": "true: also when none ever came",
    },
    "Flapping": {
        "at_least": "so many alerts of the incident began",
        "within": "in this time",
        "stable_for": "it is over once nothing has fired for so long",
    },
    "Growth": {
        "firing": "once so many of its alerts fire",
        "after": "once it has been open for so long",
        "is": "the severity from then on",
    },
    "RuleOverlay": {
        "mode": "instead of the rule's own",
        "severity": "instead of the rule's own",
        "playbook": "instead of the rule's own",
        "with": "parameters beside, or instead of, the rule's own",
        "enabled": "false leaves the rule out",
    },
}
