"""`llm.complete`: a real completion of a few tokens, which proves more than a health page does."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from engine.core.action_inputs import check_inputs
from engine.core.actions import (
    Call,
    Declaration,
    Effect,
    Estate,
    Input,
    Prepared,
    ProbeAnswer,
    Repeat,
    Result,
)
from engine.core.documents import Argument, TargetDocument
from engine.core.expressions import ValueType
from engine.core.findings import nearest
from engine.core.json_value import Json, JsonObject
from engine.errors import PermanentError

if TYPE_CHECKING:
    import httpx2
    import openai

DEFAULT_PROMPT = "Answer with one word: ready"
DEFAULT_MAX_TOKENS = 8
MAX_TOKENS = 256
MAX_PROMPT_CHARACTERS = 8 * 1024
MAX_TEXT_CHARACTERS = 4 * 1024
MAX_ERROR_CHARACTERS = 500

# What is sent besides the body. The SDK would add an organisation and any header that this
# machine's environment names for api.openai.com; none of that belongs to a target.
SENT_HEADERS = frozenset(
    {"host", "accept", "accept-encoding", "connection", "content-type", "content-length"}
)

DECLARATION = Declaration(
    name="llm.complete",
    version=1,
    description="Asks an OpenAI-compatible endpoint for a short completion.",
    inputs={
        "target": Input(
            ValueType.STRING, description="the id of a target with a url or a port", names="target"
        ),
        "model": Input(ValueType.STRING, description="the model's name, as the endpoint knows it"),
        "prompt": Input(ValueType.STRING, required=False, description="what to ask"),
        "max_tokens": Input(
            ValueType.INT,
            required=False,
            description=f"at most so many, 1 to {MAX_TOKENS}",
            form=Argument(type="integer", minimum=1, maximum=MAX_TOKENS),
        ),
    },
    outputs={
        "ok": ValueType.BOOL,
        "latency_s": ValueType.DOUBLE,
        "time_to_first_token_s": ValueType.DOUBLE,
        "text": ValueType.STRING,
        "status": ValueType.INT,
        "error": ValueType.STRING,
    },
    effects=frozenset({Effect.READ}),
    connection_kind="llm",
)


class LlmConfig(BaseModel):
    """A connection of kind `llm`: the key for endpoints that want one."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    uses: Literal["llm"] = "llm"
    api_key: Annotated[SecretStr, Field(min_length=1)]


@dataclass(slots=True)
class _Completion:
    """What came of one so far; times are the event loop's."""

    began: float
    first_token: float | None = None
    text: str = ""
    finished: bool = False
    status: int = 0
    error: str = ""


class LlmComplete:
    """Streams one chat completion by the openai SDK; the key is sent only where a step names it."""

    def __init__(self, connections: Mapping[str, LlmConfig]) -> None:
        self._configs = connections

    @property
    def declaration(self) -> Declaration:
        """See Action."""
        return DECLARATION

    def prepare(
        self, inputs: Mapping[str, Json], estate: Estate, connection: str | None
    ) -> Prepared:
        """The endpoint's URL from the inventory, and the question."""
        check_inputs(DECLARATION, inputs)
        name, model = str(inputs["target"]), str(inputs["model"])
        target = estate.targets.get(name)
        if target is None:
            raise PermanentError(
                f"input 'target': {name!r} is no target of the inventory"
                f"{nearest(name, estate.targets)}"
            )
        if connection and estate.connections.get(connection) != "llm":
            raise PermanentError(f"{connection!r} is no connection that uses llm")
        prompt = str(inputs.get("prompt", DEFAULT_PROMPT))
        max_tokens = inputs.get("max_tokens", DEFAULT_MAX_TOKENS)
        if not model or not 0 < len(prompt) <= MAX_PROMPT_CHARACTERS:
            raise PermanentError(
                f"input 'model' is {model!r} and 'prompt' has {len(prompt)} characters; neither "
                f"may be empty, nor the prompt longer than {MAX_PROMPT_CHARACTERS}"
            )
        if not isinstance(max_tokens, int) or not 1 <= max_tokens <= MAX_TOKENS:
            raise PermanentError(f"input 'max_tokens' is {max_tokens!r}; 1 to {MAX_TOKENS} fit")
        return Prepared(
            effect=Effect.READ,
            repeat=Repeat.HARMLESS,
            connection=connection or "",
            targets=(name,),
            description=f"completion of at most {max_tokens} tokens by {model!r} on {name}",
            payload={
                "base_url": _base_url(name, target),
                "model": model,
                "prompt": prompt,
                "max_tokens": max_tokens,
            },
        )

    async def look(self, call: Call) -> JsonObject:
        """Nothing: it changes nothing."""
        return {}

    async def execute(self, call: Call) -> Result:
        """Ask once. An endpoint that fails is an answer, with `ok` false and the reason."""
        api_key = ""
        if call.prepared.connection:
            config = self._configs.get(call.prepared.connection)
            if config is None:
                raise PermanentError(
                    f"there is no connection {call.prepared.connection!r} any more"
                )
            api_key = config.api_key.get_secret_value()
        await asyncio.to_thread(import_module, "openai")  # takes a second the first time
        loop = asyncio.get_running_loop()
        completion = _Completion(began=loop.time())
        try:
            async with asyncio.timeout(call.bound_s):
                await _complete(call.prepared.payload, api_key, completion)
        except TimeoutError:
            completion.error = f"no end within {call.bound_s:g} s"
        latency_s = loop.time() - completion.began
        if not completion.error and not (completion.finished and completion.first_token):
            completion.error = "the answer ended without a token or before its end"
        first = completion.first_token
        outputs: dict[str, Json] = {
            "ok": not completion.error,
            "latency_s": round(latency_s, 3),
            "time_to_first_token_s": round((first or loop.time()) - completion.began, 3),
            "text": completion.text[:MAX_TEXT_CHARACTERS].replace("\0", "\ufffd"),
            "status": completion.status,
            "error": completion.error[:MAX_ERROR_CHARACTERS].replace("\0", "\ufffd"),
        }
        return Result(succeeded=True, outputs=outputs, evidence=_evidence(outputs))

    async def probe(self, call: Call, before: JsonObject) -> ProbeAnswer:
        """A read has nothing to settle."""
        return ProbeAnswer.CANNOT_TELL

    async def close(self) -> None:
        """Nothing: a verification must not owe its success to a connection kept open."""


async def _complete(payload: JsonObject, api_key: str, completion: _Completion) -> None:
    import httpx2
    import openai

    async def keep_to_ourselves(request: "httpx2.Request") -> None:
        for name in set(request.headers) - SENT_HEADERS:
            del request.headers[name]
        request.headers["user-agent"] = "quell"
        if api_key:
            request.headers["authorization"] = f"Bearer {api_key}"

    async def note_status(response: "httpx2.Response") -> None:
        completion.status = response.status_code

    hooks = {"request": [keep_to_ourselves], "response": [note_status]}
    web = openai.DefaultAsyncHttpx2Client(
        trust_env=False, follow_redirects=False, event_hooks=hooks
    )
    client = openai.AsyncOpenAI(
        base_url=str(payload["base_url"]),
        api_key=api_key or "none",
        max_retries=0,
        http_client=web,
    )
    try:
        async with client:
            await _stream(client, payload, completion)
    except openai.APIStatusError as error:
        completion.error = f"HTTP {error.status_code}: {_said(error)}"
    except (AttributeError, TypeError) as error:
        # The SDK takes any JSON for a chunk, and finds out where a field of it is used.
        completion.error = f"the answer isn't a chat completion: {error}"
    except (openai.OpenAIError, httpx2.HTTPError, ValueError) as error:
        completion.error = (
            f"{_said(error)} ({error.__cause__})" if error.__cause__ else _said(error)
        )


async def _stream(
    client: "openai.AsyncOpenAI", payload: JsonObject, completion: _Completion
) -> None:
    loop = asyncio.get_running_loop()
    stream = await client.chat.completions.create(
        model=str(payload["model"]),
        messages=[{"role": "user", "content": str(payload["prompt"])}],
        max_tokens=int(str(payload["max_tokens"])),
        stream=True,
    )
    async with stream:
        async for chunk in stream:
            for choice in chunk.choices:
                # A reasoning model may spend all its tokens on thoughts; they prove as much.
                thought = (choice.delta.model_extra or {}).get("reasoning_content") or ""
                if choice.delta.content or thought:
                    completion.first_token = completion.first_token or loop.time()
                    room = MAX_TEXT_CHARACTERS - len(completion.text)
                    completion.text += (choice.delta.content or "")[: max(0, room)]
                completion.finished = completion.finished or choice.finish_reason is not None


def _base_url(name: str, target: TargetDocument) -> str:
    if target.url:
        base = target.url.rstrip("/")
    elif target.address and target.port:
        host = f"[{target.address}]" if ":" in target.address else target.address
        base = f"http://{host}:{target.port}"
    else:
        raise PermanentError(
            f"input 'target': {name!r} has neither a `url` nor an `address` with a `port`; add one"
        )
    return base if base.endswith("/v1") else f"{base}/v1"


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _evidence(outputs: JsonObject) -> str:
    if outputs["ok"]:
        first = outputs["time_to_first_token_s"]
        return f"{outputs['text']!r} in {outputs['latency_s']} s, first token after {first} s"
    return f"no completion after {outputs['latency_s']} s: {outputs['error']}"
