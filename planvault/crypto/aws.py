"""AWS KMS as a KEK provider (KMS API 2014-11-01: Encrypt, Decrypt, DescribeKey).

The place of a data key is its encryption context: KMS authenticates it, writes it into CloudTrail, and a key policy can
ask for it. A ciphertext moved to another organisation, purpose or version does not decrypt.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar, cast

from planvault.crypto.kek import KeyPlace, WrappedKey
from planvault.errors import BringUpFailed, DecryptionFailed, Unavailable

_THREADS = 8  # of its own: calls that hang take nobody else's
_CONNECT_S, _ANSWER_S = 2.0, 3.0
_DOES_NOT_OPEN = "AWS KMS does not open a data key: it is another place's or was changed."
_NOT_OURS = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})

T = TypeVar("T")


class KmsClient(Protocol):
    """What is used of boto3's client, which has no types of its own."""

    def encrypt(self, *, KeyId: str, Plaintext: bytes, EncryptionContext: Mapping[str, str]) -> Any: ...  # noqa: N803

    def decrypt(self, *, KeyId: str, CiphertextBlob: bytes, EncryptionContext: Mapping[str, str]) -> Any: ...  # noqa: N803

    def describe_key(self, *, KeyId: str) -> Any: ...  # noqa: N803


def kms_client(region: str, endpoint: str = "") -> KmsClient:
    """Credentials come the way that AWS's tools find them. Raises BringUpFailed where boto3 is not installed, or nobody
    says how to reach KMS."""
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise BringUpFailed("AWS KMS needs boto3. Run: pip install 'planvault[aws]'") from None
    config = Config(
        connect_timeout=_CONNECT_S,
        read_timeout=_ANSWER_S,
        retries={"mode": "standard", "total_max_attempts": 2},
        max_pool_connections=_THREADS,
    )
    try:
        made = boto3.client("kms", region_name=region or None, endpoint_url=endpoint or None, config=config)
    except (BotoCoreError, ValueError) as fault:  # ValueError: an endpoint that is no URL
        raise BringUpFailed(
            f"AWS KMS cannot be asked: {fault} Set PLANVAULT_KEK_AWS_REGION, or look at PLANVAULT_KEK_AWS_ENDPOINT."
        ) from fault
    return cast("KmsClient", made)


class AwsKeyWrapper:
    """Implements KeyWrapper. `key`: id, ARN or alias of the key that wraps; `former`: others that may still unwrap.

    No other key is ever asked: whoever can write the database could otherwise name a key of an account of theirs.
    """

    name = "aws-kms"

    def __init__(self, client: KmsClient, key: str, former: Sequence[str] = ()) -> None:
        self._client = client
        self._key = key
        self._trusted_ids = (key, *former)
        self._trusted: frozenset[str] | None = None
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="kms")

    async def current(self) -> str:
        return await self._call(lambda: self._arn(self._key))

    async def wrap(self, key: bytes, place: KeyPlace) -> WrappedKey:
        answer = await self._call(
            lambda: self._client.encrypt(KeyId=self._key, Plaintext=key, EncryptionContext=_context(place))
        )
        return WrappedKey(answer["CiphertextBlob"], answer["KeyId"])

    async def unwrap(self, wrapped: WrappedKey, place: KeyPlace) -> bytes:
        return await self._call(lambda: self._decrypt(wrapped, place))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _decrypt(self, wrapped: WrappedKey, place: KeyPlace) -> bytes:
        if self._trusted is None:
            self._trusted = frozenset(self._arn(key) for key in self._trusted_ids)
        if wrapped.wrapped_by not in self._trusted:
            raise DecryptionFailed(
                f"A data key is wrapped by {wrapped.wrapped_by}, which this deployment does not trust. If it is a "
                "former key of yours, name it in PLANVAULT_KEK_AWS_FORMER_KEYS."
            )
        answer = self._client.decrypt(
            KeyId=wrapped.wrapped_by, CiphertextBlob=wrapped.blob, EncryptionContext=_context(place)
        )
        if answer["KeyId"] != wrapped.wrapped_by:
            raise DecryptionFailed("AWS KMS answered with another key than the one that was asked for.")
        return bytes(answer["Plaintext"])

    def _arn(self, key: str) -> str:
        return str(self._client.describe_key(KeyId=key)["KeyMetadata"]["Arn"])

    async def _call(self, ask: Callable[[], T]) -> T:
        """In a thread: boto3 blocks. Raises DecryptionFailed, Unavailable."""
        from botocore.exceptions import BotoCoreError, ClientError

        loop, context = asyncio.get_running_loop(), contextvars.copy_context()
        try:
            return await loop.run_in_executor(self._threads, lambda: context.run(ask))
        except ClientError as fault:
            code = fault.response.get("Error", {}).get("Code", "unknown")
            if code in _NOT_OURS:
                raise DecryptionFailed(_DOES_NOT_OPEN) from None
            raise Unavailable(f"AWS KMS refused ({code}). Look at the key's state and policy.") from fault
        except BotoCoreError as fault:
            raise Unavailable(f"AWS KMS does not answer ({type(fault).__name__}).") from fault


def _context(place: KeyPlace) -> Mapping[str, str]:
    return {
        "planvault:organization": str(place.org_id),
        "planvault:purpose": place.purpose,
        "planvault:key": str(place.key_id),
        "planvault:version": str(place.version),
    }
