"""The built-in authenticators, through the same door as anybody else's."""

from toolforge_gateway.auth.deploytoken import DeployTokenFactory
from toolforge_gateway.auth.kubernetes import KubernetesCertificateFactory
from toolforge_gateway.auth.superuser import SuperuserFactory

kubernetes_certificate = KubernetesCertificateFactory()
superuser = SuperuserFactory()
deploy_token = DeployTokenFactory()
