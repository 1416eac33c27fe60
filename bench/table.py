"""Print results for people."""

from typing import Any


def print_tables(results: dict[str, Any]) -> None:
    """Print one table for each model, then memory and start."""
    print(f"\n{results['machine']}; " + ", ".join(f"{name} {value}" for name, value in results["versions"].items()))
    head = f"{'':24}{'p50 us':>9}{'p99 us':>9}{'added us':>10}{'1/s, 8':>9}{'1/s, 32':>9}{'CPU ms':>8}"
    for model in dict.fromkeys(row["model"] for row in results["rows"]):
        print(f"\n{model}\n{head}")
        for row in results["rows"]:
            if row["model"] == model:
                print(_line(row))
    print(f"\n{'one small model':24}{'PSS MB':>9}{'start s':>9}")
    for name, service in results["service"].items():
        print(f"{name:24}{service['pss_bytes'] / 1e6:>9.0f}{service['cold_start_s']:>9.2f}")


def _line(row: dict[str, Any]) -> str:
    rates = {int(clients): rate for clients, rate in row["per_s"].items()}
    cells = [
        f"{row['p50_us']:>9.0f}",
        f"{row['p99_us']:>9.0f}",
        _cell(row["added_us"], 10, 0),
        _cell(rates.get(8), 9, 0),
        _cell(rates.get(32), 9, 0),
        _cell(row["cpu_ms_per_request"], 8, 2),
    ]
    return f"{row['way']:24}{''.join(cells)}"


def _cell(value: float | None, width: int, digits: int) -> str:
    return f"{'':>{width}}" if value is None else f"{value:>{width}.{digits}f}"
