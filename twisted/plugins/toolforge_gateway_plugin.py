"""How `twistd` finds the gateway."""

from twisted.application.service import ServiceMaker

toolforge_gateway = ServiceMaker(
    "toolforge gateway",
    "toolforge_gateway.tap",
    "An API gateway for Wikimedia Toolforge.",
    "toolforge-gateway",
)
