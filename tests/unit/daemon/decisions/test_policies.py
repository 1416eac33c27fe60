"""The rules in force: who is asked first, and that a mistake never takes a good policy away."""

import pytest
from msgspec.structs import replace

from edged.config.schema import RegulatoryConfig
from edged.daemon.decisions import policy_files
from edged.errors import PolicyError, Problem
from edged.policy.ask import Ask
from edged.policy.document import Then
from edged.select.decision import Regulatory
from edged.sense.context import Context
from tests.fakes.policies import SITE, PolicyWorld, policy_of

OTHER = SITE.replace('"hot"', '"other"')
FAILING = SITE.replace('variant = "int8" }\n', 'variant = "fp32" }\n')


@pytest.fixture
def world(tmp_path):
    return PolicyWorld(tmp_path)


def names(policies):
    return [(ranked.origin, ranked.rule.name) for ranked in policies.rules]


async def test_everybody_is_asked_in_their_order(world):
    world.fleet.rules = policy_of(name="fleet")
    overrides = world.overrides()
    policies = world.policies(overrides)

    await overrides.begin("echo", Then(defer_s=5), for_s=60, reason="x", by="operator alice")

    assert names(policies) == [
        ("override", "override"),
        ("local", "hot"),
        ("remote", "hot"),
        ("packaged", "hot"),
        ("built-in", "run-best"),
    ]
    assert [source.place for source in policies.sources] == [
        str(world.directory / "local.toml"),
        "policy 3f9c0d2e",
        str(world.directory / "packaged" / "packaged.toml"),
    ]


@pytest.mark.parametrize("model", ["echo", "unknown"])
async def test_an_override_is_for_the_model_that_it_names_whatever_that_is_called(world, model):
    overrides = world.overrides()
    policies = world.policies(overrides)
    await overrides.begin(model, Then(defer_s=5), for_s=60, reason="x", by="operator alice")

    first = policies.rules[0]
    assert first.applies(Context(), Ask(model=model)) == f"model is {model}"
    assert first.applies(Context(), Ask(model="other")) is None


def test_without_any_policy_the_built_in_rule_is_left(world):
    world.config = replace(world.config, name="", file="")

    policies = world.policies()
    assert names(policies) == [("built-in", "run-best")]
    assert not policies.refused


def test_a_device_without_packaged_policies_has_none(world):
    world.config = replace(world.config, directory=str(world.directory / "none"))

    policies = world.policies()
    assert names(policies) == [("local", "hot"), ("built-in", "run-best")]
    assert not policies.refused


def test_who_listens_is_told_of_other_rules_of_the_fleet_and_of_nothing_else(world):
    policies, told = world.policies(), []
    policies.on_change(lambda: told.append(names(policies)))

    world.fleet.say(policy_of(OTHER))
    world.fleet.say(policy_of(OTHER))
    world.fleet.say(None)

    assert [("remote", "other") in rules for rules in told] == [True, False]


def test_a_start_tells_which_policies_are_in_force_and_where_they_are_from(world, caplog):
    caplog.set_level("INFO")
    world.fleet.rules = policy_of(name="fleet")
    policies = world.policies()

    assert [record.edged_fields for record in caplog.records] == [
        {"policy": "site", "origin": "local", "source": str(world.directory / "local.toml"), "rules": 1},
        {"policy": "fleet", "origin": "remote", "source": "policy 3f9c0d2e", "rules": 1},
        {
            "policy": "packaged",
            "origin": "packaged",
            "source": str(world.directory / "packaged" / "packaged.toml"),
            "rules": 1,
        },
    ]
    assert policies.regulatory == Regulatory()

    caplog.clear()
    world.fleet.say(policy_of(OTHER, name="fleet"))
    world.fleet.say(None)
    assert [record.edged_fields["origin"] for record in caplog.records] == ["remote"]


def test_a_reload_takes_what_has_replace(world, caplog):
    caplog.set_level("INFO")
    policies = world.policies()
    world.write(OTHER)
    caplog.clear()

    policies.apply(
        policies.read(world.config), RegulatoryConfig(mode="hospital", forbid_offload=True, log_decisions=True)
    )

    assert names(policies) == [("local", "other"), ("packaged", "hot"), ("built-in", "run-best")]
    assert policies.regulatory == Regulatory(name="hospital", forbids_offload=True, logs_decisions=True)
    assert [record.edged_fields["policy"] for record in caplog.records] == ["site"]


@pytest.mark.parametrize(
    "text", ["name = ", SITE.replace("thermal =", "heat ="), FAILING], ids=["toml", "rule", "test"]
)
def test_a_reload_with_a_mistake_changes_nothing(world, text):
    policies = world.policies()
    world.write(text)

    with pytest.raises(PolicyError, match=r"local\.toml"):
        policies.read(world.config)

    assert names(policies)[0] == ("local", "hot")


def test_a_policy_whose_tests_fail_is_refused_with_what_was_decided(world):
    policies = world.policies()
    world.write(FAILING)

    with pytest.raises(PolicyError) as caught:
        policies.read(world.config)

    assert 'test "hot: int8": variant: expected fp32, got int8 (rule hot' in str(caught.value)


@pytest.mark.parametrize("text", ["name = ", FAILING], ids=["toml", "test"])
def test_a_start_with_a_mistake_goes_on_with_the_last_good_policy(world, caplog, text):
    world.policies()
    world.write(text)

    policies = world.policies()

    assert names(policies)[0] == ("local", "hot")
    assert policies.sources[0].place == str(world.state / "policy.toml")
    (refused,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "local.toml" in refused.edged_fields["reason"]
    assert "; ".join(policies.refused) == refused.edged_fields["reason"]


def test_a_refusal_is_over_when_a_good_policy_is_taken(world):
    policies = world.policies()
    world.write(FAILING)
    with pytest.raises(PolicyError) as caught:
        policies.read(world.config)
    policies.refuse(caught.value)
    assert policies.refused

    world.write(OTHER)
    policies.apply(policies.read(world.config), RegulatoryConfig())

    assert not policies.refused


def test_a_policy_of_the_fleet_that_was_not_taken_is_refused_like_others_until_one_is(world):
    policies = world.policies()
    world.fleet.complaint = ("policy.json: rules.rule[0]: expected a name",)
    policies.refuse(PolicyError("local.toml", [Problem(pointer="file", expected="expected TOML")]))
    assert policies.refused == ("local.toml: file: expected TOML", "policy.json: rules.rule[0]: expected a name")

    policies.apply(policies.read(world.config), RegulatoryConfig())
    assert policies.refused == world.fleet.complaint


def test_a_copy_is_only_kept_of_a_policy_that_was_taken(world):
    """The other one of the two is wrong: nothing is taken at a reload, so nothing is kept either."""
    policies = world.policies()
    world.write(OTHER)
    with pytest.raises(PolicyError):
        policies.read(replace(world.config, name="batery"))

    assert '"hot"' in (world.state / "policy.toml").read_text()


def test_a_copy_is_for_the_daemon_alone(world):
    world.policies()

    assert (world.state / "policy.toml").stat().st_mode & 0o777 == 0o600


def test_a_copy_that_is_there_is_not_written_again(world):
    world.policies()
    before = (world.state / "policy.toml").stat().st_ino
    world.policies()

    assert (world.state / "policy.toml").stat().st_ino == before


def test_a_disk_that_refuses_the_copy_costs_nothing_else(world, caplog):
    world.state.rmdir()

    assert names(world.policies())[0] == ("local", "hot")
    assert "No copy of the policy is kept" in caplog.text


def test_a_first_start_with_a_mistake_goes_on_without(world):
    world.write("name = ")

    assert names(world.policies()) == [("packaged", "hot"), ("built-in", "run-best")]


def test_a_policy_that_was_taken_away_does_not_come_back(world):
    """Its copy is for mistakes, not for what an administrator removed."""
    world.policies()
    world.config = replace(world.config, name="", file="")
    policies = world.policies()

    assert names(policies) == [("built-in", "run-best")]
    assert not (world.state / "policy.toml").exists()


def test_a_file_that_the_settings_name_has_to_be_there(world):
    policies = world.policies()
    missing = replace(world.config, file=str(world.directory / "missing.toml"))

    with pytest.raises(
        PolicyError, match=r"missing\.toml: file: expected a readable file, got No such file or directory"
    ):
        policies.read(missing)


def test_a_file_may_be_large_and_one_that_is_too_large_is_refused_like_any_mistake(world):
    most = SITE + "#" * (256 * 1024 - len(SITE))
    world.write(most)
    assert names(world.policies())[0] == ("local", "hot")
    world.write(most + "#")

    policies = world.policies()

    assert policies.sources[0].place == str(world.state / "policy.toml")
    assert "local.toml: file: expected a readable file, got " in policies.refused[0]
    assert "None" not in policies.refused[0]


@pytest.mark.parametrize("aim", ["missing.toml", "local.toml"], ids=["nowhere", "itself"])
def test_a_link_that_cannot_be_followed_is_a_mistake_also_at_the_default_place(world, monkeypatch, aim):
    """In the daemon's root directory a link of an administrator may lead nowhere: their rules do not end for that."""
    monkeypatch.setattr(policy_files, "DEFAULT_POLICY_FILE", world.config.file)
    world.policies()
    place = world.directory / "local.toml"
    place.unlink()
    place.symlink_to(world.directory / aim)

    policies = world.policies()

    assert names(policies)[0] == ("local", "hot")
    assert "expected a readable file" in policies.refused[0]


def test_the_default_place_may_be_empty(world, monkeypatch):
    monkeypatch.setattr(policy_files, "DEFAULT_POLICY_FILE", world.config.file)
    world.policies()
    (world.directory / "local.toml").unlink()

    assert names(world.policies()) == [("packaged", "hot"), ("built-in", "run-best")]
    assert not (world.state / "policy.toml").exists()


def test_a_packaged_policy_that_there_is_not_is_named_with_those_that_are(world):
    for name in ("summarizer", "default", "gateway", "battery"):
        world.write(name=name, place=f"packaged/{name}.toml")
    policies = world.policies()

    with pytest.raises(
        PolicyError, match="expected one of battery, default, gateway, packaged, summarizer, got batery"
    ):
        policies.read(replace(world.config, name="batery"))


def test_a_packaged_policy_that_there_is_not_leaves_the_others_at_a_start(world, caplog):
    world.config = replace(world.config, name="batery")

    assert names(world.policies()) == [("local", "hot"), ("built-in", "run-best")]
    assert [record.levelname for record in caplog.records] == ["ERROR"]
