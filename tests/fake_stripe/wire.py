"""Stripe's wire format: bracketed form input, checked against the stripe package's own parameter types; errors."""

import sys
import types
from collections.abc import Iterable
from typing import Any, ForwardRef, Literal, NotRequired, Required, Union, get_args, get_origin, is_typeddict

from stripe._request_options import RequestOptions

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    402: "card_error",
    404: "invalid_request_error",
}
JSON = dict[str, Any]
NOT_ON_THE_WIRE = frozenset(RequestOptions.__annotations__)


class ApiError(Exception):
    """An answer of Stripe's that is an error. `status` is the HTTP status, `fields` go into its `error` object."""

    def __init__(self, status: int, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.status = status
        kind = fields.pop("type", ERROR_TYPES.get(status, "api_error"))
        self.error: JSON = {"type": kind, "message": message, **{k: v for k, v in fields.items() if v is not None}}

    @property
    def body(self) -> JSON:
        return {"error": self.error}


def missing(kind: str, id: str, param: str = "id") -> ApiError:
    words = {"checkout.session": "checkout.session"}.get(kind, kind.replace("_", ""))
    return ApiError(404, f"No such {words}: '{id}'", code="resource_missing", param=param)


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    return ApiError(400, message, param=param, code=code)


# ---------- a[b][0][c]=value → nested dicts and lists ----------


def decode(pairs: Iterable[tuple[str, str]]) -> JSON:
    """Form pairs with bracketed keys as nested data; every leaf is still a string."""
    tree: JSON = {}
    for key, value in pairs:
        _place(tree, _split(key), value)
    return {key: _as_lists(value) for key, value in tree.items()}


def _split(key: str) -> list[str]:
    head, *rest = key.replace("]", "").split("[")
    return [head, *rest]


def _place(tree: JSON, path: list[str], value: str) -> None:
    for step in path[:-1]:
        tree = tree.setdefault(step, {})
        if not isinstance(tree, dict):
            raise invalid(f"Invalid object: {step}", param=step)
    last = path[-1] or str(len(tree))  # `expand[]=…` appends
    tree[last] = value


def _as_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {key: _as_lists(v) for key, v in value.items()}
    if inner and all(key.isdigit() for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner


# ---------- checked against stripe.params.*: what the real service would refuse, this one refuses ----------


def checked(params: type | None, data: JSON) -> JSON:
    """`data` with numbers and booleans as the TypedDict `params` says; ApiError 400 for anything it doesn't know."""
    if params is None:
        if data:
            raise _unknown(next(iter(data)))
        return {}
    return _typed_dict(params, data, "")


def _unknown(name: str) -> ApiError:
    return invalid(f"Received unknown parameter: {name}", param=name, code="parameter_unknown")


def _named(prefix: str, key: str) -> str:
    return f"{prefix}[{key}]" if prefix else key


def _typed_dict(cls: type, data: JSON, prefix: str) -> JSON:
    hints = {key: hint for key, hint in cls.__annotations__.items() if key not in NOT_ON_THE_WIRE}
    needed: frozenset[str] = getattr(cls, "__required_keys__", frozenset()) & frozenset(hints)
    for key in sorted(needed - set(data)):
        name = _named(prefix, key)
        raise invalid(f"Missing required param: {name}.", param=name, code="parameter_missing")
    for key in data:
        if key == "payment_method_types" and key not in hints:  # gone since 2026-09-30.endive
            message = "`payment_method_types` is no longer supported. Use `allowed_payment_method_types` instead."
            raise invalid(message, param=key, code="payment_method_types_no_longer_supported")
        if key not in hints:
            raise _unknown(_named(prefix, key))
    return {key: _coerce(hints[key], value, _named(prefix, key), cls.__module__) for key, value in data.items()}


def _choices(hint: Any, module: str) -> list[Any]:
    """A hint as the flat list of its alternatives, with forward references and NotRequired taken away."""
    if isinstance(hint, str):
        hint = ForwardRef(hint)
    if isinstance(hint, ForwardRef):
        # the text comes from the installed stripe package, never from a request
        return _choices(eval(hint.__forward_arg__, dict(vars(sys.modules[module]))), module)
    if get_origin(hint) in {NotRequired, Required} or getattr(get_origin(hint), "__name__", "") == "NotRequired":
        return _choices(get_args(hint)[0], module)
    if get_origin(hint) in {Union, types.UnionType}:
        return [one for part in get_args(hint) for one in _choices(part, module)]
    return [hint]


def _coerce(hint: Any, value: Any, name: str, module: str) -> Any:
    choices = _choices(hint, module)
    if isinstance(value, dict):
        return _coerce_dict(choices, value, name)
    if isinstance(value, list):
        return _coerce_list(choices, value, name, module)
    return _coerce_leaf(choices, value, name)


def _coerce_dict(choices: list[Any], value: JSON, name: str) -> JSON:
    for choice in choices:
        if is_typeddict(choice) or hasattr(choice, "__required_keys__"):
            return _typed_dict(choice, value, name)
        if get_origin(choice) is dict:
            return {str(key): str(one) for key, one in value.items()}
    raise invalid(f"Invalid string: {value}", param=name)


def _coerce_list(choices: list[Any], value: list[Any], name: str, module: str) -> list[Any]:
    for choice in choices:
        if get_origin(choice) is list:
            inner = get_args(choice)[0]
            return [_coerce(inner, one, f"{name}[{i}]", module) for i, one in enumerate(value)]
    raise invalid(f"Invalid string: {value}", param=name)


def _coerce_leaf(choices: list[Any], value: str, name: str) -> Any:
    words = [word for choice in choices if get_origin(choice) is Literal for word in get_args(choice)]
    if value in words:
        return value
    if bool in choices and value in {"true", "false"}:
        return value == "true"
    if int in choices and value.lstrip("-").isdigit():
        return int(value)
    if words and str in choices:  # `Literal[…] | str` is an enumeration that may grow, not free text
        raise invalid(f"Invalid {name}: must be one of {', '.join(w for w in words if w)}", param=name)
    if str in choices:
        return value
    if value == "":  # unsets a list or an object
        return None
    kind = "integer" if int in choices else "boolean" if bool in choices else "object"
    raise invalid(f"Invalid {kind}: {value}", param=name, code=f"parameter_invalid_{kind}")
