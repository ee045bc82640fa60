"""``make faults``: kill -9 in every phase, a hundred times.

    python -m tests.faults --kills 20 --seed 1

One shop, one server; phases take turns. Prints each kill, and at the end how many left everything
as it must be. Exit code 1 when one did not.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from python_ml.warehouse.server import EmbeddedServer
from tests.faults.kills import PHASES, Killer
from tests.faults.shop import FaultShop


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill every phase again and again.")
    parser.add_argument("--kills", type=int, default=20, help="in each phase")
    parser.add_argument("--seed", type=int, default=20240229)
    parser.add_argument("--phases", nargs="+", default=list(PHASES), choices=list(PHASES))
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # its server ends with it
    folder = Path(tempfile.mkdtemp(prefix="smartretail-faults-"))
    server = EmbeddedServer(folder / "home")
    survived = dict.fromkeys(options.phases, 0)
    try:
        killer = Killer(FaultShop(folder), options.seed)
        for number in range(options.kills):
            for phase in options.phases:
                survived[phase] += _survives(killer, phase, number)
    finally:
        server.stop()
        shutil.rmtree(server.data_dir.parent, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
    for phase, count in survived.items():
        sys.stdout.write(f"{phase}: {count} of {options.kills}\n")
    sys.stdout.write(f"killed after publishing: {killer.came_into_force}\n")
    total = options.kills * len(options.phases)
    sys.stdout.write(f"{sum(survived.values())} of {total}\n")
    return 0 if sum(survived.values()) == total else 1


def _survives(killer: Killer, phase: str, number: int) -> bool:
    try:
        moment = killer.kill_in(phase, number)
    except Exception:
        sys.stdout.write(f"{phase} {number + 1}: FAILED\n{traceback.format_exc()}\n")
        sys.stdout.flush()
        return False
    sys.stdout.write(f"{phase} {number + 1}: killed {moment:.2f} s into the phase\n")
    sys.stdout.flush()
    return True


if __name__ == "__main__":
    sys.exit(main())
