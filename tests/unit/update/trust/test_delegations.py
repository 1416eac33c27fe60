"""Edged is stricter than TUF: only the top-level targets role delegates, and only to roles it names."""

from datetime import timedelta

import pytest
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, SuccinctRoles, Targets

from edged.errors import TrustError
from tests.fakes.trust_worlds import NOW


def test_hash_bins_are_refused(world):
    key = world.forger.own.public_key
    bins = Delegations({key.keyid: key}, succinct_roles=SuccinctRoles([key.keyid], 1, 4, "bin"))
    world.forger.sign("targets", lambda targets: setattr(targets, "delegations", bins))
    world.forger.pin("targets")

    with pytest.raises(TrustError, match="hash bins"):
        world.refresh()


def test_role_that_delegates_further_is_refused_unless_that_is_wanted(world):
    key = world.forger.own.public_key
    role = DelegatedRole("deeper", [key.keyid], 1, terminating=True, paths=["ops/deep.json"])
    nested = Delegations({key.keyid: key}, {"deeper": role})
    world.forger.sign("ops", lambda ops: setattr(ops, "delegations", nested))
    deeper = Metadata(Targets(expires=NOW + timedelta(days=1)))
    deeper.sign(world.forger.own)
    world.forger.write("deeper", 1, deeper.to_bytes())
    world.forger.target("deeper", "ops/deep.json", b"{}")
    world.forger.pin("ops", "deeper")

    with pytest.raises(TrustError, match="delegates further"):
        world.refresh().read_target("ops/deep.json", max_bytes=10)
    assert not (world.kept / "deeper.json").exists()
    assert world.refresh(may_nest=True).read_target("ops/deep.json", max_bytes=10).data == b"{}"
