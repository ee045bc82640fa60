"""What a gate has to say: a finding, in a sentence, and what is kept of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from python_ml.watch.thresholds import Level

MOST_TOLD = 4
"""So many findings of one gate are told; the rest are counted."""


@dataclass(frozen=True)
class Finding:
    """One thing that moved beyond a limit.

    Parameters
    ----------
    gate
        As the file of thresholds names it.
    subject
        The feature, window or category that moved.
    level
        ``warn`` or ``refuse``.
    value, limit
        The figure, and the limit of this level that it went beyond.
    text
        All of it in words.
    """

    gate: str
    subject: str
    level: Level
    value: float
    limit: float
    text: str


@dataclass(frozen=True)
class Verdict:
    """Everything that the gates found for one run."""

    findings: tuple[Finding, ...] = ()
    not_judged: tuple[str, ...] = ()

    @property
    def level(self) -> Literal["passed", "warn", "refuse"]:
        """The worst level among the findings."""
        levels = {finding.level for finding in self.findings}
        return "refuse" if "refuse" in levels else "warn" if "warn" in levels else "passed"

    def only_warning(self) -> Verdict:
        """Return the same findings, none of which refuses."""
        return replace(self, findings=tuple(replace(f, level="warn") for f in self.findings))

    def text(self, level: Level | None = None) -> str:
        """Return the findings in words, the worst first, a few of each gate."""
        chosen = [f for f in self.findings if level is None or f.level == level]
        chosen.sort(key=lambda f: (f.level != "refuse", -f.value / max(f.limit, 1e-9)))
        told: list[Finding] = []
        left: dict[str, int] = {}
        for finding in chosen:
            of_gate = sum(other.gate == finding.gate for other in told)
            if of_gate < MOST_TOLD:
                told.append(finding)
            else:
                left[finding.gate] = left.get(finding.gate, 0) + 1
        texts = [finding.text for finding in told]
        texts += [f"{count} more findings of {gate}" for gate, count in left.items()]
        return "; ".join(texts)

    def to_dict(self) -> dict[str, Any]:
        """Return what is kept with the run: plain JSON types, the worst findings."""
        worst = sorted(
            self.findings, key=lambda f: (f.level != "refuse", -f.value / (f.limit or 1))
        )
        return {
            "level": self.level,
            "count": len(self.findings),
            "findings": [
                {**asdict(f), "value": round(f.value, 4), "limit": round(f.limit, 4)}
                for f in worst[: 2 * MOST_TOLD]
            ],
            "not_judged": list(self.not_judged),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Verdict:
        """Read what :meth:`to_dict` wrote."""
        found = tuple(Finding(**finding) for finding in content.get("findings", ()))
        return cls(found, tuple(content.get("not_judged", ())))


def joined(verdicts: Sequence[Verdict]) -> Verdict:
    """Return several verdicts as one."""
    return Verdict(
        tuple(finding for verdict in verdicts for finding in verdict.findings),
        tuple(reason for verdict in verdicts for reason in verdict.not_judged),
    )
