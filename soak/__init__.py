"""Minutes of mixed traffic through a gateway that runs as its users run it: `./run soak`.

Good, slow, broken and hostile clients in front, good and broken backends behind, all on the
loopback interface of this machine.  Everything that is drawn by lot comes from one seed.  `judge`
holds what must be true; the rest brings the facts.
"""
