"""A /sys tree on disk, as far as sensors are read from it."""

from pathlib import Path


class Sysfs:
    """What a test lets the kernel say."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "class").mkdir(parents=True)

    def supply(self, name: str, **attributes: str) -> None:
        """Add a power supply, or change it."""
        self.write(f"class/power_supply/{name}", **attributes)

    def zone(self, number: int, temp: str) -> None:
        """Add a thermal zone, or change it."""
        self.write(f"class/thermal/thermal_zone{number}", temp=temp, type="cpu-thermal")

    def write(self, directory: str, **attributes: str) -> None:
        """Add attributes, or change them; a file stays the same one, as the kernel's do."""
        (self.root / directory).mkdir(parents=True, exist_ok=True)
        for name, value in attributes.items():
            (self.root / directory / name).write_text(f"{value}\n")
