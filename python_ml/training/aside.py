"""Training in a process of its own, while the caller goes on with something else.

LightGBM holds its number of threads for a whole process, so that two trainings do not go together
in one; and what Python itself does between its calls would wait in turn. The process reads nothing
but what it is sent, and ends when the caller does.
"""

from __future__ import annotations

import contextvars
import multiprocessing
import os
import queue
import signal
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import partial
from multiprocessing.connection import Connection
from typing import Self

import pandas as pd

from python_ml.errors import SmartRetailError
from python_ml.training.choose import OnStep, TrainingResult, train
from python_ml.training.frame import TrainingFrame
from python_ml.training.recipes.base import Recipe
from python_ml.training.spec import Effort, PredictionSpec


class TrainingEndedError(SmartRetailError):
    """The process that trained ended before it was done."""


@dataclass(frozen=True, eq=False)
class TrainingJob:
    """All that :func:`choose.train` looks at, to be done here or elsewhere."""

    spec: PredictionSpec
    frame: TrainingFrame
    as_of: date
    seed: int
    newest: pd.DataFrame | None = None
    effort: Effort = "quick"
    beside: Recipe | None = None
    tried_on: str | None = None

    def train(self, threads: int, on_step: OnStep) -> TrainingResult:
        """Train; the result does not depend on the number of threads."""
        return train(
            self.spec,
            self.frame,
            as_of=self.as_of,
            seed=self.seed,
            threads=threads,
            newest=self.newest,
            effort=self.effort,
            on_step=on_step,
            beside=self.beside,
            tried_on=self.tried_on,
        )


class Aside:
    """A process that trains what it is given, one job after the other.

    Parameters
    ----------
    threads
        Threads that it trains with.
    say
        Called, from a thread, with each step that a job says, and the job's name before it.
    """

    def __init__(self, threads: int, say: OnStep) -> None:
        context = multiprocessing.get_context("spawn")  # a forked OpenMP would wait for ever
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, threads), daemon=True)
        self._process.start()
        theirs.close()
        self._say = say
        self._coming: dict[str, Future[TrainingResult]] = {}
        listen = contextvars.copy_context().run  # Prefect's logger knows its flow run by them
        threading.Thread(target=listen, args=(self._listen,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()

    def begin(self, name: str, job: TrainingJob) -> Future[TrainingResult]:
        """Have a job done when those before it are.

        Its result raises what the job raised, and :class:`TrainingEndedError` when the process was
        killed.
        """
        self._coming[name] = coming = Future[TrainingResult]()
        try:
            self._ours.send((name, job))
        except OSError:
            self._ended()
        return coming

    def _listen(self) -> None:
        try:
            while True:
                name, kind, told = self._ours.recv()
                if kind == "says":
                    self._say(f"{name}: {told}")
                elif kind == "done":
                    self._coming[name].set_result(told)
                else:
                    self._coming[name].set_exception(told)
        except (EOFError, OSError):
            self._ended()
        except Exception as error:  # what listens to us failed: whoever waits must not for ever
            self._ended(error)

    def _ended(self, why: Exception | None = None) -> None:
        for name, coming in list(self._coming.items()):
            with suppress(InvalidStateError):  # it had come
                coming.set_exception(
                    why
                    or TrainingEndedError(
                        f"The process that trained {name} was ended from outside.",
                        "Where memory was short, train one after the other: "
                        "SMARTRETAIL_THREADS=1. Then run the same command again.",
                    )
                )


def _serve(caller: Connection, threads: int) -> None:
    """Train what the caller sends, until it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller is interrupted too, and ends us
    jobs: queue.SimpleQueue[tuple[str, TrainingJob]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(caller, jobs.put), daemon=True).start()
    while True:
        name, job = jobs.get()
        try:
            result = job.train(threads, partial(_say, caller, name))
        except Exception as error:  # raised again by the caller
            if not isinstance(error, SmartRetailError):
                error.add_note(traceback.format_exc())
            caller.send((name, "failed", error))
        else:
            caller.send((name, "done", result))


def _say(caller: Connection, name: str, text: str) -> None:
    caller.send((name, "says", text))


def _receive(caller: Connection, put: Callable[[tuple[str, TrainingJob]], None]) -> None:
    try:
        while True:
            put(caller.recv())
    except (EOFError, OSError):
        os._exit(1)  # nobody waits for what is being trained
