"""Whether changes of a running gateway lose requests: `./run zeroloss`.

A gateway process under continuous mixed load, while its configuration, certificates and
generations change.  `judge` says what counts as lost; `load` can also be pointed at a gateway that
runs elsewhere.
"""
