"""A server on 127.0.0.1 that speaks as much of the Messages API as one answer needs, and says what it is told to.

It is written on a bare socket, so that it sees which bytes came, and whether somebody hung up.
"""

import asyncio
import json
from typing import Any, Self

import attrs


@attrs.frozen
class Says:
    """One answer: `status`, `body` and `headers` as they are sent. `hangs`: it never comes. `cut`: the connection ends
    in its middle.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = attrs.field(factory=dict)
    hangs: bool = False
    cut: bool = False


@attrs.frozen
class Seen:
    """One request, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def texts(self) -> list[str]:
        """Those of the only message."""
        (message,) = self.json["messages"]
        assert message["role"] == "user"
        return [block["text"] for block in message["content"]]


def said(text: str | dict[str, Any], stop: str | None = "end_turn", **more: Any) -> Says:
    """A message with one block of text; `more` fields of the message."""
    text = text if isinstance(text, str) else json.dumps(text)
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-5-5",
        "content": [{"type": "text", "text": text}],
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": 25, "output_tokens": 12},
        **more,
    }
    return Says(200, json.dumps(message).encode())


def fault(status: int, kind: str = "api_error", message: str = "busy", **headers: str) -> Says:
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Says(status, json.dumps(body).encode(), {"request-id": "req_1", **named})


class Api:
    """Each request is answered by the next of `says`, and the last for ever. `seen`: what came. `hung_up`: how many
    clients left before they had their answer.
    """

    def __init__(self, *says: Says) -> None:
        self.says = list(says)
        self.seen: list[Seen] = []
        self.hung_up = 0
        self.came = asyncio.Event()
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> Self:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for writer in self._open.values():
            writer.close()
        await asyncio.gather(*self._open)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            while request := await _read(reader):
                self.seen.append(request)
                self.came.set()
                says = self.says.pop(0) if len(self.says) > 1 else self.says[0]
                if says.hangs:
                    await reader.read()
                    self.hung_up += 1
                    return
                head = {"content-type": "application/json", **says.headers, "content-length": str(len(says.body))}
                lines = [f"HTTP/1.1 {says.status} Said", *(f"{name}: {value}" for name, value in head.items()), "", ""]
                whole = "\r\n".join(lines).encode() + says.body
                writer.write(whole[: -len(says.body) // 2] if says.cut else whole)
                await writer.drain()
                if says.cut:
                    return
        except ConnectionError:
            self.hung_up += 1
        finally:
            writer.close()
            del self._open[task]


async def _read(reader: asyncio.StreamReader) -> Seen | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    headers = dict(line.lower().split(": ", 1) if ": " in line else (line, "") for line in head[1:] if line)
    return Seen(head[0].split()[1], headers, await reader.readexactly(int(headers.get("content-length", 0))))
