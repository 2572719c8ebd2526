"""Listening sockets, apart from the ports that accept on them.

A socket that stays open while its port is exchanged, or while another process takes over, refuses
nobody: who connects meanwhile waits in the kernel's queue.  Layer 2.
"""
