"""How backends are reached: addresses, bounds, checks, and what is wrong with them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.config.samples import complaints, completed, loaded
from toolforge_gateway.config.backend import Backend, BackendLimits, Checks, UpstreamAddress


def backend(keys: str, rest: str = "") -> Backend:
    """A backend with more keys."""
    text = f"backends: [{{name: jobs, path: /jobs, url: 'https://jobs:8443/base', {keys}}}]\n{rest}"
    (found,) = loaded(text).backends
    return found


class ValueTests(SynchronousTestCase):
    def test_default(self) -> None:
        """Without the keys the URL says where, and a share of all is how much."""
        plain = backend("")
        self.assertEqual(plain.places, (UpstreamAddress("jobs", 8443),))
        self.assertEqual((plain.dns_refresh, plain.checks), (30, None))
        self.assertEqual(plain.limits, BackendLimits(requests=2048, queue=512))

    def test_addresses(self) -> None:
        """Names and addresses, with the URL's port or their own; the name to verify and the Host
        field stay the URL's."""
        found = backend("addresses: ['192.0.2.1', 'A.example:9443', '[2001:db8::1]', '[::1]:1']")
        self.assertEqual(
            list(map(str, found.places)),
            ["192.0.2.1:8443", "a.example:9443", "[2001:db8::1]:8443", "[::1]:1"],
        )
        self.assertEqual((found.server_name, found.url.authority), ("jobs", "jobs:8443"))

    def test_shares(self) -> None:
        """Default bounds are shares of the general one; a small one is not made smaller."""
        for general, requests, queue in (
            (4096, 2048, 512),
            (100, 64, 64),
            (65, 64, 64),
            (3, 3, 3),
            (1, 1, 1),
        ):
            limits = backend("", f"limits: {{requests: {general}}}").limits
            self.assertEqual((limits.requests, limits.queue), (requests, queue), general)

    def test_own_bounds(self) -> None:
        """Each can be set by itself; a queue of 0 is one."""
        self.assertEqual(backend("limits: {requests: 8}").limits, BackendLimits(8, 512))
        self.assertEqual(backend("limits: {queue: 0}").limits, BackendLimits(2048, 0))

    def test_checks(self) -> None:
        """A path is enough."""
        self.assertEqual(backend("checks: {path: /healthz}").checks, Checks("/healthz"))
        self.assertEqual(
            backend("checks: {path: /, interval: 5, timeout: 0.5, good: 1, bad: 9}").checks,
            Checks("/", 5, 0.5, 1, 9),
        )

    def test_queue_deadline(self) -> None:
        """The time in the queue is set in general, for a backend, and for slow paths."""
        found = backend(
            "timeouts: {queue: 2}, slow_paths: [{pattern: '/logs$', timeouts: {queue: 3}}]",
            "timeouts: {queue: 1}",
        )
        self.assertEqual((found.timeouts.queue, found.timeouts_for("/logs").queue), (2, 3))
        self.assertEqual(backend("", "timeouts: {queue: 1}").timeouts.queue, 1)


class ComplaintTests(SynchronousTestCase):
    def check(self, keys: str, *lines: str) -> None:
        """These keys earn these lines."""
        text = f"backends: [{{name: jobs, path: /jobs, url: 'https://jobs:1', {keys}}}]"
        expected = [f"g.yaml:1: backends[0].{line}" for line in lines]
        self.assertEqual(complaints(completed(text)), expected)

    def test_addresses(self) -> None:
        """Each bad entry is told, with where it is."""
        write = "write host or host:port, IPv6 in brackets: [2001:db8::1]:8443"
        for text, fault in {
            "https://a": "has no host and port that can be read",
            "::1": "has no host and port that can be read",
            "a:0": "has the port 0",
            "1.2.3.256": "has no valid host",
            "a/b": "has no valid host",
            "a b": "has no valid host",
        }.items():
            self.check(f"addresses: ['{text}']", f"addresses[0]: '{text}' {fault}; {write}")
        self.check("addresses: []", "addresses: is empty; add an address, or remove the key")
        self.check("addresses: [a, 'a:1']", "addresses[1]: 'a:1' is there twice; remove one")
        self.check("addresses: a", "addresses: is 'a', not a list; write [\"...\"]")
        many = ", ".join(f"a{n}" for n in range(257))
        self.check(f"addresses: [{many}]", "addresses: has 257 entries; write 256 or fewer")

    def test_numbers(self) -> None:
        """Ranges."""
        self.check("dns_refresh: 0.5", "dns_refresh: is 0.5; write 1 or more")
        self.check(
            "limits: {requests: 0, queue: -1, quue: 1}",
            "limits.requests: is 0; write 1 or more",
            "limits.queue: is -1; write 0 or more",
            "limits.quue: is no key that is known here; did you mean queue?",
        )

    def test_checks(self) -> None:
        """A path below the base path, and a time that fits into the interval."""
        self.check("checks: {}", "checks.path: is missing; add it")
        self.check(
            "checks: {path: healthz, interval: 0, bad: 0}",
            "checks.path: 'healthz' begins with no slash; write /healthz",
            "checks.interval: is 0; write 1 or more",
            "checks.bad: is 0; write 1 or more",
        )
        self.check(
            "checks: {path: /x, interval: 2, timeout: 3}",
            "checks.timeout: is 3, longer than the interval of 2; write less",
        )

    def test_too_much_for_one(self) -> None:
        """A bound that leaves nothing for others earns a warning."""
        text = "backends: [{name: jobs, path: /j, url: 'https://jobs:1', limits: {requests: 4096}}]"
        (warning,) = loaded(text).warnings
        self.assertIn("backends[0].limits.requests: is 4096", str(warning))
