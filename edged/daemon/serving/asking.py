"""A call for those within the daemon who can wait for its answer."""

import asyncio
from collections.abc import Callable
from functools import partial

from edged.errors import EdgedError
from edged.runtime.calls import Call, Outcome, Request
from edged.runtime.tensors import InferResult


async def ask(submit: Callable[[Call], None], request: Request) -> InferResult:
    """Submit a request and wait for its answer; being cancelled abandons it.

    Raises:
        EdgedError: What ``submit`` raises, or what the call is finished with.
    """
    answer: asyncio.Future[InferResult] = asyncio.get_running_loop().create_future()
    call = Call(request, partial(_settle, answer))
    submit(call)
    try:
        return await answer
    except asyncio.CancelledError:
        call.abandon()
        raise


def _settle(answer: asyncio.Future[InferResult], outcome: Outcome) -> None:
    if answer.done():
        return
    if isinstance(outcome, EdgedError):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
