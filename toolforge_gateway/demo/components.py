"""A sample of the components API: a configuration, deployments, a deploy token."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime

from twisted.internet.interfaces import IReactorTime

from toolforge_gateway.demo.sample import (
    JSON,
    TOOL_HEADER,
    Answer,
    Call,
    Endpoint,
    Refused,
    SampleAPI,
)
from toolforge_gateway.routing import PathTemplate

DEMO_TOKEN = "2f8a3c1e-5b7d-4e9a-8c6f-0d1b2a3c4e5f"
"""The deploy token that `tf-test` has from the start: everybody's, so worthless."""
EXAMPLE: JSON = {
    "config_version": "v1beta1",
    "components": {
        "web": {
            "component_type": "continuous",
            "build": {"repository": "https://gitlab.wikimedia.org/toolforge-repos/sample"},
            "run": {"command": "web", "port": 8000},
        }
    },
}


class Components(SampleAPI):
    """Everything is kept per tool; the path names the tool."""

    name = "components"

    def __init__(self, clock: IReactorTime):
        super().__init__(clock)
        self.configs: dict[str, JSON] = {}
        self.deployments: dict[str, dict[str, JSON]] = {}
        self.tokens: dict[str, JSON] = {"tf-test": self._new_token(DEMO_TOKEN)}

    def endpoints(self) -> Iterable[Endpoint]:
        """`token` and `latest` come before the id, which would match them."""
        tool = "/v1/tool/{toolname}"
        for method, path, handler in [
            ("GET", "/config", self.get_config),
            ("POST", "/config", self.update_config),
            ("DELETE", "/config", self.delete_config),
            ("GET", "/config/generate", self.generate_config),
            ("GET", "/deployment", self.list_deployments),
            ("GET", "/deployment/latest", self.get_latest),
            ("GET", "/deployment/token", self.get_token),
            ("POST", "/deployment/token", self.create_token),
            ("PUT", "/deployment/token", self.refresh_token),
            ("DELETE", "/deployment/token", self.delete_token),
            ("DELETE", "/deployment/{id}", self.delete_deployment),
            ("PUT", "/deployment/{id}/cancel", self.cancel_deployment),
        ]:
            yield Endpoint(method, PathTemplate(tool + path), handler)
        # These two check for themselves: a token will do there.
        for method, path, handler in [
            ("POST", "/deployment", self.create_deployment),
            ("GET", "/deployment/{id}", self.get_deployment),
        ]:
            yield Endpoint(method, PathTemplate(tool + path), handler, open=True)

    def error(self, status: int, message: str) -> JSON:
        """The shape of this API alone."""
        return {"messages": {"error": [message], "info": [], "warning": []}}

    def healthz(self, call: Call) -> Answer:
        """Healthy as long as it answers."""
        return _data({"status": "OK"})

    def authenticate(self, call: Call) -> None:
        """Refuse a call without identity with 401."""
        if not any(call.header_tools):
            raise Refused(401, f"The '{TOOL_HEADER}' header is required")

    def authenticate_by_token(self, call: Call) -> None:
        """Accept the tool's token too; where the header is, nobody looks at it."""
        if any(call.header_tools):
            return
        token = call.query.get("token")
        if not token:
            raise Refused(401, f"The '{TOOL_HEADER}' header or a token are required")
        if self.tokens.get(call.tool, {}).get("token") != token:
            raise Refused(401, f"The token passed '{token}' does not match the tool's token")

    def get_config(self, call: Call) -> Answer:
        """The tool's configuration."""
        return _data(self._config(call))

    def update_config(self, call: Call) -> Answer:
        """Replace the tool's configuration."""
        config = call.json()
        if not isinstance(config.get("components"), dict) or not config["components"]:
            raise Refused(422, "Validation error at components: at least one is required")
        if not isinstance(config.get("config_version", ""), str):
            raise Refused(422, "Validation error at config_version: a string is required")
        for name, component in config["components"].items():
            if not _is_component(component):
                raise Refused(422, f"Validation error at components.{name}: no component")
        self.configs[call.tool] = config
        return _data(config, f"Configuration for {call.tool} updated successfully.")

    def delete_config(self, call: Call) -> Answer:
        """Forget the tool's configuration."""
        config = self._config(call)
        del self.configs[call.tool]
        return _data(config)

    def generate_config(self, call: Call) -> Answer:
        """An example to begin with."""
        return _data(EXAMPLE)

    def list_deployments(self, call: Call) -> Answer:
        """All deployments of the tool, the oldest first."""
        return _data({"deployments": [*self._of(call).values()]})

    def create_deployment(self, call: Call) -> Answer:
        """Deploy what the configuration says, which succeeds at once."""
        self.authenticate_by_token(call)
        components = self.configs.get(call.tool, EXAMPLE)["components"]
        stamp = datetime.fromtimestamp(self.clock.seconds(), UTC).strftime("%Y%m%d-%H%M%S")
        deployment: JSON = {
            "deploy_id": f"{stamp}-{secrets.token_hex(5)}",
            "creation_time": stamp,
            "builds": {
                name: {"build_id": "no-build-needed", "build_status": "successful"}
                for name in components
            },
            "runs": {
                name: {"run_status": "successful", "run_long_status": f"created job {name}"}
                for name in components
            },
            "status": "successful",
            "long_status": "",
            "force_build": call.flag("force-build"),
            "force_run": call.flag("force-run"),
        }
        self._of(call)[deployment["deploy_id"]] = deployment
        return _data(deployment, f"Deployment for {call.tool} created successfully.")

    def get_latest(self, call: Call) -> Answer:
        """The newest deployment."""
        found = [*self._of(call).values()]
        if not found:
            raise Refused(404, f"No deployments found for tool {call.tool}.")
        return _data(found[-1])

    def get_deployment(self, call: Call) -> Answer:
        """One deployment."""
        self.authenticate_by_token(call)
        return _data(self._deployment(call))

    def delete_deployment(self, call: Call) -> Answer:
        """Forget a deployment."""
        deployment = self._deployment(call)
        del self._of(call)[deployment["deploy_id"]]
        return _data(deployment, f"Deployment {deployment['deploy_id']} deleted successfully.")

    def cancel_deployment(self, call: Call) -> Answer:
        """All deployments have ended already: nothing is cancelled."""
        raise Refused(409, f"Deployment {self._deployment(call)['deploy_id']} is not running.")

    def get_token(self, call: Call) -> Answer:
        """The tool's deploy token."""
        return _data(self._token(call))

    def create_token(self, call: Call) -> Answer:
        """Make a deploy token where there is none."""
        if call.tool in self.tokens:
            raise Refused(409, f"A deploy token for {call.tool} exists already.")
        return self.refresh_token(call)

    def refresh_token(self, call: Call) -> Answer:
        """Replace the deploy token."""
        self.tokens[call.tool] = self._new_token(str(uuid.uuid4()))
        return _data(self.tokens[call.tool], f"Deploy token for {call.tool} is new.")

    def delete_token(self, call: Call) -> Answer:
        """Forget the deploy token."""
        token = self._token(call)
        del self.tokens[call.tool]
        return _data(token, f"Deploy token for {call.tool} deleted successfully.")

    def _new_token(self, token: str) -> JSON:
        created = datetime.fromtimestamp(self.clock.seconds(), UTC)
        return {"token": token, "creation_date": created.isoformat()}

    def _of(self, call: Call) -> dict[str, JSON]:
        return self.deployments.setdefault(call.tool, {})

    def _config(self, call: Call) -> JSON:
        return _one(self.configs, call.tool, f"No configuration found for tool {call.tool}.")

    def _token(self, call: Call) -> JSON:
        return _one(self.tokens, call.tool, f"No deploy token found for tool {call.tool}.")

    def _deployment(self, call: Call) -> JSON:
        wanted = call.places["id"]
        return _one(self._of(call), wanted, f"No deployment with id '{wanted}' found.")


def _is_component(value: object) -> bool:
    if not isinstance(value, dict) or value.get("component_type", "continuous") != "continuous":
        return False
    build, run = ({} if value.get(key) is None else value[key] for key in ("build", "run"))
    return (
        isinstance(build, dict)
        and isinstance(build.get("repository", ""), str)
        and isinstance(run, dict)
        and isinstance(run.get("command", ""), str)
        and (run.get("port") is None or type(run["port"]) is int)
    )


def _one(kept: dict[str, JSON], key: str, missing: str) -> JSON:
    try:
        return kept[key]
    except KeyError:
        raise Refused(404, missing) from None


def _data(data: JSON, *info: str) -> Answer:
    return Answer({"data": data, "messages": {"info": [*info], "warning": [], "error": []}})
