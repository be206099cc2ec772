"""Child processes of a test: what each does, and what it found."""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging
import os
import signal
from collections.abc import Callable
from multiprocessing.queues import SimpleQueue
from typing import Any

from auth0_tx import AsyncServerClient, ServerClient
from tests.e2e.concurrency.volume import options

# A child that hangs is ended by this signal's default action, and its answer is missed.
LONGEST_LIFE = 60


def fork_in_c() -> int:
    """Fork as ``uwsgi --master`` does: without running Python's fork hooks."""
    # PyDLL keeps the GIL, which the child's one thread must hold.
    child: int = ctypes.PyDLL(None).fork()
    return child


FORKS = {"os.fork": os.fork, "fork in C": fork_in_c}


def in_forks(
    count: int, work: Callable[[int], Any], fork: Callable[[], int] = os.fork
) -> list[Any]:
    """Fork *count* times; return the results of *work*, called with 0, 1, … in the children."""
    children = [_start_child(number, work, fork) for number in range(count)]
    return [_read_answer(child, reader) for child, reader in children]


def _start_child(
    number: int, work: Callable[[int], Any], fork: Callable[[], int]
) -> tuple[int, int]:
    reader, writer = os.pipe()
    child = fork()
    if child:
        os.close(writer)
        return child, reader
    try:
        signal.alarm(LONGEST_LIFE)
        # A thread of the parent may have been writing to a log's stream, and have held
        # the lock inside that stream, which no fork renews.
        logging.disable()
        os.write(writer, json.dumps(work(number)).encode())
    finally:
        # Nothing of the test run that was inherited may end in the child.
        os._exit(0)


def _read_answer(child: int, reader: int) -> Any:
    with open(reader, "rb") as answers:
        answer = answers.read()
    os.waitpid(child, 0)
    return json.loads(answer) if answer else "the child gave no answer"


def own_answers(client: ServerClient, name: str, count: int) -> int:
    """Exchange *count* times; give how many of the answers were this caller's own."""
    subjects = [f"{name}-{number}" for number in range(count)]
    return sum(
        client.custom_token_exchange(options(subject)).access_token == f"for.{subject}"
        for subject in subjects
    )


async def own_async_answers(client: AsyncServerClient, name: str, count: int) -> int:
    """Do the same, all at once."""
    subjects = [f"{name}-{number}" for number in range(count)]
    answers = await asyncio.gather(
        *(client.custom_token_exchange(options(subject)) for subject in subjects)
    )
    return sum(
        answer.access_token == f"for.{subject}"
        for answer, subject in zip(answers, subjects, strict=True)
    )


def use_inherited(client: ServerClient, name: str, found: SimpleQueue[Any]) -> None:
    """Use a client that the process was given."""
    found.put(own_answers(client, name, 50))


def use_own(settings: dict[str, Any], name: str, found: SimpleQueue[Any]) -> None:
    """Use clients that the process makes from settings, of both kinds."""

    async def use_async() -> int:
        async with AsyncServerClient(**settings) as client:
            return await own_async_answers(client, name, 25)

    with ServerClient(**settings) as client:
        found.put(own_answers(client, name, 25) + asyncio.run(use_async()))
