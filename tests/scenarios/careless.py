"""The texts of an installation in which whatever is asked or done shows what it should not."""

COMMANDS = """language: 1
commands:
  print-everything: {argv: [careless, print], effect: read, repeat: harmless}
  log-in: {argv: [careless, fail], effect: change, repeat: never}
"""
PLAYBOOK = """language: 1
id: careless
description: Whatever it asks or does shows what should not be shown
max_mode: approve
parameters:
  host: {type: target, kind: host}
  token: {type: secret, default: balancer-token}
approval: {from: [role:oncall], expires: 5m}
investigate:
  - id: everything
    uses: ssh.read
    with: {host: '${{ params.host }}', command: print-everything}
    required: false
  - id: status
    uses: http.request
    with: {method: GET, url: 'SERVICE/status'}
    required: false
  - id: by_token
    uses: prometheus.query
    connection: by-token
    with: {query: up}
    required: false
  - id: by_password
    uses: prometheus.query
    connection: by-password
    with: {query: up}
    required: false
  - id: shown
    uses: http.request
    with:
      method: GET
      url: 'SERVICE/echo'
      headers: {authorization: 'Bearer ${{ params.token }}', x-token: '${{ params.token }}'}
    required: false
steps:
  - id: told
    uses: http.request
    with:
      method: POST
      url: 'SERVICE/echo'
      headers: {authorization: 'Bearer ${{ params.token }}'}
      body: {token: '${{ params.token }}'}
    timeout: 30s
    rollback: none
  - id: log_in
    uses: ssh.run
    with: {host: '${{ params.host }}', command: log-in}
    timeout: 30s
    rollback: none
verify:
  - id: completes
    uses: llm.complete
    connection: vendor
    with: {target: '${{ params.host }}', model: llama}
    until: result.ok
    within: 2s
    every: 500ms
"""
RULES = """language: 1
defaults: {notify: [team], postmortem: [P1]}
rules:
  - id: careless
    description: Takes everything
    matchers: ['alertname="Down"']
    severity: P1
    group_by: [service]
    mode: approve
    playbook: careless
    with: {host: '${{ alert.target }}'}
"""
SCRIPT = """#!/bin/sh
here=$(dirname "$0")
case $1 in
print) env; cat "$here/careless.txt" ;;
fail) cat "$here/careless.txt" >&2; exit 1 ;;
esac
"""
