"""The callback handler in the real library: its chat models and LLMs, their errors, async too."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel, FakeListChatModel, FakeListLLM
from langchain_core.language_models.fake_chat_models import FakeListChatModelError
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableConfig
from typing_extensions import override

from engine.client.reporting import Endpoint, Reporter, Thresholds
from engine.client.reporting.langchain_handler import MAX_UNDER_WAY, QuellCallbackHandler
from tests.doubles.notice_receiver import NoticeReceiver

QUICK = Thresholds(window_s=6.0, repeat_s=0.2)


class RateLimitError(Exception):
    """As a provider's client raises it."""


class LlamaChat(BaseChatModel):
    """A model with a name and a deployment, as a provider's integration has them."""

    model: str = "llama-3-70b"
    fails: bool = False
    takes_s: float = 0.0

    @property
    @override
    def _llm_type(self) -> str:
        return "llama-chat"

    @override
    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        time.sleep(self.takes_s)
        if self.fails:
            raise RateLimitError(f"too many tokens in {messages[0].content!r}")
        return ChatResult(generations=[ChatGeneration(message=AIMessage("fine"))])

    @override
    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kw: Any) -> ChatResult:
        await asyncio.sleep(self.takes_s)
        return self.model_copy(update={"takes_s": 0.0})._generate(messages)


@pytest.fixture
def reporter() -> Iterator[Reporter]:
    with Reporter("a", Endpoint("http://127.0.0.1:9")) as reporter:
        yield reporter


@pytest.fixture
def config(reporter: Reporter) -> RunnableConfig:
    return {"callbacks": [QuellCallbackHandler(reporter)]}


def recorded(reporter: Reporter) -> Mapping[tuple[str, ...], tuple[int, dict[str, int]]]:
    """Calls and error classes by model, operation and deployment."""
    found = {}
    for subject, watched in reporter._ledger._watched.items():
        counts = watched.window.counts(time.monotonic())
        found[tuple(value for _, value in subject)] = (counts.calls, dict(counts.errors))
    return found


def test_a_chat_model_is_counted_by_its_name(reporter: Reporter, config: RunnableConfig) -> None:
    LlamaChat().invoke("hello", config)
    with pytest.raises(RateLimitError):
        LlamaChat(fails=True).invoke("hello", config)
    assert recorded(reporter) == {("llama-3-70b", "chat"): (2, {"RateLimitError": 1})}


def test_a_model_without_a_name_is_counted_by_its_class(
    reporter: Reporter, config: RunnableConfig
) -> None:
    FakeListChatModel(responses=["a"]).invoke("hello", config)
    FakeListLLM(responses=["a"]).invoke("hello", config)
    assert recorded(reporter) == {
        ("FakeListChatModel", "chat"): (1, {}),
        ("FakeListLLM", "completion"): (1, {}),
    }


def test_the_calls_metadata_names_deployment_and_operation(
    reporter: Reporter, config: RunnableConfig
) -> None:
    config["metadata"] = {"deployment": "fra-2", "operation": "summarise"}
    LlamaChat().invoke("hello", config)
    assert recorded(reporter) == {("llama-3-70b", "summarise", "fra-2"): (1, {})}


def test_a_batch_is_as_many_calls(reporter: Reporter, config: RunnableConfig) -> None:
    FakeListLLM(responses=["a"]).batch(["x", "y", "z"], config)
    LlamaChat().batch(["x", "y"], config)
    assert recorded(reporter) == {
        ("FakeListLLM", "completion"): (3, {}),
        ("llama-3-70b", "chat"): (2, {}),
    }


def test_a_model_deep_in_a_chain_is_counted(reporter: Reporter, config: RunnableConfig) -> None:
    chain = ChatPromptTemplate.from_template("say {word}") | LlamaChat()
    chain.invoke({"word": "hello"}, config)
    assert recorded(reporter) == {("llama-3-70b", "chat"): (1, {})}


def test_a_stream_that_breaks_failed(reporter: Reporter, config: RunnableConfig) -> None:
    broken = FakeListChatModel(responses=["abc"], error_on_chunk_number=1)
    with pytest.raises(FakeListChatModelError):
        list(broken.stream("hello", config))
    assert recorded(reporter) == {
        ("FakeListChatModel", "chat"): (1, {"FakeListChatModelError": 1}),
    }


def test_a_stream_that_nobody_reads_on_did_not_fail(
    reporter: Reporter, config: RunnableConfig
) -> None:
    stream = FakeListChatModel(responses=["abc"]).stream("hello", config)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert recorded(reporter) == {}


async def test_async_calls_are_counted_without_a_thread(
    reporter: Reporter, config: RunnableConfig
) -> None:
    await LlamaChat().ainvoke("hello", config)
    with pytest.raises(RateLimitError):
        await LlamaChat(fails=True).ainvoke("hello", config)
    chunks: AsyncIterator[Any] = FakeListChatModel(responses=["ab"]).astream("hello", config)
    assert [chunk.content async for chunk in chunks if chunk.content] == ["a", "b"]
    assert recorded(reporter) == {
        ("llama-3-70b", "chat"): (2, {"RateLimitError": 1}),
        ("FakeListChatModel", "chat"): (1, {}),
    }


async def test_a_cancelled_async_call_did_not_fail(
    reporter: Reporter, config: RunnableConfig
) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await LlamaChat(takes_s=60.0).ainvoke("hello", config)
    assert recorded(reporter) == {}


def test_what_a_call_took_is_its_latency(reporter: Reporter, config: RunnableConfig) -> None:
    LlamaChat(takes_s=0.2).invoke("hello", config)
    (watched,) = reporter._ledger._watched.values()
    assert 0.2 <= watched.window.counts(time.monotonic()).p95_latency_s < 5.0


def test_calls_whose_end_is_never_told_take_bounded_room(reporter: Reporter) -> None:
    handler = QuellCallbackHandler(reporter)
    for _ in range(MAX_UNDER_WAY + 10):
        handler.on_llm_start({}, [], run_id=uuid4())
    assert len(handler._under_way) == MAX_UNDER_WAY


def test_an_end_without_a_beginning_is_no_call(reporter: Reporter) -> None:
    handler: BaseCallbackHandler = QuellCallbackHandler(reporter)
    handler.on_llm_error(KeyError("x"), run_id=uuid4())
    assert recorded(reporter) == {}


def test_quell_is_told_of_a_failing_chain_and_of_no_prompt() -> None:
    with (
        NoticeReceiver().running() as receiver,
        Reporter("checkout", Endpoint(receiver.url), thresholds=QUICK) as reporter,
    ):
        chain = ChatPromptTemplate.from_template("the patient is {name}") | LlamaChat(fails=True)
        for _ in range(20):
            with pytest.raises(RateLimitError):
                chain.invoke({"name": "x"}, {"callbacks": [QuellCallbackHandler(reporter)]})
        event = receiver.next_event()
    assert event["data"]["annotations"]["errors"] == "RateLimitError 20"
    assert "patient" not in str(event)
