"""The publisher of the device's repository, at work on the machine that runs these tests; the device sees its files at once."""

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from demo.files import make_samples
from demo.magika import BIN, Answer, ask_magika, write_sources
from demo.spoiled import write_spoiled_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """Publishes versions of the demonstration's model below ``work``, as ``edge-publish`` does by hand."""

    work: Path
    samples: dict[str, bytes]
    answers: dict[str, Answer]

    def good(self, version: str, *options: str) -> None:
        """Publish the model as it is under another version."""
        self._publish(version, self.samples, self.answers, options)

    def wrong(self, version: str, *options: str) -> None:
        """Publish it with a golden output that it does not give."""
        name = next(iter(self.answers))
        wrong = self.answers | {name: replace(self.answers[name], label="nothing")}
        self._publish(version, self.samples, wrong, options)

    def spoiled(self, version: str, *options: str) -> None:
        """Publish a model that answers its kit and fails on other files."""
        texts = {name: content for name, content in self.samples.items() if max(content) < 128}
        self._publish(version, texts, {name: self.answers[name] for name in texts}, options, is_spoiled=True)

    def run(self, *words: str) -> None:
        """Run a verb of ``edge-publish`` on the repository."""
        self._edge_publish(*words, "--repo", str(self.work / "repo"), "--keys", str(self.work / "keys"))

    def _publish(
        self,
        version: str,
        samples: dict[str, bytes],
        answers: dict[str, Answer],
        options: tuple[str, ...],
        *,
        is_spoiled: bool = False,
    ) -> None:
        sources = self.work / "sources"
        recipe = write_sources(sources, version, samples, answers)
        if is_spoiled:
            write_spoiled_model(sources / "model.onnx")
        self._edge_publish("bundle", "build", str(recipe), "--out", str(self.work / "bundles"))
        self.run("publish", str(self.work / f"bundles/magika-{version}"), *options)

    @staticmethod
    def _edge_publish(*words: str) -> None:
        done = subprocess.run([BIN / "edge-publish", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"edge-publish {' '.join(words)}: {done.stdout}{done.stderr}"


def publishing(work: Path) -> Publishing:
    """Go on with the repository that ``python -m demo.magika --work`` made."""
    samples = make_samples()
    return Publishing(work=work, samples=samples, answers=ask_magika(samples))
