"""A Ray Data source whose read tasks are portions that somebody has cut already."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import pyarrow as pa
from ray.data import DataContext, Datasource
from ray.data.block import Block, BlockMetadata
from ray.data.datasource import ReadTask

_T = TypeVar("_T")


class Portions(Datasource, Generic[_T]):
    """One read task a portion. `columns` reads a portion into the columns of `schema`, in the task's process."""

    def __init__(
        self,
        name: str,
        portions: Sequence[Sequence[_T]],
        columns: Callable[[Sequence[_T]], Mapping[str, Sequence[Any]]],
        schema: pa.Schema,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = name
        self._portions = portions
        self._columns = columns
        self._schema = schema

    def get_name(self) -> str:
        return self._name

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: DataContext | None = None
    ) -> list[ReadTask]:
        return [self._task(portion) for portion in self._portions]

    def _task(self, portion: Sequence[_T]) -> ReadTask:
        # Locals, so that a task carries its own portion and not all of them.
        columns, schema = self._columns, self._schema

        def read() -> list[Block]:
            return [pa.table(dict(columns(portion)), schema=schema)]

        metadata = BlockMetadata(num_rows=len(portion), size_bytes=None, input_files=None, exec_stats=None)
        return ReadTask(read, metadata, schema=schema)
