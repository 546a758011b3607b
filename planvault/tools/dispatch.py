"""One way to call a tool, whatever its source."""

from typing import assert_never

from models.tools import HttpBinding, NativeBinding, ToolOutcome
from planvault.ports import ToolCall, ToolExecutor


class ToolDispatcher:
    """Implements the ToolExecutor port: hands each call to the executor of its binding."""

    def __init__(self, http: ToolExecutor, native: ToolExecutor) -> None:
        self._http = http
        self._native = native

    async def execute(self, call: ToolCall) -> ToolOutcome:
        match call.tool.binding:
            case HttpBinding():
                return await self._http.execute(call)
            case NativeBinding():
                return await self._native.execute(call)
            case unknown:
                assert_never(unknown)
