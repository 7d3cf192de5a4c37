"""One request, and every way in which it may end, through the real library and a server on this machine."""

import asyncio
import gc
import logging
import socket
import subprocess
import sys
import traceback
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from specialists import messages_api
from specialists.messages_api import LONGEST_WAIT, ask
from specialists.model import NoAnswer
from statecore import Failure, RateLimited, TimedOut, Transient, Unavailable
from tests.messages_server import Api, Says, fault, said

CANARY = "sk-ant-canary-0123456789"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


@pytest.fixture
async def api(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    async with Api(said({"n": 1})) as api:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", api.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", CANARY)
        yield api


async def asked() -> Any:
    return await ask("claude-haiku-5-5", 100, "Count.", ['{"of":"sheep"}'], SCHEMA)


async def failure() -> Failure:
    """What a request fails with. Neither it nor its traceback has the key, with the locals of each frame."""
    try:
        await asked()
    except Failure as failed:
        told = "".join(traceback.TracebackException.from_exception(failed, capture_locals=True).format())
        assert CANARY not in told + repr(failed)
        return failed
    pytest.fail("it did not fail")


async def test_what_is_sent_is_what_was_asked(api: Api) -> None:
    """Model, bound, prompt, texts and schema, and no field more; the key as the library sends it."""
    message = await asked()
    (seen,) = api.seen
    assert message.stop_reason == "end_turn" and seen.path == "/v1/messages" and CANARY in str(seen.headers)
    assert seen.json == {
        "model": "claude-haiku-5-5",
        "max_tokens": 100,
        "system": "Count.",
        "messages": [{"role": "user", "content": [{"type": "text", "text": '{"of":"sheep"}'}]}],
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    }


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, NoAnswer),
        (401, NoAnswer),
        (402, NoAnswer),
        (403, NoAnswer),
        (404, NoAnswer),
        (408, TimedOut),
        (409, Transient),
        (413, NoAnswer),
        (418, NoAnswer),
        (422, NoAnswer),
        (429, RateLimited),
        (500, Transient),
        (502, Transient),
        (503, Unavailable),
        (504, Transient),
        (529, Unavailable),
    ],
)
async def test_each_status_is_a_failure_of_one_request(api: Api, status: int, kind: type[Failure]) -> None:
    """The library tries nothing again; the failure says what the server said, without the key that it repeated."""
    api.says = [fault(status, "some_error", f"not with {CANARY}", x_should_retry="true")]
    failed = await failure()
    assert type(failed) is kind and len(api.seen) == 1 and failed.__context__ is None
    told = f"HTTP {status}: some_error: not with (ANTHROPIC_API_KEY) (request req_1)"
    assert failed.why == told  # type: ignore[attr-defined]
    if isinstance(failed, NoAnswer):
        assert failed.reason == f"HTTP {status}"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0.25", 0.25),
        ("1e9", LONGEST_WAIT),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", None),
    ],
)
async def test_a_server_may_ask_for_time(api: Api, header: str, seconds: float | None) -> None:
    """In seconds, and within reason; what is no number asks for nothing."""
    api.says = [fault(429, "rate_limit_error", retry_after=header)]
    failed = await failure()
    assert isinstance(failed, RateLimited) and failed.retry_after == seconds


async def test_nobody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection, no request: nothing happened."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", CANARY)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", "nonsense://127.0.0.1"):
        monkeypatch.setenv("ANTHROPIC_BASE_URL", url)
        failed = await failure()
        assert type(failed) is Unavailable and "no connection to 127.0.0.1" in failed.why


async def test_a_connection_breaks(api: Api) -> None:
    """The request was sent, so it may have been answered, and paid for: Transient, not Unavailable."""
    api.says = [Says(200, said({"n": 1}).body, cut=True)]
    assert type(await failure()) is Transient


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>login</html>", "text/html"),
        (b"{", "application/json"),
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b"{}", "application/json"),
        (b'{"stop_reason": "end_turn"}', "application/json"),
    ],
)
async def test_a_page_of_somebody_else_is_no_message(api: Api, body: bytes, kind: str) -> None:
    """A proxy that answers in the server's place raises nothing that nobody declared."""
    api.says = [Says(200, body, {"content-type": kind})]
    assert isinstance(await failure(), NoAnswer)


async def test_an_error_page_is_told(api: Api) -> None:
    """As text, and not all of it."""
    api.says = [Says(502, b"<html>" + b"x" * 5000, {"content-type": "text/html"})]
    failed = await failure()
    assert "HTTP 502: <html>xxx" in str(failed) and len(str(failed)) < 1200


@pytest.mark.parametrize(
    "key", ["", " ", None, f"{CANARY}\n{CANARY}", f"{CANARY} x", f"{CANARY}\u00e9", f"{CANARY}\x7f"]
)
async def test_without_a_key_nothing_is_sent(api: Api, key: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure names the variable, and nothing of what is in it."""
    monkeypatch.delenv("ANTHROPIC_API_KEY") if key is None else monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    failed = await failure()
    assert isinstance(failed, NoAnswer) and failed.reason == "no key" and "ANTHROPIC_API_KEY" in failed.why
    assert not api.seen


async def test_the_key_is_read_at_each_call(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is changed counts from the next call on, on the same connection; blanks around it do no harm."""
    await asked()
    monkeypatch.setenv("ANTHROPIC_API_KEY", " sk-other \n")
    await asked()
    assert ["sk-other" in str(seen.headers) for seen in api.seen] == [False, True]
    assert CANARY not in str(api.seen[1].headers)


async def test_the_key_is_in_no_log(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """Of any library, however much it says."""
    caplog.set_level(logging.DEBUG)
    for name in ("anthropic", "httpx2", "httpcore2"):
        caplog.set_level(logging.DEBUG, name)
    await asked()
    api.says = [fault(401, "authentication_error", f"{CANARY} is not known")]
    await failure()
    assert len(caplog.records) > 3 and CANARY not in caplog.text
    assert CANARY not in "".join(str(vars(record)) for record in caplog.records)


async def test_a_call_that_is_stopped_takes_its_request_down(api: Api) -> None:
    """The server sees that nobody waits any more."""
    api.says = [Says(hangs=True)]
    call = asyncio.create_task(asked())
    await api.came.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    async with asyncio.timeout(5):
        while not api.hung_up:
            await asyncio.sleep(0.01)


async def test_calls_of_one_loop_share_their_connections(api: Api) -> None:
    """One pool, also where many calls are the first."""
    await asyncio.gather(*(asked() for _ in range(5)))
    assert len(messages_api._pools) == 1
    before = messages_api._pools[asyncio.get_running_loop()]
    await asked()
    assert messages_api._pools[asyncio.get_running_loop()] is before


def test_a_loop_that_ends_closes_its_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each loop has its own pool, and nothing is left of it."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", CANARY)
    pools = []

    async def once() -> None:
        async with Api(said({"n": 1})) as api:
            monkeypatch.setenv("ANTHROPIC_BASE_URL", api.url)
            await asked()
            pools.append(messages_api._pools[asyncio.get_running_loop()][1])

    asyncio.run(once())
    asyncio.run(once())
    assert pools[0] is not pools[1] and all(pool.is_closed for pool in pools) and not messages_api._pools


def test_a_loop_that_is_closed_and_closes_nothing_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pool is dropped when another loop has its first call, and the loop with it."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", CANARY)

    async def once() -> None:
        async with Api(said({"n": 1})) as api:
            monkeypatch.setenv("ANTHROPIC_BASE_URL", api.url)
            await asked()
            await messages_api._pools[asyncio.get_running_loop()][1].aclose()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(once())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    ended = weakref.ref(loop)
    del loop
    asyncio.run(once())
    gc.collect()
    assert not messages_api._pools and ended() is None


WARNS = """
import asyncio, os
from specialists.messages_api import ask
from tests.messages_server import Api, said

async def main():
    async with Api(said({"n": 1})) as api:
        os.environ["ANTHROPIC_BASE_URL"] = api.url
        await ask("m", 1, "s", ["t"], {"type": "object", "properties": {}})

asyncio.run(main())
"""


def test_a_process_ends_without_a_warning() -> None:
    """With every warning an error, and the interpreter looking for what was left open."""
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", WARNS]
    done = subprocess.run(
        command,
        cwd=Path(__file__).parents[1],
        env={"ANTHROPIC_API_KEY": "sk"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("proxy", "error"),
    [
        ("socks5://ana:hush-hush@127.0.0.1:1", "ImportError"),
        ("nonsense://ana:hush-hush@127.0.0.1:1", "ValueError"),
        ("http://ana:hush/hush@127.0.0.1:1", "InvalidURL"),
    ],
)
async def test_a_proxy_that_cannot_be_used_is_a_failure(
    api: Api, proxy: str, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the variable, and nothing of what is in it."""
    monkeypatch.setenv("ALL_PROXY", proxy)
    failed = await failure()
    assert isinstance(failed, NoAnswer) and failed.reason == "no connections"
    assert "made by ALL_PROXY" in failed.why and f"({error})" in failed.why
    assert "hush" not in failed.why and not api.seen
    assert ("socksio" in failed.why) == proxy.startswith("socks")
    monkeypatch.delenv("ALL_PROXY")
    assert (await asked()).stop_reason == "end_turn"


async def test_the_password_of_a_proxy_is_struck_out(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is written, and as it is meant."""
    monkeypatch.setenv("HTTPS_PROXY", "http://ana:hush%21hush@127.0.0.1:1")
    api.says = [fault(502, "proxy", "hush%21hush, that is hush!hush")]
    failed = await failure()
    assert "proxy: (password), that is (password)" in str(failed)


async def test_the_id_of_a_request_is_the_servers_to_choose(api: Api) -> None:
    """So it is cut, and cleaned as all that the server says."""
    api.says = [fault(500, request_id=f"{CANARY}{'x' * 5000}")]
    failed = await failure()
    assert isinstance(failed, Transient) and "(request (ANTHROPIC_API_KEY)xxx" in failed.why and len(failed.why) < 200


async def test_without_the_library_the_remedy_is_told(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the call, and not before."""
    monkeypatch.setitem(sys.modules, "anthropic", None)
    failed = await failure()
    assert isinstance(failed, NoAnswer) and "pip install 'statecore[anthropic]'" in failed.why


async def test_what_the_library_raises_by_itself_is_no_crash(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback of it, which would be kept in the log, could have the request in it."""
    import anthropic

    def broken(schema: object) -> None:
        raise KeyError(f"with {CANARY}")

    monkeypatch.setattr(anthropic, "transform_schema", broken)
    assert await failure() == NoAnswer("KeyError", "'with (ANTHROPIC_API_KEY)'")
