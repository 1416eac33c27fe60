"""Have requests answered outside of the device: the daemon's side of ``edged-offload``.

Whether a request may leave at all is decided before it comes here (``edged.daemon.decisions``). Here it is refused, at once and with the
time when to come again, while its endpoint rests (``edged.offload.breaker``), or when it would be more than the administrator allows.
What ``edged-offload`` answers is checked as if a caller had sent it. A request of a sequence is not taken: its state is on this device.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from edged import journal
from edged.callers.bucket import TokenBucket
from edged.clock import Clock
from edged.config.schema import EndpointConfig
from edged.daemon.offload.line import UnusableError, ask_process
from edged.errors import DeadlineError, EdgedError, OffloadError
from edged.offload.breaker import Breaker
from edged.offload.messages import Answered, Ask, Failed, Placed, Trouble
from edged.pipeline.spec import TensorSpec
from edged.runtime.calls import Call, Request
from edged.runtime.tensors import InferResult, Tensor, check_spec, check_tensor

LOG = logging.getLogger(__name__)

GRACE_S: Final = 1.0
"""Beyond its limit, ``edged-offload`` has so long to say that it is over."""
_OF_REQUEST: Final[frozenset[Trouble]] = frozenset({"refused", "too-large", "not-configured"})
"""What says nothing about how the endpoint does."""


class Spent(Protocol):
    """Told what leaves the device."""

    def offloaded(self, model: str, *, sent_bytes: int, received_bytes: int) -> None:
        """Take note of one request's bytes."""
        ...


@dataclass(slots=True, kw_only=True)
class Counts:
    """What became of the requests for one endpoint."""

    answered: int = 0
    failed: int = 0
    refused: int = 0
    """Not sent: the endpoint rests, or it would be too many."""
    sent_bytes: int = 0
    received_bytes: int = 0


@dataclass(slots=True, kw_only=True)
class _Endpoint:
    config: EndpointConfig
    bucket: TokenBucket
    breaker: Breaker = field(default_factory=Breaker)
    counts: Counts = field(default_factory=Counts)
    running: int = 0
    complaint: str = ""
    """The last failure that is in the log; the same one is not told again until the endpoint has rested and answers."""


class Endpoints:
    """The endpoints of models; fulfils ``edged.daemon.decisions.seams.Endpoint``.

    Args:
        configured: By model.
        socket: Of ``edged-offload``.
        outputs_of: Returns what a model's pipeline gives; raises ``EdgedError`` where there is no such model.
        logs_each: Tells whether the regulatory mode wants every answer in the journal.
        clock: Monotonic.
        spent: Told what leaves the device.
    """

    def __init__(
        self,
        configured: Mapping[str, EndpointConfig],
        *,
        socket: Path,
        outputs_of: Callable[[str], tuple[TensorSpec, ...]],
        logs_each: Callable[[], bool],
        clock: Clock,
        spent: Spent,
    ) -> None:
        now_s = clock.monotonic_s()
        self._endpoints = {
            model: _Endpoint(
                config=config,
                bucket=TokenBucket(
                    rate_per_s=config.max_per_minute / 60, burst=math.ceil(config.max_per_minute), now_s=now_s
                ),
            )
            for model, config in configured.items()
        }
        self._socket = socket
        self._outputs_of = outputs_of
        self._logs_each = logs_each
        self._clock = clock
        self._spent = spent
        self._tasks: set[asyncio.Task[None]] = set()

    def has(self, model: str) -> bool:
        """Tell whether a model has an endpoint."""
        return model in self._endpoints

    def counts(self) -> Mapping[str, Counts]:
        """Return what became of requests since the daemon started, by model."""
        return {model: endpoint.counts for model, endpoint in self._endpoints.items()}

    def submit(self, model: str, call: Call) -> None:
        """Take a request; the call is finished later, with the endpoint's answer or an error.

        Raises:
            OffloadError: The endpoint is not asked now, or never such a thing.
            EdgedError: There is no such model on this device.
        """
        endpoint = self._endpoints[model]
        ask = self._ask(model, endpoint, call.request)
        task = asyncio.get_running_loop().create_task(self._run(model, endpoint, ask, call), name=f"offload {model}")
        endpoint.running += 1
        call.abandoned = partial(_cancel, task)
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, model, endpoint, call))

    def give_up(self) -> None:
        """Give up what is under way; each call is finished in the loop's next turns."""
        for task in self._tasks:
            task.cancel()

    def _ask(self, model: str, endpoint: _Endpoint, request: Request) -> Ask:
        config = endpoint.config
        if request.sequence is not None:
            raise _refusal(model, "refused", "a sequence's state is on this device", retry_after_s=1)
        if request.size_bytes > config.max_request_bytes:
            raise _refusal(model, "too-large", f"it is larger than max_request_bytes ({config.max_request_bytes})")
        specs = {spec.name: spec for spec in self._outputs_of(model)}
        names = request.outputs or tuple(specs)
        now_s = self._clock.monotonic_s()
        is_full = endpoint.running >= config.max_concurrent
        # The breaker last: what it lets through may be its trial.
        wait_s = endpoint.breaker.rest_s(now_s) or float(is_full) or endpoint.bucket.take(now_s)
        wait_s = wait_s or endpoint.breaker.wait_s(now_s)
        if wait_s > 0:
            endpoint.counts.refused += 1
            raise _refusal(model, "busy", "its endpoint is not asked now", retry_after_s=math.ceil(wait_s))
        return Ask(
            model=model,
            timeout_s=max(0.001, min(config.timeout_s, request.deadline_s - self._clock.monotonic_s())),
            inputs=tuple(_placed(tensor) for tensor in request.inputs),
            outputs=tuple(specs[name] for name in names),
        )

    async def _run(self, model: str, endpoint: _Endpoint, ask: Ask, call: Call) -> None:
        began_s = self._clock.monotonic_s()
        try:
            async with asyncio.timeout(ask.timeout_s + GRACE_S):
                outcome, tensors = await ask_process(
                    self._socket,
                    ask,
                    [tensor.data for tensor in call.request.inputs],
                    max_bytes=endpoint.config.max_answer_bytes,
                )
            self._count(model, endpoint, outcome)
            if isinstance(outcome, Failed):
                raise self._failed(model, endpoint, outcome, call.request)
            outputs = _checked(outcome, tensors, ask)
        except EdgedError as exc:
            call.finish(exc)
        except (OSError, UnusableError) as exc:  # TimeoutError is an OSError
            call.finish(self._failed(model, endpoint, _without_process(exc), call.request))
        else:
            self._succeeded(model, endpoint)
            call.finish(InferResult(outputs=outputs, run_s=self._clock.monotonic_s() - began_s))

    def _ended(self, model: str, endpoint: _Endpoint, call: Call, task: asyncio.Task[None]) -> None:
        """Clear up behind a request, also behind one that was given up before it began."""
        self._tasks.discard(task)
        endpoint.running -= 1
        if not call.is_finished:
            endpoint.breaker.gave_up()
            call.finish(_refusal(model, "late", "nobody waits for it any more"))

    def _count(self, model: str, endpoint: _Endpoint, outcome: Answered | Failed) -> None:
        sent, received = outcome.traffic.sent_bytes, outcome.traffic.received_bytes
        endpoint.counts.sent_bytes += sent
        endpoint.counts.received_bytes += received
        if sent > 0:
            self._spent.offloaded(model, sent_bytes=sent, received_bytes=received)
        if isinstance(outcome, Answered) and self._logs_each():
            journal.event(LOG, journal.OFFLOADED, model=model, sent_bytes=sent, received_bytes=received)

    def _succeeded(self, model: str, endpoint: _Endpoint) -> None:
        endpoint.counts.answered += 1
        if endpoint.breaker.is_open:
            endpoint.complaint = ""
            journal.event(LOG, journal.ENDPOINT_ANSWERS, model=model)
        endpoint.breaker.succeeded()

    def _failed(self, model: str, endpoint: _Endpoint, failed: Failed, request: Request) -> EdgedError:
        """Take note of a failure, and return what the caller is told."""
        endpoint.counts.failed += 1
        now_s = self._clock.monotonic_s()
        if failed.trouble == "late" and request.deadline_s <= now_s:
            return DeadlineError(f"model {model}: its endpoint did not answer before the request's deadline")
        if failed.message != endpoint.complaint:
            # Where the device can answer itself, it does, and its caller hears nothing of this.
            endpoint.complaint = failed.message
            LOG.warning("no answer from the endpoint of model %s: %s", model, failed.message)
        if failed.trouble in _OF_REQUEST:
            endpoint.breaker.succeeded()
            return _refusal(model, failed.trouble, failed.message)
        begins_to_rest = endpoint.breaker.failed(now_s, retry_after_s=failed.retry_after_s)
        wait_s = math.ceil(endpoint.breaker.rest_s(now_s))
        if begins_to_rest:
            journal.event(LOG, journal.ENDPOINT_RESTS, model=model, reason=failed.message, wait_s=wait_s)
        return _refusal(model, failed.trouble, failed.message, retry_after_s=max(1, wait_s))


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


def _placed(tensor: Tensor) -> Placed:
    return Placed(name=tensor.name, dtype=tensor.dtype, shape=tensor.shape, size=memoryview(tensor.data).nbytes)


def _checked(answered: Answered, tensors: list[bytes], ask: Ask) -> tuple[Tensor, ...]:
    """Make the outputs of what came.

    Raises:
        UnusableError: They are not those that were asked for.
    """
    outputs = tuple(
        Tensor(name=placed.name, dtype=placed.dtype, shape=placed.shape, data=data)
        for placed, data in zip(answered.outputs, tensors, strict=True)
    )
    if [tensor.name for tensor in outputs] != [spec.name for spec in ask.outputs]:
        raise UnusableError("other outputs than were asked for")
    try:
        for tensor, spec in zip(outputs, ask.outputs, strict=True):
            check_spec(tensor, spec)
            check_tensor(tensor)
    except EdgedError as exc:
        raise UnusableError(exc.message) from exc
    return outputs


def _without_process(exc: Exception) -> Failed:
    """Say what it means that ``edged-offload`` gave no answer."""
    if isinstance(exc, TimeoutError):
        return Failed(trouble="late", message="edged-offload did not answer in time")
    if isinstance(exc, UnusableError):
        return Failed(trouble="nonsense", message=f"what edged-offload answers cannot be used: {exc}"[:2000])
    return Failed(trouble="unreachable", message="edged-offload does not answer")


def _refusal(model: str, trouble: Trouble, why: str, *, retry_after_s: int = 1) -> OffloadError:
    return OffloadError(
        f"model {model} could not be answered outside of this device: {why}",
        hint="Try again later, or without the consent to offload.",
        retry_after_s=retry_after_s,
        trouble=trouble,
    )
