"""An exchange without its connection: what is taken is given back once, whatever happens and whenever."""

import json
import time
from dataclasses import replace

import pytest

from edged.api.http.head import Head, parse_head
from edged.api.limits import LiveLimits
from edged.api.oip.infer import Exchange, Services, parse_infer_path
from edged.api.ports import Taken
from edged.callers.caller import Caller
from edged.callers.quotas import Quotas
from edged.clock import SystemClock
from edged.config.schema import CallerLimits, LimitsConfig, ServeConfig
from edged.errors import DeferredError, PolicyDeniedError, UnavailableError, WorkerLostError
from edged.runtime.calls import RequestClass, SequenceStep
from edged.runtime.wire import INLINE_BYTES
from edged.select.decision import Action, Decision
from tests.fakes.fake_models import ECHO, FakeModels, UnexpectedError

LARGE = INLINE_BYTES + 1
FILE = json.dumps({"inputs": [{"name": "content", "datatype": "BYTES", "shape": [1], "data": ["hello"]}]}).encode()


class Desk:
    """Makes exchanges and keeps their responses."""

    def __init__(self, models: FakeModels, **caller: object) -> None:
        self.models = models
        self.limits = LimitsConfig(default=CallerLimits(**caller))
        self.quotas = Quotas(lambda: self.limits, SystemClock())
        self.live = LiveLimits(ServeConfig(request_timeout_s=20.0))
        self.services = Services(models=models, usage=models, quotas=self.quotas, limits=self.live)
        self.responses = []

    def exchange(
        self, length: int, *, header_length: int | None = None, name: str = "echo", version: str | None = None
    ) -> Exchange:
        extra = "" if header_length is None else f"\r\nInference-Header-Content-Length: {header_length}"
        head = f"POST /v2/models/{name}/infer HTTP/1.1\r\nHost: a\r\nContent-Length: {length}{extra}"
        parsed: Head = parse_head(head.encode(), max_body_bytes=1 << 30)
        return Exchange(
            self.services, parsed, (name, version), Caller(uid=1234, user="app"), answered=self.responses.append
        )

    def ask(self, body: bytes = FILE) -> Exchange:
        exchange = self.exchange(len(body))
        assert exchange.begin() is None
        exchange.run(body)
        return exchange

    @property
    def statuses(self) -> list[int]:
        return [response.status.value for response in self.responses]

    @property
    def holds_nothing(self) -> bool:
        """Neither memory nor a share of the caller's limits is in use."""
        shares = [share for share in self.quotas._shares.values() if share._requests or share._bytes]
        return self.models.memory.taken_bytes == 0 and not shares


@pytest.fixture
def models():
    return FakeModels()


@pytest.fixture
def desk(models):
    return Desk(models)


async def test_a_request_carries_what_its_parameters_ask_for(desk, models):
    view = type(ECHO)(
        **{name: getattr(ECHO, name) for name in ECHO.__slots__ if name != "state_inputs"},
        state_inputs=frozenset({"state"}),
    )
    models.all["echo"] = view
    wishes = {
        "priority": 3,
        "timeout": 2_000_000,
        "request_class": "background",
        "sequence_id": "mic",
        "sequence_start": True,
    }
    before_s = time.monotonic()
    desk.ask(json.dumps({**json.loads(FILE), "parameters": wishes, "outputs": [{"name": "score"}]}).encode())

    request = models.requests[0]
    assert (request.uid, request.priority, request.request_class) == (1234, 3, RequestClass.BACKGROUND)
    assert request.sequence == SequenceStep(id="mic", is_start=True)
    assert list(request.outputs) == ["score"]
    assert before_s + 2 <= request.deadline_s <= time.monotonic() + 2
    assert request.memory is None


async def test_the_time_until_the_body_is_there_counts(desk, models):
    exchange = desk.exchange(len(FILE))
    exchange._arrived_s -= 15
    exchange.begin()
    exchange.run(FILE)

    assert models.requests[0].deadline_s - time.monotonic() < 6


async def test_a_large_body_is_received_where_the_worker_reads_it(desk, models):
    models.hold = True
    exchange = desk.exchange(LARGE, header_length=0)
    assert exchange.begin() is None
    exchange.room[:] = b"\x07" * LARGE
    exchange.run()

    request = models.requests[0]
    tensor = request.inputs[0]
    assert request.memory is models.taken[0]
    assert request.memory.view[tensor.at : tensor.at + LARGE + 4] == tensor.data
    assert bytes(tensor.data[4:]) == b"\x07" * LARGE
    assert models.memory.taken_bytes

    models.let_go()
    assert desk.statuses == [200]
    assert desk.holds_nothing


async def test_memory_with_nothing_but_json_is_given_back_before_the_run(desk, models):
    """Its tensors were converted; the worker gets them by another way."""
    models.hold = True
    body = FILE + b" " * LARGE
    exchange = desk.exchange(len(body))
    exchange.begin()
    exchange.room[:] = body
    exchange.run()

    assert models.memory.taken_bytes == 0
    assert (models.requests[0].memory, models.requests[0].inputs[0].at) == (None, None)


async def test_a_caller_that_leaves_while_it_sends_leaves_nothing(desk, models):
    exchange = desk.exchange(LARGE, header_length=0)
    exchange.begin()
    exchange.abandon()

    assert desk.holds_nothing
    assert not models.requests
    assert not desk.responses


async def test_a_caller_that_leaves_ends_its_call_and_hears_nothing(desk, models):
    models.hold = True
    exchange = desk.exchange(LARGE, header_length=0)
    exchange.begin()
    exchange.run()
    exchange.abandon()

    assert models.abandoned.is_set()
    assert desk.holds_nothing
    assert not desk.responses


async def test_memory_of_an_abandoned_call_is_kept_until_the_call_is_finished(desk, models):
    """Until then, the worker may still read it."""
    calls = []
    models.submit = lambda name, version, call: calls.append(call) or models.view(name, version)
    exchange = desk.exchange(LARGE, header_length=0)
    exchange.begin()
    exchange.run()
    exchange.abandon()
    assert models.memory.taken_bytes

    calls[0].finish(WorkerLostError("Gone."))
    assert desk.holds_nothing
    assert not desk.responses


@pytest.mark.parametrize("failure", [UnavailableError("Full."), UnexpectedError("secret")])
async def test_a_request_that_fails_leaves_nothing(desk, models, failure):
    models.failure = failure
    exchange = desk.exchange(LARGE, header_length=0)
    exchange.begin()
    exchange.run()

    assert desk.statuses == [503 if isinstance(failure, UnavailableError) else 500]
    assert desk.holds_nothing
    assert b"secret" not in bytes(desk.responses[0].parts[0])


async def test_a_body_that_is_wrong_leaves_nothing(desk):
    exchange = desk.exchange(LARGE)
    exchange.begin()
    exchange.run()

    assert desk.statuses == [400]
    assert desk.holds_nothing


async def test_an_output_json_cannot_say_is_told_and_leaves_nothing(desk, models):
    models.score = float("nan")
    desk.ask()

    assert desk.statuses == [400]
    assert desk.holds_nothing


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"name": "nobody"}, 404),
        ({"version": "9.9.9"}, 404),
        ({"header_length": LARGE + 1}, 400),
    ],
)
async def test_a_large_body_for_nothing_is_refused_before_it_comes(desk, models, options, status):
    refusal = desk.exchange(LARGE, **options).begin()

    assert refusal.status == status
    assert not models.taken
    assert desk.holds_nothing


async def test_a_body_without_room_in_memory_is_refused_before_it_comes():
    desk = Desk(FakeModels(memory_bytes=LARGE))
    refusal = desk.exchange(LARGE * 2, header_length=0).begin()

    assert refusal.status == 503
    assert refusal.fields == {"Retry-After": "1"}
    assert desk.holds_nothing


async def test_a_caller_with_too_much_under_way_is_told_which_limit_it_hit(models):
    desk = Desk(models, max_concurrent=1)
    models.hold = True
    desk.ask()
    refusal = desk.exchange(len(FILE)).begin()

    assert refusal.status == 429
    assert json.loads(bytes(refusal.parts[0]))["facts"] == {"limit": "limits.max_concurrent"}
    assert refusal.fields == {"Retry-After": "1"}
    assert models.counts["echo"].rejections == {"quota": 1}

    models.let_go()
    desk.ask()
    assert desk.statuses == [200, 200]


async def test_a_refused_caller_is_counted_only_for_models_that_are_there(models):
    desk = Desk(models, max_concurrent=1)
    models.hold = True
    desk.ask()

    assert desk.exchange(len(FILE), name="nobody").begin().status == 429
    models.let_go()


async def test_bytes_of_a_caller_are_counted_by_what_it_announces(models):
    desk = Desk(models, max_queued_bytes=LARGE + 10)
    first = desk.exchange(LARGE, header_length=0)
    assert first.begin() is None
    assert desk.exchange(LARGE, header_length=0).begin().status == 429
    first.abandon()
    assert desk.exchange(LARGE, header_length=0).begin() is None


async def test_the_model_that_answers_is_the_one_that_took_the_call(desk, models):
    """Between the look and the submission, another variant may be chosen."""
    other = type(ECHO)(
        **{name: getattr(ECHO, name) for name in ECHO.__slots__ if name != "variant"}, variant="echo-1.2.3-int8-amd64"
    )
    models.hold = True
    submit = models.submit
    models.submit = lambda name, version, call: submit(name, version, call) and Taken(model=other)
    desk.ask()
    models.let_go()

    assert desk.responses[0].fields["Edged-Variant"] == "echo-1.2.3-int8-amd64"


async def test_an_answer_says_which_rule_decided_in_a_header_and_a_parameter(desk, models):
    models.hold = True
    models.decision = Decision(
        action=Action.RUN, rule="hot", origin="local", rank=0, variants=("echo-int8", "echo-fp32"), scale=0.5
    )
    desk.ask()
    models.let_go()

    text = 'rule="hot", variant="echo-int8", scale=0.5'
    assert desk.responses[0].fields["Edged-Decision"] == text
    assert json.loads(desk.responses[0].parts[0])["parameters"]["decision"] == text


async def test_an_answer_from_the_cloud_says_so(desk, models):
    models.hold = True
    submit = models.submit
    models.submit = lambda *asked: replace(submit(*asked), is_offloaded=True)
    desk.ask()
    models.let_go()

    assert json.loads(desk.responses[0].parts[0])["parameters"]["offloaded"] is True


async def test_where_no_rule_decided_nothing_is_said_of_decisions(desk):
    desk.ask()

    assert "Edged-Decision" not in desk.responses[0].fields
    assert json.loads(desk.responses[0].parts[0])["parameters"] == {"variant": ECHO.variant}


@pytest.mark.parametrize(("offload", "has_consent"), [(True, True), (False, False), (None, False)])
async def test_only_a_caller_who_says_so_consents_to_be_offloaded(desk, models, offload, has_consent):
    parameters = {} if offload is None else {"parameters": {"offload": offload}}
    desk.ask(json.dumps({**json.loads(FILE), **parameters}).encode())

    assert models.requests[0].has_consent is has_consent


async def test_what_is_deferred_says_when_to_come_again_and_what_is_denied_does_not(desk, models):
    models.failure = DeferredError("hot", rule="hot", retry_after_s=12)
    desk.ask()
    models.failure = PolicyDeniedError("closed", rule="closed")
    desk.ask()

    deferred, denied = desk.responses
    assert (deferred.status, deferred.fields["Retry-After"]) == (503, "12")
    assert (denied.status, denied.fields.get("Retry-After")) == (403, None)
    body = json.loads(b"".join(deferred.parts))
    assert (body["type"], body["facts"]) == ("urn:edged:error:deferred", {"rule": "hot"})


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/v2/models/a/infer", ("a", None)),
        (b"/v2/models/a/versions/1.0.0/infer", ("a", "1.0.0")),
        (b"/v2/models/a/infer?x=1&y=/z?", ("a", None)),
        (b"/v2/models/a/infer?", ("a", None)),
        (b"/v2/models/a%2Fb%20c/versions/%31/infer", ("a/b c", "1")),
        (b"/v2/models/%ff/infer", ("�", None)),
        (b"/v2/models/versions/versions/1/infer", ("versions", "1")),
        (b"/v2/models//infer", None),
        (b"/v2/models/a/b/infer", None),
        (b"/v2/models/a/versions//infer", None),
        (b"/v2/models/a/infer/", None),
        (b"/v2/models/a/infer#x", None),
        (b"/v2//models/a/infer", None),
        (b"/x/v2/models/a/infer", None),
        (b"/v2/models/a/inference", None),
        (b"/v2/%6dodels/a/infer", None),
    ],
)
def test_paths_of_inferences(target, path):
    assert parse_infer_path(target) == path
