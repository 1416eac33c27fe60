"""A tree like the kernel's cpufreq, where it does otherwise than most of the time."""

import pytest

from edged.frequency.__main__ import set_limits, undo
from edged.frequency.kernel import Cpufreq


@pytest.fixture
def cpufreq(tmp_path):
    return Cpufreq(tmp_path / "cpufreq", tmp_path / "thermal")


@pytest.fixture
def policy(tmp_path):
    policy = tmp_path / "cpufreq/policy0"
    policy.mkdir(parents=True)
    for name, number in (("cpuinfo_min_freq", 600_000), ("cpuinfo_max_freq", 2_400_000)):
        (policy / name).write_text(f"{number}\n")
    return policy


def go_offline(policy):
    """Have the kernel take a limit and show none, as it does for processors that go offline."""
    (policy / "scaling_max_freq").unlink(missing_ok=True)
    (policy / "scaling_max_freq").symlink_to("/dev/null")


def test_a_limit_that_was_taken_and_is_not_shown_was_taken(cpufreq, policy):
    go_offline(policy)

    assert cpufreq.set_limit("policy0", 1_200_000) == 1_200_000


def test_a_processor_that_goes_offline_while_it_is_capped_gets_back_what_was_before(cpufreq, policy, tmp_path):
    limit = policy / "scaling_max_freq"
    limit.write_text("2400000\n")

    class GoesOffline(Cpufreq):
        def read(self):
            found = super().read()
            go_offline(policy)
            return found

    assert set_limits(GoesOffline(tmp_path / "cpufreq", tmp_path / "thermal"), 0.5, known=tmp_path / "known")
    limit.unlink()
    limit.write_text("1200000\n")

    assert undo(cpufreq, known=tmp_path / "known")
    assert limit.read_text() == "2400000\n"
