"""LangChain's model calls, counted by a callback handler; needs the extra `quell[langchain]`.

What LangChain calls, and with which arguments:
https://reference.langchain.com/python/langchain_core/callbacks
"""

import time
from collections.abc import Mapping
from threading import Lock
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from typing_extensions import override

from engine.client.reporting.reporter import Reporter

# Calls whose end nobody tells, because their task was dropped, are forgotten from here on.
MAX_UNDER_WAY = 10_000


class QuellCallbackHandler(BaseCallbackHandler):
    """Give it to a model, a chain or an agent: `config={"callbacks": [handler]}`; async ones too.

    The model's name is the one that LangChain tells LangSmith, else the class's. A `deployment` or
    `operation` in the call's `metadata` is told with it. A streamed call ends with its last chunk.
    """

    # In an async chain it is called where the call is made: it neither waits nor takes a thread.
    run_inline = True

    def __init__(self, reporter: Reporter) -> None:
        super().__init__()
        self._reporter = reporter
        self._under_way: dict[UUID, tuple[Mapping[str, str], float]] = {}
        self._lock = Lock()

    @override
    def on_llm_start(
        self,
        serialized: dict[str, Any],
        prompts: list[str],
        *,
        run_id: UUID,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self._begin(run_id, "completion", serialized, metadata, kwargs.get("invocation_params"))

    @override
    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[Any]],
        *,
        run_id: UUID,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self._begin(run_id, "chat", serialized, metadata, kwargs.get("invocation_params"))

    @override
    def on_llm_end(self, response: Any, *, run_id: UUID, **kwargs: Any) -> None:
        self._end(run_id, "")

    @override
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        self._end(run_id, error)

    def _begin(
        self,
        run_id: UUID,
        operation: str,
        serialized: Mapping[str, Any] | None,
        metadata: Mapping[str, Any] | None,
        parameters: Mapping[str, Any] | None,
    ) -> None:
        """LangChain hands over None where it knows nothing."""
        metadata, parameters = metadata or {}, parameters or {}
        about = {
            "model": metadata.get("ls_model_name")
            or parameters.get("model")
            or parameters.get("model_name")
            or (serialized or {}).get("name", ""),
            "operation": metadata.get("operation", operation),
            "deployment": metadata.get("deployment", ""),
        }
        with self._lock:
            if len(self._under_way) >= MAX_UNDER_WAY:
                del self._under_way[next(iter(self._under_way))]
            self._under_way[run_id] = about, time.monotonic()

    def _end(self, run_id: UUID, error: object) -> None:
        with self._lock:
            about, began_s = self._under_way.pop(run_id, ({}, 0.0))
        if about:
            self._reporter.record(**about, error=error, latency_s=time.monotonic() - began_s)
