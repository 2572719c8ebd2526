"""This gateway beside what it can replace, measured in one run: `./run bench`.

It uses the gateway only as its users do, by twistd and a configuration file; nothing of the
gateway imports it.
"""
