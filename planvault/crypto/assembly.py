"""The KEK providers that the settings name."""

from __future__ import annotations

from planvault.crypto.aws import AwsKeyWrapper, kms_client
from planvault.crypto.kek import KeyWrapper, LocalKeyWrapper
from planvault.crypto.providers import KeyProviders
from planvault.crypto.vault import VaultKeyWrapper, VaultToken
from planvault.errors import BringUpFailed
from planvault.settings import Settings


def key_providers(settings: Settings) -> KeyProviders:
    """Every provider that is configured: keys move from one to another while all of them unwrap.

    The keyset file is made where it is the primary provider; else it is read where there is one. They live as long as
    the process. Raises BringUpFailed.
    """
    found: dict[str, KeyWrapper] = {}
    if settings.kek_provider == LocalKeyWrapper.name or settings.keyset.exists():
        found[LocalKeyWrapper.name] = LocalKeyWrapper.at(settings.keyset)
    if settings.kek_aws_key:
        found[AwsKeyWrapper.name] = _aws(settings)
    if settings.kek_vault_address:
        found[VaultKeyWrapper.name] = _vault(settings)
    if settings.kek_provider not in found:
        raise BringUpFailed(
            f"PLANVAULT_KEK_PROVIDER is {settings.kek_provider}, but nothing says where that is. Set "
            "PLANVAULT_KEK_AWS_KEY, or PLANVAULT_KEK_VAULT_ADDRESS and a token."
        )
    return KeyProviders(found, settings.kek_provider)


def _aws(settings: Settings) -> AwsKeyWrapper:
    former = [key.strip() for key in settings.kek_aws_former_keys.split(",") if key.strip()]
    return AwsKeyWrapper(kms_client(settings.kek_aws_region, settings.kek_aws_endpoint), settings.kek_aws_key, former)


def _vault(settings: Settings) -> VaultKeyWrapper:
    return VaultKeyWrapper(
        settings.kek_vault_address,
        settings.kek_vault_key,
        VaultToken(settings.kek_vault_token.get_secret_value(), settings.kek_vault_token_file),
        mount=settings.kek_vault_mount,
        namespace=settings.kek_vault_namespace,
        ca_file=settings.kek_vault_ca_file,
    )
