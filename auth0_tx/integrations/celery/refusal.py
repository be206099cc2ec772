"""Refuse tokens in messages and results: brokers, result backends and logs keep those.

An application is guarded at three places:

1. ``send_task``, which every task passes on its way out: what the caller has given is searched
   before anything is done with it, so that the error names the caller's own argument.
2. ``amqp.send_task_message``, where the message is complete: signals, routers and stamps have
   changed it, and the next step writes it.  Body, headers and properties are searched, as they
   are and as the serializer writes them.
3. The result backend: what is to be stored of a task's return value, error or state.

Celery has no hook that may refuse: it logs what its signals raise, and sends.  So the guards
replace these methods on the application's own objects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from celery import Celery
from kombu.exceptions import EncodeError

from ...errors import InvalidInputError
from .token_search import Found, is_token_name, search_serialized, search_tree

# Where Celery finds `refuse_tokens`, for an application that it makes again.
_PATH = f"{__name__}:refuse_tokens"
_RULE = (
    "must not be a token: put it into a SubjectTokenVault, and pass the task its handle"
)
_UNSEARCHABLE = "can't be searched for tokens: pass plain values"
# What a message calls the options of ``apply_async``.
_OPTION_NAMES = {"callbacks": "link", "errbacks": "link_error"}
_NAMED_OPTIONS = frozenset(
    {
        "chain",
        "chord",
        "headers",
        "link",
        "link_error",
        "shadow",
        "argsrepr",
        "kwargsrepr",
    }
)
# What `publish` is given for itself, and does not send.
_NOT_PUBLISHED = frozenset({"declare", "headers", "retry_policy", "serializer"})


class _RefusedError(InvalidInputError, EncodeError):
    """A refusal that a worker takes for the failure of the task that it runs.

    Of the errors that arise when a result is stored, or passed on to the next task of a chain,
    Celery counts only an ``EncodeError`` as the task's.  After another error it would store
    nothing, and whoever waits for the result would wait for ever.
    """


def find_refusal(
    args: Any,
    kwargs: Any,
    options: Any = None,
    *,
    as_pickle: bool = False,
    is_allowed: Callable[[str], bool] | None = None,
) -> InvalidInputError | None:
    """Return the error to raise if a task's arguments, or other options, hold a token.

    The caller raises it, after it has dropped the arguments: an error tracker shows the locals
    of each frame.

    Args:
        args: positional arguments.
        kwargs: keyword arguments.
        options: the other options of the message, such as the tasks that follow.
        as_pickle: whether objects in them are searched, too.
        is_allowed: whether the task of a name may be sent tokens.

    Returns:
        The error, which names the argument and not the value, or ``None``.
    """
    options = options or {}
    parts = {"args": args or (), "kwargs": kwargs or {}}
    for name, value in options.items():
        parts[_name_option(name, options)] = value
    return _find(partial(_search_parts, as_pickle=as_pickle), parts, is_allowed)


def refuse_tokens(app: Celery) -> None:
    """Make *app* refuse tokens in the messages of any task, and in results.

    A message is searched as it is published: arguments, the tasks that follow, headers, stamps
    and other options, as the serializer writes them.  A token, or what can't be searched, is
    refused with an :class:`InvalidInputError` that names the place; nothing is sent.  In a
    worker, a task that returns a token, or passes one to ``update_state``, fails with that
    error; of a task whose error holds a token, that error is stored instead.

    A task with ``allow_tokens = True`` may have tokens in its arguments and results, if the
    application knows the task.

    Args:
        app: the application that sends or runs tasks; call this once, where it is made.
    """
    if _is_guard(app.send_task):
        return
    send, make_backend = app.send_task, app._get_backend  # type: ignore[attr-defined]
    task_class: Any = app.Task
    make_retry = task_class.signature_from_request
    existing = app._backend  # type: ignore[attr-defined]

    def is_allowed(name: str) -> bool:
        return bool(getattr(app.tasks.get(name), "allow_tokens", False))

    def send_task(
        name: str, args: Any = None, kwargs: Any = None, *more: Any, **rest: Any
    ) -> Any:
        _guard_publishing(app.amqp, is_allowed)
        may_have = is_allowed(name)
        refusal = find_refusal(
            None if may_have else args,
            None if may_have else kwargs,
            rest,
            is_allowed=is_allowed,
        )
        if refusal is not None:
            args = kwargs = more = None  # type: ignore[assignment]
            rest.clear()
            raise refusal
        return send(name, args, kwargs, *more, **rest)

    def get_backend() -> Any:
        return _guard_results(make_backend(), is_allowed)

    def signature_from_request(task: Any, *rest: Any, **options: Any) -> Any:
        return check_retry(make_retry(task, *rest, **options), is_allowed)

    send_task.refuses_tokens = True  # type: ignore[attr-defined]
    # The base class of this application's tasks, except those with a class of their own.
    task_class.signature_from_request = signature_from_request
    vars(app).update(send_task=send_task, _get_backend=get_backend)
    # A spawned worker process gets a pickle of the application, without these functions.
    # Celery applies its "fixups" to what it makes of it.
    app.fixups = {*app.fixups, _PATH}  # type: ignore[attr-defined]
    if existing is not None:
        _guard_results(existing, is_allowed)


def check_retry(signature: Any, is_allowed: Callable[[str], bool]) -> Any:
    """Return the signature of a task that is to be tried again.

    After a refusal on the way out, Celery would reject the message and store no result.

    Raises:
        InvalidInputError: it has a token that its task may not have.
    """
    may_have = is_allowed(signature.task)
    refusal = find_refusal(
        None if may_have else signature.args,
        None if may_have else signature.kwargs,
        signature.options,
        is_allowed=is_allowed,
    )
    if refusal is not None:
        signature = None
        raise refusal
    return signature


def _is_guard(function: Any) -> bool:
    return getattr(function, "refuses_tokens", False)


def _guard_publishing(amqp: Any, is_allowed: Callable[[str], bool]) -> None:
    """Have each complete message of *amqp* searched before its producer publishes it."""
    send = amqp.send_task_message
    if _is_guard(send):
        return

    def send_task_message(
        producer: Any, name: str, message: Any, *rest: Any, **options: Any
    ) -> Any:
        checked = _CheckedProducer(producer, name, message.body, is_allowed)
        return send(checked, name, message, *rest, **options)

    send_task_message.refuses_tokens = True  # type: ignore[attr-defined]
    amqp.send_task_message = send_task_message


class _CheckedProducer:
    """The producer of one message, which is searched when it is published.

    Args:
        producer: Celery's producer.
        name: the name of the task.
        body: the body of the task's message; other messages, such as events, are not tasks'.
        is_allowed: whether the task of a name may be sent tokens.
    """

    def __init__(
        self,
        producer: Any,
        name: str,
        body: Any,
        is_allowed: Callable[[str], bool],
    ) -> None:
        self._producer, self._name, self._body = producer, name, body
        self._is_allowed = is_allowed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    def publish(self, body: Any, **options: Any) -> Any:
        refusal = self._find_refusal(options) if body is self._body else None
        if refusal is not None:
            self._body = body = None
            options.clear()
            raise refusal
        return self._producer.publish(body, **options)

    def _find_refusal(self, options: dict[str, Any]) -> InvalidInputError | None:
        parts = _name_parts(self._body)
        parts["task"] = self._name
        parts["headers"] = options.get("headers") or {}
        for name, value in options.items():
            if name not in _NOT_PUBLISHED:
                parts[_name_option(name, {})] = value
        search = partial(_search_message, serializer=options.get("serializer"))
        return _find(search, parts, self._is_allowed)


def _name_option(name: str, options: Mapping[str, Any]) -> str:
    """Return what an error calls an option of ``apply_async``."""
    if name in _NAMED_OPTIONS:
        return name
    is_stamp = name in (options.get("stamped_headers") or ())
    return f"{'stamps' if is_stamp else 'options'}[{name!r}]"


def _search_parts(parts: Mapping[str, Any], as_pickle: bool = False) -> Found | None:
    for place, part in parts.items():
        name = place.partition("'")[2].rstrip("']")
        found = search_tree(
            part, place, as_pickle=as_pickle, is_named=is_token_name(name)
        )
        if found is not None:
            return found
    return None


def _search_message(parts: Mapping[str, Any], serializer: str | None) -> Found | None:
    for place, part in parts.items():
        # Headers and properties have no serializer: the transport writes them.
        if place == "headers" or place.startswith("options["):
            found = _search_parts({place: part})
        else:
            found = search_serialized(part, place, serializer)
        if found is not None:
            return found
    return None


def _name_parts(body: Any) -> dict[str, Any]:
    """Return the parts of a message's body under the names that ``apply_async`` has for them."""
    parts: dict[str, Any]
    if isinstance(body, Mapping):  # the message protocol 1
        parts = dict(body)
    else:
        args, kwargs, embedded = body
        parts = {"args": args, "kwargs": kwargs, **embedded}
    return {_OPTION_NAMES.get(name, name): part for name, part in parts.items()}


def _guard_results(backend: Any, is_allowed: Callable[[str], bool]) -> Any:
    """Have all that *backend* is to store of a task searched; return *backend*."""
    if "store_result" in vars(backend):
        return backend
    store, return_part = backend.store_result, backend.on_chord_part_return

    def check(result: Any, state: str, request: Any) -> Any:
        """Return *result*, or the error to store instead of it."""
        if is_allowed(getattr(request, "task", None) or ""):
            return result
        is_error = isinstance(result, BaseException)
        found = _search_result(backend, result, state)
        if found is None:
            return result
        if is_error:
            kind = type(result).__name__
            return InvalidInputError(
                f"the task's error, a {kind}, holds a token and was not stored",
                parameter="error",
            )
        del result
        raise _make_refusal(found)

    def store_result(
        task_id: str,
        result: Any,
        state: str,
        traceback: Any = None,
        request: Any = None,
        **rest: Any,
    ) -> Any:
        if isinstance(result, _RefusedError):
            # Whoever reads the result need not know our subclass.
            result = InvalidInputError(*result.args)
        checked = check(result, state, request)
        # A traceback ends with the text of the error.
        if checked is not result or search_tree(traceback, "traceback") is not None:
            traceback = None
        return store(task_id, checked, state, traceback, request=request, **rest)

    def on_chord_part_return(request: Any, state: str, result: Any, **rest: Any) -> Any:
        return return_part(request, state, check(result, state, request), **rest)

    vars(backend).update(
        store_result=store_result, on_chord_part_return=on_chord_part_return
    )
    return backend


def _search_result(backend: Any, result: Any, state: str) -> Found | None:
    if isinstance(result, BaseException):
        place = "error"
        found = search_tree((result.args, str(result)), place)
        if found is not None:
            return found
    else:
        place = "result"
    try:
        encoded = backend.encode_result(result, state)
    except Exception:
        # Celery meets the same error, and knows what to do about it.
        return search_tree(result, place)
    return search_serialized(encoded, place, backend.serializer)


def _find(
    search: Callable[[Mapping[str, Any]], Found | None],
    parts: dict[str, Any],
    is_allowed: Callable[[str], bool] | None,
) -> InvalidInputError | None:
    """Return an error if *search* finds a token in *parts* that no task is allowed to have."""
    found = search(parts)
    if found is not None and is_allowed is not None:
        # Rare, so the copy without the allowed arguments is made only now.
        found = search(_remove_allowed(parts, is_allowed, is_message=True))
    return None if found is None else _make_refusal(found)


def _make_refusal(found: Found) -> _RefusedError:
    rule = _RULE if found.is_searchable else _UNSEARCHABLE
    return _RefusedError(f"{found.place} {rule}", parameter=found.place)


def _remove_allowed(
    value: Any, is_allowed: Callable[[str], bool], *, is_message: bool = False
) -> Any:
    """Return *value* without the arguments of the tasks in it that may have tokens."""
    if isinstance(value, Mapping) and (type(value) is dict or "subtask_type" in value):
        # Data of a user's may look like a task, but not like all of a signature.
        is_task = is_message or value.keys() >= {"args", "options", "subtask_type"}
        name = value.get("task")
        if is_task and isinstance(name, str) and is_allowed(name):
            value = {k: v for k, v in value.items() if k not in ("args", "kwargs")}
            headers = value.get("headers")
            if isinstance(headers, Mapping):
                shown = ("argsrepr", "kwargsrepr")
                value["headers"] = {k: v for k, v in headers.items() if k not in shown}
        return {k: _remove_allowed(v, is_allowed) for k, v in value.items()}
    if type(value) in (list, tuple):
        return [_remove_allowed(item, is_allowed) for item in value]
    # Of another class: a copy would have its items, and nothing else that it keeps.
    return value
