"""A developer's daemon follows the fleet's orders and, for models of their own, the document of its directory."""

import asyncio
import logging

import pytest

from edged.dev.local.document import LocalModel, LocalModels, write_models
from edged.dev.local.orders import LocalOrders
from edged.ids import ModelName, Version
from edged.store.layout import StoreLayout
from tests.fakes.orders import FakeOrders
from tests.fakes.patience import PATIENCE_S
from tests.fakes.store_documents import StoreDocuments

OWN, THEIRS = ModelName("own"), ModelName("theirs")


class Fleet(FakeOrders):
    """Says what the store does; its listeners are told when a test says so."""

    def __init__(self, layout) -> None:
        super().__init__(layout)
        self.listeners = []

    def on_change(self, listener) -> None:
        self.listeners.append(listener)


@pytest.fixture
def layout(tmp_path):
    (tmp_path / "local").mkdir()
    return StoreLayout(tmp_path / "store")


@pytest.fixture
def fleet(layout):
    StoreDocuments(layout).roll_out(theirs="1.0.0")
    return Fleet(layout)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "local/models.json"


def name(path, version="0.1.0-local.1", *, model=OWN):
    write_models(path, LocalModels(models={model: LocalModel(version=version, source="/home/d/own.onnx")}))


def run(orders, model):
    decision = orders.decision(model, active=None)
    return None if decision is None else (str(decision.run), decision.rule)


async def test_both_are_followed(fleet, path):
    name(path)

    with LocalOrders(fleet, path) as orders:
        assert sorted(orders.models) == [OWN, THEIRS]
        assert run(orders, OWN) == ("0.1.0-local.1", "local")
        assert run(orders, THEIRS) == ("1.0.0", "everyone")
        assert run(orders, ModelName("nobodys")) is None


async def test_status_and_history_say_that_nobody_has_signed_it(fleet, path):
    name(path)

    with LocalOrders(fleet, path) as orders:
        assert orders.decision(OWN, active=None).reason == "unsigned, made of /home/d/own.onnx"
        assert orders.cause_for(OWN) == "local file"
        assert orders.cause_for(THEIRS) == fleet.cause


async def test_stops_and_floors_of_the_fleet_hold_for_every_name(fleet, path):
    name(path, "0.1.0-local.1")
    fleet.stop(OWN, "0.1.0-local.1")
    fleet.floors[OWN] = Version(2, 0, 0)

    with LocalOrders(fleet, path) as orders:
        assert orders.stopped(OWN, Version.parse("0.1.0-local.1")).reason == "wrong answers"
        assert orders.floor(OWN) == Version(2, 0, 0)


async def test_a_name_that_comes_to_the_repository_stays_the_developers_and_that_is_said_once(fleet, path, caplog):
    name(path, model=THEIRS)

    with LocalOrders(fleet, path) as orders, caplog.at_level(logging.WARNING):
        assert {run(orders, THEIRS) for _ in range(3)} == {("0.1.0-local.1", "local")}

    (record,) = caplog.records
    assert "The repository has a model theirs, too" in record.getMessage()


async def test_a_new_version_is_told_as_soon_as_it_is_named(fleet, path):
    changed = asyncio.Event()
    with LocalOrders(fleet, path) as orders:
        orders.on_change(changed.set)
        name(path)
        async with asyncio.timeout(PATIENCE_S):
            await changed.wait()

        assert run(orders, OWN) == ("0.1.0-local.1", "local")


async def test_news_of_the_fleet_are_told_too(fleet, path):
    told = []
    with LocalOrders(fleet, path) as orders:
        orders.on_change(lambda: told.append("news"))
        for listener in fleet.listeners:
            listener()

    assert told == ["news"]


async def test_a_document_that_cannot_be_read_changes_nothing(fleet, path, caplog):
    name(path)
    with LocalOrders(fleet, path) as orders:
        path.write_bytes(b"{")
        orders.look()

        assert run(orders, OWN) == ("0.1.0-local.1", "local")
    assert "models.json" in caplog.text
