"""The functions a model brings along: who calls whom, and how large the graph is when all of them are written out."""

from collections import Counter
from collections.abc import Mapping

from edged.errors import UnsafeModelError

FunctionName = tuple[str, str]
"""Domain and name. Overloads of one name count as one function that does what all of them do."""


class Functions:
    """Gathered while a model is walked, judged when all of it was seen."""

    def __init__(self) -> None:
        self.count = 0
        self._nodes: Counter[FunctionName] = Counter()
        self._calls: dict[FunctionName, Counter[FunctionName]] = {}
        self._overloads: set[tuple[FunctionName, str]] = set()
        self._called_at: dict[FunctionName, str] = {}

    def define(self, name: FunctionName, overload: str, nodes: int, calls: Counter[FunctionName], where: str) -> None:
        """Note a function with its own number of nodes and the functions it calls.

        Raises:
            UnsafeModelError: It was defined before.
        """
        if (name, overload) in self._overloads:
            raise UnsafeModelError(f"{where}: defined twice", hint="Give each function its own name.")
        self._overloads.add((name, overload))
        self.count += 1
        self._nodes[name] += nodes
        self._calls.setdefault(name, Counter()).update(calls)

    def call(self, name: FunctionName, where: str) -> None:
        """Note a node that calls a function."""
        self._called_at.setdefault(name, where)

    def check(self, calls: Mapping[FunctionName, int], *, nodes: int, max_nodes: int) -> None:
        """Judge what was gathered.

        Args:
            calls: The calls outside of functions.
            nodes: All nodes of the model, those of functions once each.
            max_nodes: Most nodes the graph may have when every call is replaced by the nodes of its function.

        Raises:
            UnsafeModelError: An operator is unknown, a function calls itself, or the written-out graph is too large.
        """
        for name, where in self._called_at.items():
            if name not in self._calls:
                raise UnsafeModelError(
                    f"{where}: the operator is not a standard one, and the model has no function of that name",
                    hint="Export the model with standard ONNX operators only.",
                )
        sizes = self._written_out(max_nodes)
        if (total := nodes + sum(count * sizes[name] for name, count in calls.items())) > max_nodes:
            raise UnsafeModelError(
                f"{total} nodes with all functions written out, at most {max_nodes} are allowed",
                hint="Simplify the model.",
            )

    def _written_out(self, max_nodes: int) -> dict[FunctionName, int]:
        """Return each function's nodes with its calls replaced, callees before callers."""
        callers: dict[FunctionName, list[FunctionName]] = {name: [] for name in self._calls}
        waiting_for = {name: len(calls) for name, calls in self._calls.items()}
        for name, calls in self._calls.items():
            for callee in calls:
                callers[callee].append(name)
        ready = [name for name, count in waiting_for.items() if not count]
        sizes: dict[FunctionName, int] = {}
        while ready:
            name = ready.pop()
            size = self._nodes[name] + sum(count * sizes[callee] for callee, count in self._calls[name].items())
            # Cut above the limit, or doubling functions would make numbers as long as their chain.
            sizes[name] = min(size, max_nodes + 1)
            for caller in callers[name]:
                waiting_for[caller] -= 1
                if not waiting_for[caller]:
                    ready.append(caller)
        if stuck := sorted(set(self._calls) - set(sizes)):
            raise UnsafeModelError(
                f"function {'.'.join(stuck[0])[:200]} calls itself, directly or through others", hint="Inline it."
            )
        return sizes
