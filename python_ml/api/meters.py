"""What the API counts, in the text format of Prometheus."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"})
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Meters:
    """Requests by route and status, and how long they took."""

    def __init__(self) -> None:
        self._requests: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        self._buckets: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(BOUNDS) + 1))
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Add one request. ``route`` is the pattern, never the address: ids stay out."""
        known = method if method in METHODS else "other"
        self._requests[known, route, status] += 1
        self._buckets[route][bisect_left(BOUNDS, seconds)] += 1
        self._seconds[route] += seconds

    def text(self, runs: list[tuple[str, str, float]]) -> str:
        """Everything counted so far, and since when each prediction's run is in force."""
        lines = ["# TYPE smartretail_requests_total counter"]
        for (method, route, status), count in sorted(self._requests.items()):
            labels = f'method="{method}",route="{route}",status="{status}"'
            lines.append(f"smartretail_requests_total{{{labels}}} {count}")
        lines.append("# TYPE smartretail_request_seconds histogram")
        for route, buckets in sorted(self._buckets.items()):
            total = 0
            for bound, count in zip((*BOUNDS, "+Inf"), buckets, strict=True):
                total += count
                labels = f'route="{route}",le="{bound}"'
                lines.append(f"smartretail_request_seconds_bucket{{{labels}}} {total}")
            lines.append(
                f'smartretail_request_seconds_sum{{route="{route}"}} {self._seconds[route]:.6f}'
            )
            lines.append(f'smartretail_request_seconds_count{{route="{route}"}} {total}')
        lines.append("# TYPE smartretail_run_in_force_timestamp_seconds gauge")
        for prediction, run_id, since in runs:
            labels = f'prediction="{prediction}",run_id="{run_id}"'
            lines.append(f"smartretail_run_in_force_timestamp_seconds{{{labels}}} {since:.0f}")
        return "\n".join(lines) + "\n"
