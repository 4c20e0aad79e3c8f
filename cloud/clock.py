"""UTC as integer milliseconds since 1970: what the store keeps and the API gives."""

import time
from datetime import UTC, datetime

from cloud.errors import InvalidError

_LATEST_MS = 253_402_300_799_999


def now_ms() -> int:
    """UTC now, ms since 1970."""
    return time.time_ns() // 1_000_000


def parse_ms(text: str, name: str) -> int:
    """ms since 1970 from an integer of ms or ISO 8601 with a time zone. Raises InvalidError naming `name`."""
    if text.isascii() and text.isdecimal():
        if int(text) > _LATEST_MS:
            raise InvalidError(f"{name} is {text} ms, which is after the year 9999")
        return int(text)
    try:
        # a plus in a query string that nobody escaped arrives as a blank
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError as error:
        raise InvalidError(
            f"{name} is {text!r}; it must be ISO 8601 with a time zone, or ms since 1970"
        ) from error
    if moment.tzinfo is None:
        raise InvalidError(f"{name} is {text!r}, which has no time zone; add Z or an offset")
    return int(moment.timestamp() * 1000)


def iso(ms: int) -> str:
    """ISO 8601 in UTC of ms since 1970."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
