"""Holds an answer against the stripe package's type annotations: nothing missing, nothing invented, right kinds."""

import inspect
from typing import Any, ClassVar, ForwardRef, Literal, Union, get_args, get_origin

import stripe
from stripe._object_classes import get_object_class
from stripe._stripe_object import StripeObject, UntypedStripeObject

from tests.fake_stripe.wire import JSON


def problems(answer: JSON, cls: type[StripeObject] | None = None, path: str = "") -> list[str]:
    """What is wrong with `answer`, one sentence each; empty = it is what `cls` (or its own `object`) says."""
    cls = cls or get_object_class("V1", answer.get("object", ""))
    if cls is StripeObject:
        return [f"{path}: no class for {answer.get('object')!r}"]
    hints = {key: hint for key, hint in _annotations(cls).items() if get_origin(hint) is not ClassVar}
    name = path or cls.__name__
    found = [f"{name}.{key}: unknown to the package" for key in answer if key not in hints]
    for key, hint in hints.items():
        if key in answer:
            found += _kind(answer[key], hint, f"{name}.{key}")
        elif not _optional(hint):
            found.append(f"{name}.{key}: missing")
    return found


def _annotations(cls: type) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if issubclass(base, StripeObject) and base.__module__ != StripeObject.__module__:
            made |= {key: hint for key, hint in vars(base).get("__annotations__", {}).items() if key[0] != "_"}
    return made


def _optional(hint: Any) -> bool:
    return type(None) in _alternatives(hint)


def _alternatives(hint: Any) -> list[Any]:
    if get_origin(hint) is Union:
        return [one for part in get_args(hint) for one in _alternatives(part)]
    return [hint]


def _kind(value: Any, hint: Any, path: str) -> list[str]:
    options = _alternatives(hint)
    if value is None:
        return [] if type(None) in options else [f"{path}: null"]
    words = [word for one in options if get_origin(one) is Literal for word in get_args(one)]
    if words and isinstance(value, str):  # `Literal[…] | str` may grow; what we send has to be known already
        return [] if value in words else [f"{path}: {value!r} is none of {words[:8]}"]
    if isinstance(value, dict):
        return _object(value, options, path)
    if isinstance(value, list):
        return _list(value, options, path)
    right = type(value) in options or value in words
    return [] if right else [f"{path}: {value!r} is no {hint}"]


def _object(value: JSON, options: list[Any], path: str) -> list[str]:
    for one in options:
        if get_origin(one) is UntypedStripeObject:
            return _untyped(value, get_args(one)[0], path)
        if (get_origin(one) or one) is stripe.ListObject:
            return [bad for item in value["data"] for bad in problems(item, None, path)]
        if inspect.isclass(one) and issubclass(one, StripeObject):
            return problems(value, one, path)
    if any(isinstance(one, ForwardRef) for one in options):
        return problems(value, None, path)
    return [f"{path}: an object, but {options}"]


def _untyped(value: JSON, inner: Any, path: str) -> list[str]:
    if inner is Any:
        return []
    return [f"{path}.{key}: {one!r}" for key, one in value.items() if not isinstance(one, inner)]


def _list(value: list[Any], options: list[Any], path: str) -> list[str]:
    for one in options:
        if get_origin(one) is list:
            inner = get_args(one)[0]
            return [bad for i, item in enumerate(value) for bad in _kind(item, inner, f"{path}[{i}]")]
    return [f"{path}: a list, but {options}"]
