"""Every complaint about a configuration, word for word."""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.config.samples import complaints, completed
from toolforge_gateway.config import load
from toolforge_gateway.config.loader import MAXIMUM_SIZE
from toolforge_gateway.errors import ConfigurationError

Table = list[tuple[str, list[str]]]


class ComplaintTests(SynchronousTestCase):
    """A fragment of a file, and the lines it earns."""

    def check(self, table: Table) -> None:
        """Each completed fragment earns exactly its lines."""
        for fragment, lines in table:
            text = completed(fragment)
            self.assertEqual(complaints(text), [f"g.yaml:{line}" for line in lines], text)

    def test_none(self) -> None:
        """What the fragments are completed with is right by itself."""
        self.assertEqual(complaints(completed("")), [])

    def test_top(self) -> None:
        """The top level: unknown, missing and empty keys, and wrong shapes."""
        self.check([
            ("backend: []", ["1: backend: is no key that is known here; did you mean backends?"]),
            ("listen:", ["1: listen: has no value; give it one"]),
            ("listen: []", ["1: listen: is empty; add a listener"]),
            ("listen: {}", ["1: listen: is a mapping, not a list; put '- ' before each entry"]),
            ("listen: [x]",
             ["1: listen[0]: is 'x', not a mapping; write keys and values below it"]),
            ("operations:", ["1: operations: has no value; give it one or remove the key"]),
            ("operations: {}", ["1: operations.endpoint: is missing; add it"]),
            ("cluster_domain: a..b",
             ["1: cluster_domain: 'a..b' is no domain; write for example cluster.local"]),
            ("access_log: {format: jsn, file: ''}", [
                "1: access_log.format: is 'jsn'; write auto, json or human (did you mean json?)",
                "1: access_log.file: is empty; give it a value"]),
            ("access_log:\n  to: file", [
                "2: access_log.to: says no file to write to;"
                " add the file's name as access_log.file, or write to: stdout"]),
            ("access_log:\n  to: file\n  file: '-'", [
                "3: access_log.file: says no file to write to;"
                " add the file's name as access_log.file, or write to: stdout"]),
            ("access_log: {to: jornald}", [
                "1: access_log.to: is 'jornald'; write stdout, file, syslog or journald"
                " (did you mean journald?)"]),
            ("access_log:\n  to: syslog\n  file: x\n  facility: mail", [
                "3: access_log.file: is for lines that go to a file, not to syslog; remove it",
                "4: access_log.facility: is 'mail'; write user, daemon, local0, local1, local2,"
                " local3, local4, local5, local6 or local7"]),
            ("access_log:\n  file: x\n  socket: y\n  facility: user", [
                "3: access_log.socket: is for syslog and journald, not for file; remove it",
                "4: access_log.facility: is for syslog, not for file; remove it"]),
            ("access_log:\n  to: journald\n  facility: user", [
                "3: access_log.facility: is for syslog, not for journald; remove it"]),
            ("access_log: {file: '  '}", ["1: access_log.file: is empty; give it a value"]),
            ("upstream_tls: {ca: 5}", [
                '1: upstream_tls.ca: is 5, not text; put it in quotes, "..."',
                "1: upstream_tls.certificate: is missing; add it",
                "1: upstream_tls.private_key: is missing; add it"]),
            ("authenticators: [{knd: superuser}]", [
                "1: authenticators[0].kind: is missing; add it"]),
            ("allowed_origins: https://a", [
                "1: allowed_origins: is 'https://a', not a list; write [\"...\"]"]),
            ("allowed_origins:\n- 'null'\n- '*'\n- https://a/\n- https://b", [
                "2: allowed_origins[0]: 'null' stands for any page that hides where it is from;"
                " remove it",
                "3: allowed_origins[1]: '*' is no origin;"
                " write https://host or https://host:port, no path, no wildcard",
                "4: allowed_origins[2]: 'https://a/' is no origin;"
                " write https://host or https://host:port, no path, no wildcard"]),
        ])  # fmt: skip

    def test_missing_keys(self) -> None:
        """What is missing as a whole is told without a line."""
        self.assertEqual(complaints(completed("", without=("listen",))),
                         ["g.yaml: listen: is missing; add it"])  # fmt: skip
        self.assertEqual(
            complaints(completed("", without=("upstream_tls",))),
            ["g.yaml: upstream_tls: is missing, and no backend can be reached without it; "
             "add ca, certificate and private_key"],
        )  # fmt: skip

    def test_optional_parts(self) -> None:
        """Without backends no TLS towards them is needed."""
        without = ("upstream_tls", "backends", "authenticators")
        self.assertEqual(complaints(completed("", without)), [])

    def test_numbers(self) -> None:
        """Deadlines and limits: kind, sign, range and place."""
        self.check([
            ("timeouts: {connect: 0, drain: -1.5, handshake: 604801, keep_alive: '5',"
             " request_idle: 5s, request_head: true}", [
                "1: timeouts.handshake: is 604801; write 604800 or less",
                "1: timeouts.request_head: is true, not a number;"
                " write a plain decimal without a unit",
                "1: timeouts.request_idle: is '5s', not a number;"
                " write a plain decimal without a unit",
                "1: timeouts.keep_alive: is '5', not a number;"
                " write a plain decimal without a unit",
                "1: timeouts.connect: is 0; write a number above 0",
                "1: timeouts.drain: is -1.5; write a number above 0"]),
            ("timeouts: {conect: 1}",
             ["1: timeouts.conect: is no key that is known here; did you mean connect?"]),
            ("limits: {request_line: 1, header_block: 99999999, headers: 1.5,"
             " requests: 0, connections_per_address: 0}", [
                "1: limits.request_line: is 1; write 64 or more",
                "1: limits.header_block: is 99999999; write 1048576 or less",
                "1: limits.headers: is 1.5; write 8 or more",
                "1: limits.requests: is 0; write 1 or more",
                "1: limits.connections_per_address: is 0; write 1 or more"]),
            ("limits: {headers: 10.5}", ["1: limits.headers: is 10.5; write a whole number"]),
            ("limits: [1]",
             ["1: limits: is a list, not a mapping; write keys and values below it"]),
        ])  # fmt: skip

    def test_endpoints(self) -> None:
        """Endpoints: parsed by Twisted, in the clear, and each used once."""
        example = "write for example tcp:8443 or tcp:8443:interface=127.0.0.1"
        no = "1: operations.endpoint: is no server endpoint description: "
        self.check([
            (f"operations: {{endpoint: '{endpoint}'}}", lines) for endpoint, lines in [
                ("tcp:0", []), (r"tcp:9090:interface=\:\:1", []),
                ("unix:/run/x", []), ("systemd:domain=INET6:index=0", []),
                ("9090", [f"{no}Unknown endpoint type: '9090'; {example}"]),
                ("tcp:http", [f"{no}invalid literal for int() with base 10: 'http'; {example}"]),
                ("tcp:1\\", [f"{no}it ends in a backslash; {example}"]),
                ("tcp:65536", ["1: operations.endpoint: 65536 is no port; "
                               "write one from 1 to 65535"]),
                ("ssl:443", ["1: operations.endpoint: the endpoint type ssl does TLS itself; "
                             "write tcp:PORT; TLS is what the key tls is for"]),
                ("haproxy:tcp:80", [
                    "1: operations.endpoint: the endpoint type haproxy believes everybody's PROXY "
                    "header; write tcp:PORT and list the trusted peers under proxy_protocol"]),
                ("stdio:", ["1: operations.endpoint: the endpoint type stdio is a single "
                            "connection; write tcp:PORT"]),
            ]
        ])  # fmt: skip
        self.check([(
            "listen:\n- endpoint: tcp:9090\n  tls: {certificate: c, private_key: k,"
            " client_certificate: none}\noperations: {endpoint: tcp:9090}",
            ["4: operations.endpoint: 'tcp:9090' is already used in line 2; choose another port"],
        )])  # fmt: skip

    def test_tls(self) -> None:
        """A listener's certificate and the authorities of its clients."""
        self.check([
            ("listen: [{endpoint: tcp:1}]", ["1: listen[0].tls: is missing; add it"]),
            ("listen: [{tls: {client_certificate: option}}]", [
                "1: listen[0].endpoint: is missing; add it",
                "1: listen[0].tls.certificate: is missing; add it",
                "1: listen[0].tls.private_key: is missing; add it",
                "1: listen[0].tls.client_certificate: is 'option';"
                " write optional, required or none (did you mean optional?)",
                "1: listen[0].tls.client_cas: names no authority, so no client certificate could"
                " be checked; add one, or write client_certificate: none"]),
            ("""
             listen:
             - endpoint: tcp:1
               tls:
                 certificate: c
                 private_key: k
                 client_cas:
                 - {name: a, ca: a, identifies: [tool]}
                 - name: a
                   ca: b
                   identifies: [tols, anonymous]
                 - {}
                 - {name: b, ca: b, identifies: tool, clr: x}
             """, [
                "8: listen[0].tls.client_cas[1].name: 'a' is also the name in line 7;"
                " give each its own",
                "10: listen[0].tls.client_cas[1].identifies[0]: 'tols' is nothing a certificate"
                " identifies; write tool, admin or service (did you mean tool?)",
                "10: listen[0].tls.client_cas[1].identifies[1]: 'anonymous' is nothing a"
                " certificate identifies; write tool, admin or service",
                "11: listen[0].tls.client_cas[2].name: is missing; add it",
                "11: listen[0].tls.client_cas[2].ca: is missing; add it",
                "11: listen[0].tls.client_cas[2].identifies: says not what this authority may"
                " vouch for; list some of tool, admin or service",
                "12: listen[0].tls.client_cas[3].identifies: is 'tool', not a list;"
                ' write ["..."]',
                "12: listen[0].tls.client_cas[3].clr: is no key that is known here;"
                " did you mean crl?"]),
        ])  # fmt: skip

    def test_trust(self) -> None:
        """Whose PROXY header and whose X-Forwarded fields are believed."""
        head = (
            "listen:\n- endpoint: tcp:1\n  tls: {certificate: c, private_key: k, "
            "client_cas: [{name: backend, ca: a, identifies: [tool]}]}\n  "
        )
        cidr = "write for example 192.0.2.0/24 or 2001:db8::/32"
        at = "4: listen[0]."
        self.check([
            (head + line, [at + text for text in lines]) for line, lines in [
                ("proxy_protocol: {trusted: []}", [
                    "proxy_protocol.trusted: names no peer that sends the PROXY header;"
                    " list networks such as 192.0.2.7/32, or remove proxy_protocol"]),
                ("proxy_protocol: {trusted: [10.0.0.1/8, 2001:db8::1/64, 10/8, here, '1.2.3.4%a',"
                 " '::ffff:10.0.0.0/104', 1.2.3.4/33, 10.0.0.0/0.255.255.255]}", [
                    "proxy_protocol.trusted[0]: '10.0.0.1/8' has host bits set;"
                    " write 10.0.0.0/8 for the network or 10.0.0.1/32 for the one address",
                    "proxy_protocol.trusted[1]: '2001:db8::1/64' has host bits set;"
                    " write 2001:db8::/64 for the network or 2001:db8::1/128 for the one address",
                    f"proxy_protocol.trusted[2]: '10/8' is no IP network; {cidr}",
                    f"proxy_protocol.trusted[3]: 'here' is no IP network; {cidr}",
                    f"proxy_protocol.trusted[4]: '1.2.3.4%a' is no IP network; {cidr}",
                    "proxy_protocol.trusted[5]: '::ffff:10.0.0.0/104' is IPv4 in IPv6 clothes;"
                    " write 10.0.0.0/8",
                    f"proxy_protocol.trusted[6]: '1.2.3.4/33' is no IP network; {cidr}",
                    "proxy_protocol.trusted[7]: '10.0.0.0/0.255.255.255' is no IP network; "
                    + cidr]),
                ("forwarded: {}", ["forwarded.trusted: is missing; add it"]),
                ("forwarded: {trusted: [{cidr: x}, {cidr: 1.2.3.4, cn: x}, {}, {client_ca: back},"
                 " {client_ca: backend, cn: c, o: t}, 1.2.3.4]}", [
                    "forwarded.trusted[5]: is '1.2.3.4', not a mapping;"
                    " write keys and values below it",
                    f"forwarded.trusted[0].cidr: 'x' is no IP network; {cidr}",
                    "forwarded.trusted[1]: must say either cidr, or client_ca and cn;"
                    " make two entries of it",
                    "forwarded.trusted[2]: must say either cidr, or client_ca and cn;"
                    " add cidr, or client_ca and cn",
                    "forwarded.trusted[3].cn: is missing; add it",
                    "forwarded.trusted[3].client_ca: 'back' is no client CA of this listener;"
                    " write backend (did you mean backend?)",
                    "forwarded.trusted[4].o: is no key that is known here;"
                    " known keys: cidr, client_ca, cn"]),
                ("external_url: https://api.example.org/base", [
                    "external_url: has a path, which nobody would add;"
                    " write https://api.example.org"]),
                ("external_url: api.example.org", [
                    "external_url: is no URL; write for example https://api.example.org"]),
            ]
        ])  # fmt: skip

    def test_backend_places(self) -> None:
        """Names and paths: their grammar, our own pages, and doubles."""
        plain = "write /name or /name/name with letters, digits and - . _ ~"
        self.check([
            (f"backends:\n- {{name: a, url: 'https://h', path: '{path}'}}",
             [f"2: backends[0].path: '{path}' {line}" for line in lines])
            for path, lines in [
                ("/a", []), ("/a/b-c/~d.e_f", []), ("/healthzz", []), ("/a/healthz", []),
                *[(path, ["is the gateway's own; choose another"]) for path in (
                    "/", "/healthz", "/openapi.json", "/openapi.yaml", "/docs", "/status",
                    "/auth", "/whoami", "/docs/a", "/auth/")],
                ("a", ["begins with no slash; write /a"]),
                ("/a/", ["ends with a slash; write /a"]),
                ("//a", [f"is no path of plain segments; {plain}"]),
                ("/a//b", [f"is no path of plain segments; {plain}"]),
                ("/a%41", [f"is no path of plain segments; {plain}"]),
                ("/a b", [f"is no path of plain segments; {plain}"]),
                ("/ä", [f"is no path of plain segments; {plain}"]),
                ("/a?b", [f"is no path of plain segments; {plain}"]),
                ("/a;b", [f"is no path of plain segments; {plain}"]),
                ("/a/../b", ["has a dot segment; write the path that you mean"]),
                ("/.", ["has a dot segment; write the path that you mean"]),
            ]
        ])  # fmt: skip
        self.check([
            ("backends:\n- {name: a, path: /a, url: 'https://h'}\n"
             "- {name: a, path: /a, url: 'https://h'}\n- {name: b, path: /a/b, url: 'https://h'}", [
                "3: backends[1].name: 'a' is also the name of the backend in line 2;"
                " give each its own",
                "3: backends[1].path: '/a' is also the path of the backend in line 2;"
                " give each its own"]),
            ("backends:\n- {name: 'a b', path: /a, url: 'https://h'}\n- {}", [
                "2: backends[0].name: 'a b' is no name; write up to 63 letters, digits and - . _,"
                " no sign at either end",
                "3: backends[1].name: is missing; add it",
                "3: backends[1].path: is missing; add it",
                "3: backends[1].url: is missing, and target too; add one of them"]),
        ])  # fmt: skip

    def test_backend_upstream(self) -> None:
        """Where a backend is dialled."""
        write = "write https://host:port, with /base if there is a base path"
        self.check([
            (f"backends:\n- {{name: a, path: /a, url: '{url}'}}",
             [f"2: backends[0].url: {line}; {write}" for line in lines])
            for url, lines in [
                ("https://h", []), ("HTTPS://H:1/", []), ("https://[::1]:8443/a/b", []),
                ("http://h", ["is plain http, over which identity headers could be forged"]),
                ("ftp://h", ["has the scheme ftp"]),
                ("h:8443", ["is no URL"]), ("https:/h", ["is no URL"]),
                ("https://", ["has no host and port that can be read"]),
                ("https://h:", ["has no host and port that can be read"]),
                ("https://h:x", ["has no host and port that can be read"]),
                ("https://h:0", ["has the port 0"]), ("https://h:65536", ["has the port 65536"]),
                ("https://u:p@h", ["has a user name"]),
                ("https://h?q", ["has a query or a fragment"]),
                ("https://h/#", ["has a query or a fragment"]),
                ("https://1.2.3.256", ["has no valid host"]), ("https://-h", ["has no valid host"]),
                ("https://[1.2.3.4]", ["has no valid host"]), ("https://ä", ["has no valid host"]),
                ("https://h/b/", ["has a base path that ends with a slash"]),
                ("https://h/b/..", ["has a base path that has a dot segment"]),
                ("https://h//", ["has a base path that ends with a slash"]),
            ]
        ])  # fmt: skip
        self.check([
            ("backends: [{name: a, path: /a, url: 'https://h', target: {}}]",
             ["1: backends[0].url: and target are both given; keep one of them"]),
            ("backends: [{name: a, path: /a, target: {service: A, port: 0, prot: 1}}]", [
                "1: backends[0].target.service: 'A' is no Kubernetes name;"
                " write lower-case letters, digits, -",
                "1: backends[0].target.namespace: is missing; add it",
                "1: backends[0].target.port: is 0; write 1 or more",
                "1: backends[0].target.prot: is no key that is known here; did you mean port?"]),
            ("backends: [{name: a, path: /a, url: 'https://h', server_name: 'a:1'}]", [
                "1: backends[0].server_name: 'a:1' is no host name;"
                " write a name of its certificate"]),
        ])  # fmt: skip

    def test_backend_rules(self) -> None:
        """What may be done at a backend, and how long it may take."""
        head = "backends:\n- name: a\n  path: /a\n  url: https://h\n  "
        general = (
            "has no effect here: it runs before a backend is known, or for all of them;"
            " set it in the timeouts at the top"
        )
        self.check([
            (head + line, ["5: backends[0]." + text for text in lines]) for line, lines in [
                ("anonymous: refused",
                 ["anonymous: is 'refused'; write forward or refuse (did you mean refuse?)"]),
                ("forward_credentials: yes",
                 ["forward_credentials: is 'yes', not true or false; write true or false"]),
                ("tool_path: /v1/tools",
                 ["tool_path: '/v1/tools' has no {tool}; write for example /v{n}/tool/{tool},"
                  " or null when no path names a tool"]),
                ("tool_path: '/{tool:.*}'",
                 ["tool_path: '/{tool:.*}' has no {tool}; write for example /v{n}/tool/{tool},"
                  " or null when no path names a tool"]),
                ("open_paths: [/a, b, '/{x:(}', '/{x:(?i)a}']", [
                    "open_paths[1]: 'b' is no path template: a path begins with '/';"
                    " write for example /v{n}/healthz",
                    "open_paths[2]: '/{x:(}' is no path template: the regular expression of {x} is"
                    " broken: missing ), unterminated subpattern at position 0;"
                    " write for example /v{n}/healthz",
                    "open_paths[3]: '/{x:(?i)a}' is no path template: its regular expressions"
                    " cannot be used: global flags not at the start of the expression at"
                    " position 7; write for example /v{n}/healthz"]),
                ("anonymous_paths: /a", ['anonymous_paths: is \'/a\', not a list; write ["..."]']),
                ("anonymous_paths: [1]",
                 ['anonymous_paths[0]: is 1, not text; put it in quotes, "..."']),
                ("timeouts: {response_head: 0, handshake: 1}", [
                    "timeouts.response_head: is 0; write a number above 0",
                    f"timeouts.handshake: {general}"]),
                ("slow_paths: [{pattern: '('}, {timeouts: {drain: 1}}, {pattern: 'a{9999999999}',"
                 " timeouts: {connect: 1}}]", [
                    "slow_paths[0].timeouts: is missing; add the deadlines that differ",
                    "slow_paths[0].pattern: '(' is no regular expression: missing ), unterminated"
                    " subpattern at position 0; see Python's re",
                    "slow_paths[1].pattern: is missing; add it",
                    f"slow_paths[1].timeouts.drain: {general}",
                    "slow_paths[2].pattern: 'a{9999999999}' is no regular expression:"
                    " the repetition number is too large; see Python's re"]),
            ]
        ])  # fmt: skip


class FileTests(SynchronousTestCase):
    """Files that cannot be read."""

    def lines(self, path: Path) -> list[str]:
        """What loading this file complains about, without its folder."""
        error = self.assertRaises(ConfigurationError, load, path)
        return str(error).replace(f"{path.parent}/", "").split("\n")

    def test_byte_order_mark(self) -> None:
        """A byte order mark, as some editors write, is no part of the text."""
        path = Path(tempfile.mkdtemp()) / "g.yaml"
        path.write_bytes(b"\xef\xbb\xbf" + completed("").encode())
        self.assertEqual(load(path).listen[0].endpoint, "tcp:8443")

    def test_unreadable(self) -> None:
        """Absent, a folder, too large, not UTF-8: one complaint each."""
        folder = Path(tempfile.mkdtemp())
        (folder / "large").write_bytes(b"#" * (MAXIMUM_SIZE + 1))
        (folder / "latin").write_bytes(b"a: 1\nb: \xe4\n")
        remedy = "check the name and its permissions"
        for name, line in [
            ("absent", f"absent: cannot be read: No such file or directory; {remedy}"),
            ("", f": cannot be read: Is a directory; {remedy}"),
            ("a\0b", f"a\0b: cannot be read: embedded null byte; {remedy}"),
            ("large", "large: is larger than 1048576 bytes; make it smaller"),
            ("latin", "latin:2: is not UTF-8; save it as UTF-8"),
        ]:
            if name:
                self.assertEqual(self.lines(folder / name), [line])
            else:
                self.assertEqual(self.lines(folder), [f"{folder.name}{line}"])
