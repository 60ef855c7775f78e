"""Fetches the URL in its input, and then sends what it got back to the same URL. Writes the status
and the body of both answers. See docs/languages.md."""

import asyncio
import sys
from urllib.parse import urlsplit

from poll_loop import PollLoop, Sink, Stream, send
import wit_world.exports
from wit_world.imports.types import (
    Fields,
    IncomingResponse,
    Method_Post,
    OutgoingRequest,
    Scheme_Http,
    Scheme_Https,
)


def request_for(url: str) -> OutgoingRequest:
    parts = urlsplit(url)
    request = OutgoingRequest(Fields.from_list([]))
    request.set_scheme(Scheme_Https() if parts.scheme == "https" else Scheme_Http())
    request.set_authority(parts.netloc)
    request.set_path_with_query(parts.path + ("?" + parts.query if parts.query else ""))
    return request


async def write(sink: Sink, body: bytes) -> None:
    await sink.send(body)
    sink.close()


async def said(response: IncomingResponse) -> str:
    stream, body = Stream(response.consume()), b""
    while (chunk := await stream.next()) is not None:
        body += chunk
    return f"{response.status()} {body.decode()}\n"


async def main() -> None:
    url = sys.stdin.read().strip()
    first = await said(await send(request_for(url)))
    post = request_for(url)
    post.set_method(Method_Post())
    sink = Sink(post.body())
    response, _ = await asyncio.gather(send(post), write(sink, first.encode()))
    print(first + await said(response), end="")


class Run(wit_world.exports.Run):
    def run(self) -> None:
        loop = PollLoop()
        asyncio.set_event_loop(loop)
        loop.run_until_complete(main())
