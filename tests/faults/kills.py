"""``kill -9`` at seeded random moments of each phase."""

from __future__ import annotations

import random
import select
import subprocess
import time
from dataclasses import dataclass, field

from tests.faults.shop import HABIT, FaultShop

PHASES = {
    "load": "Loading",
    "build": "dbt build",
    "train": "Training",
    "score": "Scoring",
    "publish": "dbt build",
}
"""The phases, and what the command says when one begins."""


@dataclass
class Killer:
    """Kills commands of one shop at random moments, and looks at what is left.

    ``seconds`` is how long each phase takes, measured on commands that were not killed.
    """

    shop: FaultShop
    seed: int
    seconds: dict[str, float] = field(default_factory=dict)
    came_into_force: int = 0
    """Kills that struck after the insert that publishes and before the end of the command."""

    def measure(self, phase: str) -> None:
        """Let a phase run to its end once, to know how long it takes."""
        arguments = self._prepare(phase)
        assert not self._kill_after(phase, arguments, 600)

    def kill_in(self, phase: str, number: int) -> float:
        """Kill a command in a phase, check what is left, and let the next run succeed.

        A command that ended before it was killed does not count: another is started, with new work
        to do, and killed at another moment.

        Returns
        -------
        float
            Seconds into the phase at which it was killed.
        """
        if phase not in self.seconds:
            self.measure(phase)
        draw = random.Random(f"{self.seed}/{phase}/{number}")
        while True:
            arguments = self._prepare(phase)
            before = self.shop.answers()
            moment = draw.random() * self.seconds[phase]
            was_killed = self._kill_after(phase, arguments, moment)
            self.came_into_force += self.shop.check_in_force(before)
            if was_killed:
                self.shop.check_next_run()
                return moment

    def _prepare(self, phase: str) -> list[str]:
        """Make work for one phase, with all before it done; return the command that does it."""
        built = self.shop.built
        new_rows = self.shop.grow()
        if phase == "load":
            return ["load", "--path", str(new_rows)]
        self.shop.load(new_rows)
        if phase == "build":
            return ["build", "--only", HABIT, "--as-of", str(self.shop.day)]
        if phase == "publish":
            pipeline, request = self.shop.pipeline, self.shop.request(built)
            with pipeline.writing():
                pipeline.predict(request, HABIT, training="never")
                pipeline.summarise_customers(request)
        # the rows that came in make new models and new runs of the day that was built last, too
        return [phase, "--only", HABIT, "--as-of", str(built)]

    def _kill_after(self, phase: str, arguments: list[str], moment: float) -> bool:
        """Start a command and kill it so many seconds after its phase began."""
        process = self.shop.start(*arguments)
        said = self._wait_for(process, PHASES[phase])
        began = time.monotonic()
        ended_before = self._ends_within(process, moment)
        if ended_before:
            self.seconds[phase] = time.monotonic() - began
            rest = process.communicate()[1]
            assert process.returncode == 0, f"{arguments} failed by itself:\n{said}{rest}"
            return False
        process.kill()
        process.communicate()
        return process.returncode == -9

    @staticmethod
    def _wait_for(process: subprocess.Popen[str], words: str) -> str:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if words in line:
                return said
        raise AssertionError(f"never said {words!r}:\n{said}")

    def _ends_within(self, process: subprocess.Popen[str], seconds: float) -> bool:
        """Read what the process says, so that it never waits for us; True when it ended."""
        assert process.stderr is not None
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([process.stderr], [], [], left)[0] and not process.stderr.readline():
                return True
        return False
