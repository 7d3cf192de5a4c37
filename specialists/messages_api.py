"""One request to Anthropic's Messages API, and whatever comes of it: the message, or a typed failure.

The engine is the one that tries again, so the SDK does not. How long an answer may take is the state's `timeout=`; a call
that is stopped takes its request down with it. Connections are kept for the next call, one pool for each event loop, and
closed with the loop. The key is read from the environment for each call; the pool does not know it. What the server says
becomes part of a failure with the key, and the password of a proxy, struck out, should it have been repeated.

The library `anthropic` is imported at the first call, in a thread: it takes seconds, and a declaration does not need it.
"""

import asyncio
import json
import math
import os
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from urllib.request import getproxies

from specialists.model import SAID, NoAnswer
from statecore import Failure, RateLimited, TimedOut, Transient, Unavailable
from statecore.failures import printable
from statecore.failures import told as said_by

if TYPE_CHECKING:
    import anthropic
    from anthropic.types import Message

KEY = "ANTHROPIC_API_KEY"

CONNECT = 10.0
"""Seconds until a connection stands; one that takes longer will mostly not come."""

LONGEST_WAIT = 3600.0
"""Seconds that a server may ask for: one stray number must not hold a run for a year."""

UNREACHED = ("ConnectError", "ConnectTimeout", "UnsupportedProtocol")
"""Faults of the SDK's HTTP library that come before a byte is sent. By name: which library that is, is the SDK's."""

NAMED = 100
"""Characters of the id of a request that a failure keeps: it is the server's to choose."""

AROUND = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables, in capitals or not, that the SDK's HTTP library makes its connections by."""

_pools: dict[asyncio.AbstractEventLoop, tuple[AsyncGenerator[Any], Any]] = {}


async def ask(model: str, max_tokens: int, system: str, texts: Sequence[str], schema: dict[str, Any]) -> "Message":
    """Raises RateLimited, Unavailable, TimedOut, Transient, NoAnswer; from here, where no frame has the key."""
    outcome = await _asked(model, max_tokens, system, texts, schema)
    if isinstance(outcome, Failure):
        raise outcome
    return outcome


async def _asked(
    model: str, max_tokens: int, system: str, texts: Sequence[str], schema: dict[str, Any]
) -> "Message | Failure":
    pool = await _pool()
    if isinstance(pool, Failure):
        return pool
    import anthropic

    key, begun = os.environ.get(KEY, "").strip(), time.monotonic()
    if fault := _unfit(key):
        return NoAnswer("no key", fault)
    try:
        client = anthropic.AsyncAnthropic(
            api_key=key, max_retries=0, http_client=pool, timeout=anthropic.Timeout(None, connect=CONNECT)
        )
        message: Any = await client.messages.create(
            model=model,
            max_tokens=max_tokens,
            system=system,
            messages=[{"role": "user", "content": [{"type": "text", "text": text} for text in texts]}],
            output_config={"format": {"type": "json_schema", "schema": anthropic.transform_schema(schema)}},
        )
    except Exception as error:
        return _failure(error, key, time.monotonic() - begun)
    return message if _is_message(message) else NoAnswer("no message", f"it came from {client.base_url.host}")


def _is_message(found: Any) -> bool:
    """The library gives whatever came, a page of a proxy for one."""
    return bool(getattr(found, "stop_reason", None)) and isinstance(getattr(found, "content", None), list)


def _unfit(key: str) -> str:
    """What is wrong with a key; the HTTP library would repeat one that it cannot send."""
    if not key:
        return f"expected a key of the Messages API in {KEY}, found none: set it where the engine runs"
    if not (key.isascii() and key.isprintable() and " " not in key):
        return f"what is in {KEY} is no key: it holds blanks or signs that no header may have: set it anew"
    return ""


async def _pool() -> Any:
    """The connections of this event loop, or why there are none."""
    loop = asyncio.get_running_loop()
    if loop not in _pools:
        try:
            library = await asyncio.to_thread(_library)
        except ImportError as fault:
            why = f"the library of the Messages API cannot be imported ({fault}): pip install 'statecore[anthropic]'"
            return NoAnswer("no library", why)
        if loop not in _pools:  # another call may have been faster
            _forget()
            kept = _kept(loop, library)
            try:
                _pools[loop] = kept, await anext(kept)
            except Exception as fault:
                return NoAnswer("no connections", _unmade(fault))
    return _pools[loop][1]


def _forget() -> None:
    """The pools of loops that were closed and did not close what was theirs; each holds its loop as long as it is here."""
    for loop in [each for each in list(_pools) if each.is_closed()]:
        _pools.pop(loop, None)


def _unmade(fault: Exception) -> str:
    """Why there can be no connections, but for the library's own words: those may be a part of a proxy's password."""
    by = ", ".join(sorted(name for name in os.environ if name.upper() in AROUND)) or "nothing of the environment"
    socks = "; a SOCKS proxy needs the package socksio" if isinstance(fault, ImportError) else ""
    return f"no connections can be made by {by} ({type(fault).__name__}): mend what is set there{socks}"


def _library() -> Any:
    import anthropic

    return anthropic


async def _kept(loop: asyncio.AbstractEventLoop, library: Any) -> AsyncGenerator[Any]:
    """A generator, because an event loop that ends closes those that are not over: nothing else tells us of its end."""
    pool = library.DefaultAsyncHttpxClient()
    try:
        yield pool
    finally:
        _pools.pop(loop, None)
        await pool.aclose()


def _failure(error: Exception, key: str, after: float) -> Failure:
    import anthropic

    if isinstance(error, anthropic.APIStatusError):
        return _refused(error, key, after)
    if isinstance(error, anthropic.APIConnectionError):
        cause = error.__cause__ or error
        why = _clean(f"no connection to {error.request.url.host}: {type(cause).__name__}: {said_by(cause)}", key)
        return Unavailable(why) if type(cause).__name__ in UNREACHED else Transient(why)
    return NoAnswer(type(error).__name__, _clean(said_by(error), key))


def _refused(error: "anthropic.APIStatusError", key: str, after: float) -> Failure:
    """By status. Of 503 and 529 the server says that it did not begin; of other faults of its own it may not know."""
    status = f"HTTP {error.status_code}"
    why = _clean(_said(error.body), key)
    told = f"{status}: {why}" + (f" (request {_clean(error.request_id, key)[:NAMED]})" if error.request_id else "")
    match error.status_code:
        case 429:
            return RateLimited(told, _seconds(error.response.headers.get("retry-after", "")))
        case 408:
            return TimedOut(told, round(after, 3))
        case 503 | 529:
            return Unavailable(told)
        case code if code == 409 or code >= 500:
            return Transient(told)
    return NoAnswer(status, told)


def _said(body: object) -> str:
    """`overloaded_error: Overloaded`, or what stands in its place, a page of a proxy for one."""
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return f"{error.get('type') or 'error'}: {error['message']}"
    return body if isinstance(body, str) else json.dumps(body, default=str)


def _clean(text: str, key: str) -> str:
    for secret, instead in [(key, f"({KEY})"), *((each, "(password)") for each in _passwords())]:
        text = text.replace(secret, instead)
    return printable(text)[:SAID]


def _passwords() -> Iterator[str]:
    """Of the proxies, as they are written and as they are meant."""
    for url in getproxies().values():
        password = url.rpartition("@")[0].rpartition("//")[2].partition(":")[2]
        if password:
            yield from {password, unquote(password)}


def _seconds(header: str) -> float | None:
    """None where it is no number of seconds: the engine's own time is waited then."""
    try:
        asked = float(header)
    except ValueError:
        return None
    return min(asked, LONGEST_WAIT) if math.isfinite(asked) and asked >= 0 else None
