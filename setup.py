"""How the distribution `toolforge-gateway` is built."""

import re
from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "toolforge_gateway"
HERE = Path(__file__).resolve().parent
VERSION = re.search(
    r'^__version__ = "([^"]+)"$',
    (HERE / PACKAGE / "_version.py").read_text(encoding="utf-8"),
    re.MULTILINE,
)
README = HERE / "README.md"

setup(
    name="toolforge-gateway",
    version=VERSION[1],
    description="An API gateway for Wikimedia Toolforge, built on Twisted",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    license="AGPL-3.0-or-later",
    # twisted.plugins is no package of ours: our files join Twisted's own folder of that name,
    # which must therefore get no __init__.py from us.
    packages=[*find_packages(include=[PACKAGE, f"{PACKAGE}.*"]), "twisted.plugins"],
    package_data={PACKAGE: ["py.typed", "**/*.html", "**/*.json", "**/*.yaml", "pages/static/**"]},
    python_requires=">=3.11",
    install_requires=[
        "attrs >= 22.2",
        "cryptography >= 38",
        "prometheus-client >= 0.16",
        "pyOpenSSL >= 23",
        "PyYAML >= 6.0",
        "service-identity >= 18.1",
        "treq >= 22.2",
        "Twisted[tls] >= 22.4",
        "zope.interface >= 5.5",
    ],
    entry_points={
        "console_scripts": ["toolforge-gateway = toolforge_gateway.cli.main:run"],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Environment :: No Input/Output (Daemon)",
        "Framework :: Twisted",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Topic :: Internet :: Proxy Servers",
    ],
    zip_safe=False,
)
