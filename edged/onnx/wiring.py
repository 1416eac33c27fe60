"""How the nodes of one graph hang together: what each reads and writes. Pure.

A graph is a list of nodes without circles in which each tensor is written once (onnx/docs/IR.md, "Graphs"). Runtimes differ in what they
make of one that is not: some loop, some run nodes in the wrong order, some let the last writer win.
"""

from collections.abc import Collection, Sequence

from edged.errors import UnsafeModelError


class Wiring:
    """Gathered while a graph is walked, judged when all of it was seen."""

    def __init__(self) -> None:
        self._given: set[bytes] = set()
        self._reads: list[frozenset[bytes]] = []
        self._places: list[str] = []
        self._writers: dict[bytes, int] = {}

    def give(self, name: bytes) -> None:
        """Note a tensor that the graph has from the beginning: an input or an initializer."""
        self._given.add(name)

    def add(self, reads: Collection[bytes], writes: Sequence[bytes], where: str) -> None:
        """Note a node.

        Args:
            reads: The tensors it, or a graph in it, reads; an empty name stands for one that is left out.
            writes: The tensors it writes.
            where: Its place, for errors.

        Raises:
            UnsafeModelError: One of them is written already.
        """
        number = len(self._reads)
        for name in writes:
            if name in self._writers:
                raise UnsafeModelError(
                    f"{where}: tensor {_shown(name)} is written a second time", hint="Export the model again."
                )
            if name:
                self._writers[name] = number
        self._reads.append(frozenset(name for name in reads if name))
        self._places.append(where)

    def check(self, where: str) -> frozenset[bytes]:
        """Judge the graph and return the tensors it reads without having them: those of the graphs around it.

        Raises:
            UnsafeModelError: Nodes depend on each other in a circle.
        """
        needed = [[self._writers[name] for name in reads if name in self._writers] for reads in self._reads]
        # Nearly all graphs are in order, and then nothing has to be sorted.
        if any(writer >= number for number, writers in enumerate(needed) for writer in writers):
            self._refuse_circle(needed, where)
        everything: set[bytes] = set()
        for reads in self._reads:
            everything |= reads
        return frozenset(everything - self._writers.keys() - self._given)

    def _refuse_circle(self, needed: Sequence[Sequence[int]], where: str) -> None:
        """Take away nodes that wait for nothing until none is left (Kahn 1962)."""
        waiting = [len(writers) for writers in needed]
        readers: list[list[int]] = [[] for _ in needed]
        for number, writers in enumerate(needed):
            for writer in writers:
                readers[writer].append(number)
        ready = [number for number, count in enumerate(waiting) if not count]
        done = 0
        while ready:
            done += 1
            for reader in readers[ready.pop()]:
                waiting[reader] -= 1
                if not waiting[reader]:
                    ready.append(reader)
        if done < len(needed):
            place = next(self._places[number] for number, count in enumerate(waiting) if count)
            raise UnsafeModelError(
                f"{where}: nodes depend on each other in a circle, at {place}", hint="Export the model again."
            )


def _shown(name: bytes, limit: int = 60) -> str:
    text = name[: 4 * limit].decode("utf-8", "backslashreplace")
    return text if len(text) <= limit else text[:limit] + "..."
