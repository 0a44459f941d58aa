"""How much is asked of the database: ``with Queries() as asked``, then ``len(asked)``."""

from __future__ import annotations

from typing import Any, Self

from sqlalchemy import event

from portal.db import db


class Queries(list[str]):
    """The statements sent to the database inside the block, in order; transaction control is left out."""

    def __enter__(self) -> Self:
        event.listen(db.engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(db.engine, "before_cursor_execute", self._note)

    def _note(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            self.append(statement)
