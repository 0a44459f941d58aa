"""Who sent a webhook: the one place that checks signatures of Retell and Cal.com, over the raw bytes.

Stripe's is checked by its own library. A missing key refuses everything: there is no unsigned way in.
"""

from __future__ import annotations

import hashlib
import hmac
import re

RETELL_TOLERANCE_MS = 5 * 60 * 1000
CALCOM_UNSIGNED = "no-secret-provided"

# Thirteen digits (2001 to 2286): nothing parts body and stamp in what is signed, so a stamp of free length could trade
# digits with the end of the body.
_RETELL_HEADER = re.compile(r"v=([1-9][0-9]{12}),d=([0-9a-f]{64})")
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")


class BadSignature(Exception):
    """``reason``: no_key, missing, unsigned, malformed, mismatch or too_old."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def verify_retell(raw: bytes, header: str | None, api_key: str | None, now_ms: int) -> None:
    """Check ``X-Retell-Signature: v=<unix ms>,d=<hex>``; d = HMAC-SHA256(API key, raw body + ms digits).

    Raises :class:`BadSignature`. Five minutes to either side are allowed. The age is judged last, so that
    ``too_old`` means a genuine signature: a late delivery or a wrong clock, and not a wrong key.
    """
    match = _RETELL_HEADER.fullmatch(_present(header, api_key))
    if match is None:
        raise BadSignature("malformed")
    stamp, digest = match.groups()
    if not hmac.compare_digest(_hex(api_key or "", raw + stamp.encode()), digest):
        raise BadSignature("mismatch")
    if abs(now_ms - int(stamp)) > RETELL_TOLERANCE_MS:
        raise BadSignature("too_old")


def verify_calcom(raw: bytes, header: str | None, secret: str | None) -> None:
    """Check ``X-Cal-Signature-256``: hex HMAC-SHA256(secret, raw body). Raises :class:`BadSignature`."""
    digest = _present(header, secret)
    if digest == CALCOM_UNSIGNED:
        raise BadSignature("unsigned")
    if _HEX_DIGEST.fullmatch(digest) is None:
        raise BadSignature("malformed")
    if not hmac.compare_digest(_hex(secret or "", raw), digest):
        raise BadSignature("mismatch")


def sign_retell(raw: bytes, api_key: str, now_ms: int) -> str:
    """The header that Retell would send, for the demo and the tests."""
    return f"v={now_ms},d={_hex(api_key, raw + str(now_ms).encode())}"


def sign_calcom(raw: bytes, secret: str) -> str:
    """The header that Cal.com would send, for the demo and the tests."""
    return _hex(secret, raw)


def _present(header: str | None, key: str | None) -> str:
    if not key:
        raise BadSignature("no_key")
    if not header:
        raise BadSignature("missing")
    return header


def _hex(key: str, message: bytes) -> str:
    return hmac.new(key.encode(), message, hashlib.sha256).hexdigest()
