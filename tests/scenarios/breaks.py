"""What breaks each shipped rule whose alerts come from Prometheus: the figures, and how bad it is.

Figures of a service that is well are in `WELL`, by the job that shows them; a break turns some.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from tests.scenarios.exporters import Figures, FromNow, PerSecond
from tests.scenarios.hurried import FACTOR

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S

Job = Literal["vllm", "dcgm", "node", "jupyterhub", "llm-replicas", "llm-services"]
# Its exporter doesn't answer.
DOWN = None
PORTS: Mapping[Job, int] = {
    "vllm": 8000,
    "dcgm": 9400,
    "node": 9100,
    "jupyterhub": 8081,
    "llm-replicas": 443,
    "llm-services": 443,
}


def requests(status: str) -> str:
    return f'http_requests_total{{handler="/v1/chat/completions",method="POST",status="{status}"}}'


def bucket(of: str, le: str) -> str:
    return f'vllm:{of}_seconds_bucket{{engine="0",le="{le}",model_name="llama"}}'


def vllm(name: str) -> str:
    return f'vllm:{name}{{engine="0",model_name="llama"}}'


def gpu(name: str, more: str = "") -> str:
    return f'{name}{{gpu="0",UUID="GPU-a",device="nvidia0",Hostname="gpu"{more}}}'


def xid(code: int) -> Figures:
    return {gpu("DCGM_EXP_XID_ERRORS_COUNT", f',xid="{code}",window_size_in_ms="300000"'): 1}


def disk(name: str, mountpoint: str) -> str:
    device = 'device="/dev/nvme0n1p1",fstype="ext4"'
    return f'node_filesystem_{name}{{{device},mountpoint="{mountpoint}"}}'


def cpu(mode: str) -> str:
    return f'node_cpu_seconds_total{{cpu="0",mode="{mode}"}}'


def spawns(status: str) -> str:
    return f'jupyterhub_server_spawn_duration_seconds_count{{status="{status}"}}'


def deployment(point: str) -> str:
    return f'llm_deployment_{point}_timestamp_seconds{{deployment="llama-4"}}'


CACHE = "/var/lib/models"
GPU_MIB = 80_000.0
LOADED_MIB = 20_000.0

WELL: Mapping[Job, Figures] = {
    "vllm": {
        requests("2xx"): PerSecond(100),
        requests("5xx"): PerSecond(0),
        **{
            bucket(of, le): PerSecond(10)
            for of, les in {
                "time_to_first_token": ("1.0", "40.0", "80.0", "+Inf"),
                "e2e_request_latency": ("1.0", "120.0", "240.0", "+Inf"),
            }.items()
            for le in les
        },
        vllm("num_requests_running"): 4,
        vllm("num_requests_waiting"): 0,
        vllm("kv_cache_usage_perc"): 0.5,
    },
    "dcgm": {
        gpu("DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS"): PerSecond(0),
        gpu("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL"): PerSecond(0),
        gpu("DCGM_FI_DEV_ROW_REMAP_FAILURE"): 0,
        gpu("DCGM_FI_DEV_GPU_TEMP"): 60,
        gpu("DCGM_FI_DEV_MEMORY_TEMP"): 70,
        gpu("DCGM_FI_DEV_GPU_UTIL"): 80,
        gpu("DCGM_FI_DEV_FB_USED"): LOADED_MIB,
        gpu("DCGM_FI_DEV_FB_FREE"): GPU_MIB - LOADED_MIB,
        **{each: None for code in (79, 94, 119) for each in xid(code)},
    },
    "node": {
        **{
            each: figure
            for mountpoint in ("/", CACHE)
            for each, figure in {
                disk("size_bytes", mountpoint): 1e12,
                disk("avail_bytes", mountpoint): 5e11,
                disk("readonly", mountpoint): 0,
            }.items()
        },
        cpu("idle"): PerSecond(0.9),
        cpu("iowait"): PerSecond(0.0),
        cpu("user"): PerSecond(0.1),
        deployment("requested"): FromNow(-5 * HOUR_S),
        deployment("ready"): FromNow(-4 * HOUR_S),
    },
    "jupyterhub": {
        spawns("success"): PerSecond(1),
        spawns("failure"): PerSecond(0),
        spawns("already-pending"): PerSecond(1),
    },
    "llm-replicas": {"probe_success": 1, "probe_ssl_earliest_cert_expiry": FromNow(60 * DAY_S)},
    "llm-services": {"probe_success": 1, "probe_ssl_earliest_cert_expiry": FromNow(60 * DAY_S)},
}


@dataclass(frozen=True, slots=True)
class Break:
    """One way to break a rule: `figures` turn it, by job, and its incident has this severity.

    `also` is another rule that the same figures rightly break.
    """

    environment: Literal["production", "staging"]
    severity: str
    figures: Mapping[Job, Figures | None]
    also: str = ""


production = partial(Break, "production")
staging = partial(Break, "staging")


def failing(percent: float) -> Figures:
    return {requests("2xx"): PerSecond(100 - percent), requests("5xx"): PerSecond(percent)}


def slow(of: str, *les: str) -> Figures:
    """No request ends within these any more."""
    return {bucket(of, le): PerSecond(0) for le in les}


def full(mountpoint: str, free: float) -> Figures:
    return {disk("avail_bytes", mountpoint): free * 1e12}


def leaking(hours_to_full: float) -> Figures:
    """From what a model takes to all there is, in so many hours."""
    pace = PerSecond((GPU_MIB - LOADED_MIB) / (hours_to_full * HOUR_S / FACTOR))
    return {
        gpu("DCGM_FI_DEV_FB_USED"): pace,
        gpu("DCGM_FI_DEV_FB_FREE"): PerSecond(-pace.by),
    }


def requested(hours_ago: float) -> Figures:
    return {deployment("requested"): FromNow(-hours_ago * HOUR_S), deployment("ready"): None}


FIRST_TOKEN = slow("time_to_first_token", "1.0", "40.0")
LAST_TOKEN = slow("e2e_request_latency", "1.0", "120.0")
QUEUE: Figures = {vllm("num_requests_waiting"): 60}
CACHE_FULL: Figures = {vllm("kv_cache_usage_perc"): 0.97}
# Again and again: an hour after the last one the alert ends by itself.
ROWS: Figures = {gpu("DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS"): PerSecond(1)}
DOUBLE_BIT: Figures = {gpu("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL"): PerSecond(1)}
NO_SPARE_ROWS: Figures = {gpu("DCGM_FI_DEV_ROW_REMAP_FAILURE"): 1}
WARM: Figures = {gpu("DCGM_FI_DEV_GPU_TEMP"): 87}
HOT: Figures = {gpu("DCGM_FI_DEV_GPU_TEMP"): 92}
HOT_MEMORY: Figures = {gpu("DCGM_FI_DEV_MEMORY_TEMP"): 97}
IDLE: Figures = {gpu("DCGM_FI_DEV_GPU_UTIL"): 0}
BUSY: Figures = {cpu("idle"): PerSecond(0.05), cpu("user"): PerSecond(0.95)}
PROBE_FAILS: Figures = {"probe_success": 0}
NO_SPAWNS: Figures = {spawns("success"): PerSecond(0), spawns("failure"): PerSecond(1)}


def expiring(days: float) -> Figures:
    return {"probe_ssl_earliest_cert_expiry": FromNow(days * DAY_S)}


BURN = "llm-error-budget-burn"
BREAKS: Mapping[str, tuple[Break, ...]] = {
    "vllm-not-answering": (
        production("P1", {"llm-replicas": PROBE_FAILS}),
        staging("P2", {"llm-replicas": PROBE_FAILS}),
    ),
    BURN: (
        production("P1", {"llm-services": PROBE_FAILS}),
        production("P2", {"vllm": failing(4)}),
        production("P3", {"vllm": failing(1)}),
        staging("P3", {"llm-services": PROBE_FAILS}),
    ),
    "llm-slow": (
        production("P3", {"vllm": FIRST_TOKEN}),
        production("P3", {"vllm": LAST_TOKEN}),
        staging("P4", {"vllm": FIRST_TOKEN}),
    ),
    "llm-error-rate": (
        production("P2", {"vllm": failing(20)}, BURN),
        staging("P3", {"vllm": failing(20)}, BURN),
    ),
    "llm-queue-long": (
        production("P2", {"vllm": QUEUE}),
        staging("P4", {"vllm": QUEUE}),
    ),
    "llm-cache-full": (
        production("P3", {"vllm": CACHE_FULL}),
        staging("P4", {"vllm": CACHE_FULL}),
    ),
    "gpu-xid-restart-app": (production("P2", {"dcgm": xid(94)}), staging("P3", {"dcgm": xid(94)})),
    "gpu-xid-reset": (production("P2", {"dcgm": xid(119)}), staging("P3", {"dcgm": xid(119)})),
    "gpu-xid-isolate": (production("P1", {"dcgm": xid(79)}), staging("P2", {"dcgm": xid(79)})),
    "gpu-memory-errors": (
        production("P3", {"dcgm": ROWS}),
        production("P3", {"dcgm": DOUBLE_BIT}),
        production("P2", {"dcgm": NO_SPARE_ROWS}),
        staging("P3", {"dcgm": NO_SPARE_ROWS}),
    ),
    "gpu-hot": (
        production("P3", {"dcgm": WARM}),
        production("P2", {"dcgm": HOT}),
        production("P2", {"dcgm": HOT_MEMORY}),
        staging("P3", {"dcgm": HOT}),
    ),
    "gpu-stuck-at-zero": (
        production("P2", {"dcgm": IDLE, "vllm": {}}),
        staging("P3", {"dcgm": IDLE, "vllm": {}}),
    ),
    "gpu-memory-leak": (
        production("P1", {"dcgm": leaking(5.6)}),
        production("P2", {"dcgm": leaking(8.4)}),
        staging("P3", {"dcgm": leaking(5.6)}),
    ),
    "host-down": (
        production("P1", {"node": DOWN}),
        staging("P3", {"node": DOWN}),
    ),
    "host-cpu-busy": (
        production("P3", {"node": BUSY}),
        staging("P4", {"node": BUSY}),
    ),
    "model-cache-nearly-full": (
        production("P3", {"node": full(CACHE, 0.08)}),
        production("P2", {"node": full(CACHE, 0.02)}),
        staging("P2", {"node": full(CACHE, 0.02)}),
    ),
    "host-disk-nearly-full": (
        production("P3", {"node": full("/", 0.04)}),
        production("P2", {"node": full("/", 0.02)}),
    ),
    "certificate-expires-soon": (
        production("P4", {"llm-services": expiring(10)}),
        production("P2", {"llm-services": expiring(2)}),
        staging("P3", {"llm-services": expiring(2)}),
    ),
    "jupyterhub-down": (
        production("P2", {"jupyterhub": DOWN}),
        staging("P3", {"jupyterhub": DOWN}),
    ),
    "jupyterhub-spawns-fail": (
        production("P3", {"jupyterhub": NO_SPAWNS}),
        staging("P4", {"jupyterhub": NO_SPAWNS}),
    ),
    "llm-deployment-late": (
        production("P3", {"node": requested(3.5)}),
        production("P2", {"node": requested(4.5)}),
        staging("P3", {"node": requested(4.5)}),
    ),
}
