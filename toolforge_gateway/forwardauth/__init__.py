"""What a proxy says of a request that it asks about.  Layer 1: pure.

`dialects` knows the header names of each proxy, `shown` the ways in which a
certificate or its subject is written into one header, `xfcc` Envoy's.  Nothing
here is believed by itself: `edge.forward_auth` knows whom to believe, `tls`
verifies certificates again.
"""
