"""What a schema offers as examples, by model and key."""

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

EXAMPLES: Mapping[str, Mapping[str, Sequence[JsonValue]]] = {
    "RuleDocument": {
        "matchers": [['alertname="LLMEndpointDown"', 'service=~"llm-.+"']],
        "when": ['alert.environment == "production"'],
        "for": ["5m"],
        "severity": [
            "P3",
            [{"when": 'alert.severity_hint == "critical"', "is": "P2"}, {"is": "P3"}],
        ],
        "group_by": [["service", "target"]],
        "mode": ["suggest"],
        "with": [{"host": "${{ alert.target }}"}],
        "notify": [["team"]],
    },
    "Window": {"within": ["5m"]},
    "PlaybookDocument": {
        "parameters": [{"host": {"type": "target", "kind": "host"}}],
        "guards": [{"cooldown": {"for": "15m", "per": "target"}}],
    },
    "Approval": {"from": [["role:oncall"]]},
    "StepDocument": {
        "uses": ["ssh.run", "ssh.read", "http.request", "llm.complete", "prometheus.query"],
        "with": [
            {"host": "${{ params.host }}", "command": "restart-unit", "args": {"unit": "vllm"}}
        ],
        "until": ["result.ok"],
        "within": ["5m"],
        "stable_for": ["30s"],
    },
    "CommandDocument": {"argv": [["sudo", "systemctl", "restart", "${{ args.unit }}"]]},
    "TargetDocument": {"kind": ["host"], "aliases": [["gpu-07:9100"]]},
    "Ceiling": {"when": ['environment == "production"']},
    "AlertStep": {
        "labels": [{"alertname": "LLMEndpointDown", "service": "llm-70b"}],
    },
    "Settings": {
        "sources": [
            {"alertmanager": {"uses": "alertmanager", "bearer": ["${env:ALERTMANAGER_TOKEN}"]}}
        ],
        "people": [{"roles": {"oncall": ["slack:T0123/U0456"]}}],
        "sla": [{"P1": {"acknowledge": "5m", "mitigate": "15m"}}],
        "secrets": [{"balancer-token": "${env:BALANCER_TOKEN}"}],
    },
    "EgressConfig": {"allow": [["status.example.com", "*.internal.example:8443"]]},
    "Retention": {"stream": ["7d"], "stream_size": ["2GiB"]},
}
