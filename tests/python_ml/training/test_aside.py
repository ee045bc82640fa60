"""Training in a process of its own: the same model, the same errors, and no process left over."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from datetime import date

import numpy as np
import pytest

from python_ml.training.aside import Aside, TrainingEndedError, TrainingJob
from python_ml.training.spec import TooSmallError

LONG = 60
CALLER = """
import sys
from python_ml.training.aside import Aside
if __name__ == "__main__":
    with Aside(1, print):
        print("trains", flush=True)
        sys.stdin.read()
"""


@pytest.fixture(scope="module")
def job(frame, make_spec):
    return TrainingJob(make_spec(), frame, as_of=date(2022, 1, 1), seed=1)


def test_what_is_trained_aside_is_what_is_trained_here(job):
    told: list[str] = []
    with Aside(2, told.append) as aside:
        there = aside.begin("habit", job).result()
    here = job.train(1, lambda _: None)
    assert there.chosen == here.chosen
    assert there.measured == here.measured
    assert there.published.model.to_files() == here.published.model.to_files()
    assert any(text.startswith("habit: Fitting") for text in told)


def test_jobs_are_done_in_turn_and_each_gets_its_own_error(job, small_frame, make_spec):
    few = sorted(set(small_frame.entity))[:6]
    tiny = TrainingJob(
        make_spec(), small_frame.rows(np.isin(small_frame.entity, few)), date(2022, 1, 1), seed=1
    )
    with Aside(1, lambda _: None) as aside:
        first, second = aside.begin("tiny", tiny), aside.begin("habit", job)
        with pytest.raises(TooSmallError, match="recency needs 10 customers") as refused:
            first.result()
        assert refused.value.hint, "what to do next came along"
        assert second.result().chosen


def test_a_killed_process_says_what_to_do(job):
    with Aside(1, lambda _: None) as aside:
        coming = aside.begin("habit", job)
        (child,) = multiprocessing.active_children()
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(TrainingEndedError, match="habit was ended from outside") as ended:
            coming.result()
        assert "SMARTRETAIL_THREADS=1" in str(ended.value.hint)


def test_who_cannot_be_told_is_not_waited_for_in_vain(job):
    def say(text: str) -> None:
        raise ValueError(text)

    with Aside(1, say) as aside:
        coming = aside.begin("habit", job)
        with pytest.raises(ValueError, match="habit: Fitting"):
            coming.result()


def test_it_ends_with_its_caller_however_that_ends(tmp_path):
    script = tmp_path / "caller.py"
    script.write_text(CALLER)
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == "trains\n"
        caller.kill()
        # the trainer writes to the same pipe: it ends when nobody is left to write
        assert caller.communicate(timeout=LONG)[0] == ""


def test_leaving_it_ends_what_is_being_trained(job):
    with Aside(1, lambda _: None) as aside:
        aside.begin("habit", job)
    assert not multiprocessing.active_children()
