"""Calls to AWS for one account, by boto3, each in one of the source's threads."""

import threading
from collections.abc import Mapping
from functools import cache
from typing import Any

from connectors.sources.cloudwatch.config import AccountConfig
from engine.errors import PermanentError, TransientError
from engine.ports.blocking import BoundedThreads

# Errors that go by themselves. boto3 has more names for them than one service uses.
PASSING = frozenset(
    {"Throttling", "ThrottlingException", "RequestThrottled", "RequestLimitExceeded"}
    | {"TooManyRequestsException", "ServiceUnavailable", "RequestTimeout", "ExpiredToken"}
    | {"ExpiredTokenException", "InternalErrorException", "InternalServiceFault"}
)
CONNECT_WITHIN_S = 2.0
# Of an assumed role; boto3 takes a new one in good time before its end.
ROLE_FOR_S = 3600

Answer = Mapping[str, Any]


class AwsAccount:
    """One account: boto3 finds the credentials, and takes the configured role with them."""

    def __init__(self, config: AccountConfig, threads: BoundedThreads) -> None:
        self.config = config
        self._threads = threads
        self._clients: dict[tuple[str, str], Any] = {}
        self._session: Any = None
        self._making = threading.Lock()

    async def call(
        self, service: str, region: str, operation: str, *, wait_s: float = 0.0, **parameters: Any
    ) -> Answer:
        """What the operation answers; `wait_s` is how long AWS itself may hold the answer back.

        Raises TransientError and PermanentError, both with what AWS said.
        """
        return await self._threads.call(self._call, service, region, operation, wait_s, parameters)

    def _call(
        self,
        service: str,
        region: str,
        operation: str,
        wait_s: float,
        parameters: Mapping[str, Any],
    ) -> Answer:
        from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

        what = f"{service} {operation} in {region}, account {self.config.id}"
        try:
            client = self._client(service, region, wait_s)
            answer: Answer = getattr(client, operation)(**parameters)
        except ClientError as error:
            said = error.response.get("Error", {})
            code, text = said.get("Code", "?"), f"{said.get('Message', '')!s:.300}"
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if status >= 500 or code in PASSING:
                raise TransientError(f"{what}: {code}: {text}") from None
            raise PermanentError(f"{what}: {code}: {text}") from None
        except ParamValidationError as error:
            raise PermanentError(f"{what}: {error}") from None
        except BotoCoreError as error:
            raise TransientError(f"{what}: {error!s:.300}") from None
        return answer

    def _client(self, service: str, region: str, wait_s: float) -> Any:
        """Clients may be shared by threads, but one thread at a time may make one."""
        from botocore.config import Config

        with self._making:
            if (service, region) not in self._clients:
                self._session = self._session or self._made()
                self._clients[service, region] = self._session.create_client(
                    service,
                    region_name=region,
                    endpoint_url=self.config.endpoint_url,
                    config=Config(
                        connect_timeout=CONNECT_WITHIN_S,
                        read_timeout=self.config.timeout_s + wait_s,
                        # Who asks decides whether to ask again.
                        retries={"total_max_attempts": 1, "mode": "standard"},
                    ),
                )
            return self._clients[service, region]

    def _made(self) -> Any:
        from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

        session = _new_session()
        if self.config.role_arn is None:
            return session
        own = _new_session()
        arguments: dict[str, Any] = {"RoleSessionName": "quell", "DurationSeconds": ROLE_FOR_S}
        if self.config.external_id is not None:
            arguments["ExternalId"] = self.config.external_id

        def sts(name: str, **kwargs: Any) -> Any:
            region, endpoint = self.config.regions[0], self.config.endpoint_url
            return own.create_client(name, region_name=region, endpoint_url=endpoint, **kwargs)

        fetcher = AssumeRoleCredentialFetcher(
            client_creator=sts,
            source_credentials=_required(own.get_credentials()),
            role_arn=self.config.role_arn,
            extra_args=arguments,
        )
        role = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
        session.register_component("credential_provider", _Only(role))
        return session


@cache
def _models() -> Any:
    """botocore's models of the services, which take most of a second to read."""
    from botocore.loaders import create_loader

    return create_loader()


def _new_session() -> Any:
    import botocore.session

    session = botocore.session.get_session()
    session.register_component("data_loader", _models())
    return session


class _Only:
    """A botocore `credential_provider` that has one answer."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials

    def load_credentials(self) -> Any:
        return self._credentials


def _required(credentials: Any) -> Any:
    from botocore.exceptions import NoCredentialsError

    if credentials is None:
        raise NoCredentialsError
    return credentials
