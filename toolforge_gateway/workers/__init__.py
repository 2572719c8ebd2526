"""Several processes that serve as one: a supervisor that holds the sockets, and its workers.

The supervisor serves no client and speaks no TLS.  It opens the listening sockets, spawns the
workers, hands each the sockets and the text of the configuration over a socket pair (`wire`), and
leads them through reloads and restarts: all prepare, then all commit.  Layer 6.
"""
