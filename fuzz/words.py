"""The words that fuzzed messages are spelt with; see `phrase`."""

from __future__ import annotations

_NAMES = [
    b"Host", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Expect", b"TE", b"Trailer",
    b"Content_Length", b"Transfer.Encoding", b"X-Toolforge-Tool", b"x_toolforge_user",
    b"X-Forwarded-For", b"X-Forwarded-Host", b"Forwarded", b"X-Request-ID", b"X-Original-URL",
    b"X-SSL-Client", b"ssl-client-verify", b"Authorization", b"Cookie", b"Upgrade", b"Keep-Alive",
    b"Proxy-Authorization", b"Location", b"X-A", b"Impersonate-User",
]  # fmt: skip
_VALUES = [
    b"chunked", b"Chunked", b"gzip, chunked", b"identity", b"close", b"keep-alive", b"upgrade",
    b"100-continue", b"0", b"5", b"007", b"+5", b"9223372036854775807", b"9223372036854775808",
    b"gw", b"gw:8443", b"[::1]:80", b"127.0.0.1", b"a b", b"x" * 70,
]  # fmt: skip
_MARKS = [
    b"\r\n", b"\r\n\r\n", b"\r", b"\n", b"\0", b"\x0b", b"\x7f", b"\x80", b"\xff", b": ", b":",
    b" ", b"\t", b",", b";", b"=", b'"', b"\\",
]  # fmt: skip

REQUEST = (
    [b"GET / HTTP/1.1\r\n", b"POST /jobs/v1/tool/tf-test/x HTTP/1.1\r\n", b"HTTP/1.1", b"HTTP/1.0"]
    + [b"GET", b"HEAD", b"CONNECT", b"TRACE", b"PRI", b"/jobs/a", b"*", b"http://h/", b"HTTP/2.0"]
    + _NAMES
    + _VALUES
    + _MARKS
    + [name + b": " for name in _NAMES[:10]]
)
RESPONSE = (
    [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 304 \r\n", b"HTTP/1.1 "]
    + [b"100", b"101", b"204", b"304", b"404", b"599", b"600", b"99", b"OK", b"ICY 200 OK\r\n"]
    + _NAMES
    + _VALUES
    + _MARKS
)
BODY = _MARKS + [
    b"0\r\n\r\n", b"0\r\n", b"5\r\nhello\r\n", b"1\r\na\r\n", b"5", b"a", b"F", b"10", b"000",
    b"0x5", b"-1", b"+1", b"ffffffffffffffff", b"7fffffffffffffff", b"8000000000000000",
    b"10000000000000000", b";a", b";a=b", b';a="b"', b'"\\"', b"; a = b", b"X: y\r\n", b"Host: a",
    b"hello", b"z" * 100, b"z" * 4090,
]  # fmt: skip
TARGET = [
    b"/", b"//", b"/jobs", b"/v1/tool/tf-test/x", b"/v1/", b"/tool/", b"tf-test", b"victim", b".",
    b"..", b"/./", b"/../", b"/..;/", b"%2e", b"%2E%2e", b"%2f", b"%5c", b"%252e", b"%25",
    b"%u002e", b"%", b"%00", b"%0a", b"%20", b"%09", b"%3b", b"%3f", b"%23", b"%74", b"%7e",
    b"%c0%ae", b"%e0%80%ae", b"%ef%bc%8e", b"%ef%bc%8f", b"%e2%80%a4", b"%e2%80%8b", b"%c2%ad",
    b"%c3%a4", b"%c4%b0", b"%e2%84%aa", b"%ed%a0%80", b"%f0%9f%98%80", b"%ff", b"?", b"#", b";",
    b";a=b", b"\\", b"token=x", b"&", b"*", b"http://gw/", b"gw:443", b"@", b":", b"~", b"[", b"|",
    b"\x80", b"\xff",
]  # fmt: skip
CONFIGURATION = [
    "listen:\n", "- endpoint: tcp:8443\n", "  tls: {certificate: c, private_key: k, client_cas: ",
    "[{name: a, ca: a, identifies: [tool]}]}\n",
    "upstream_tls: {ca: c, certificate: c, private_key: k}\n", "backends:\n",
    "- {name: jobs, path: /jobs, url: 'https://jobs:1'", "}\n", "authenticators:\n",
    "- {kind: superuser, superusers: {}}\n",
    "operations: {endpoint: 'tcp:9090:interface=127.0.0.1'}\n", "timeouts: {", "limits: {",
    "access_log: {", "request_head: ", "request_body: ", "connections: ",
    "proxy_protocol: {trusted: [", "192.0.2.7/32", "::/0", "10.0.0.1/8", "forwarded: {trusted: [",
    "{cidr: ", "{client_ca: a, cn: x}", "]}", "external_url: ", "https://api.example.org",
    "target: {", "namespace: a, service: b, port: 1", "server_name: ", "anonymous: refuse",
    "addresses: [", "'[2001:db8::1]:8443'", "dns_refresh: ", "limits: {requests: ", "queue: ",
    "checks: {path: ", "interval: ", "timeout: ", "good: ", "bad: ",
    "anonymous_paths: [", "tool_path: ", "/v{n}/tool/{tool}", "'/{x:[0-9]+}'", "'/{x:(?P<n>a)}'",
    "open_paths: [", "slow_paths: [", "{pattern: '/logs$', timeouts: {response_head: 9}}",
    "forward_credentials: yes", "cluster_domain: a.b", "identifies: ", "client_certificate: none",
    "unix:/run/x", "tcp6:", "systemd:domain=INET:index=0", "ssl:443", "null", "true", "0", "-1",
    "1.5", ".inf", ".nan", "1e400", "0x1f", "1:30", "2026-11-21", "~", "''", "[]", "{}", "&a ",
    "*a", "<<: ", "? ", "!!int ", "!!python/object:x ", "%YAML 1.2\n", "---\n", "...\n", "\ufeff",
    "\x85", "\u2028", "\ud800", "\t", "\n", "\n  ", "  ", ", ", ": ", "- ", "[", "]", "{", "}", "'",
    '"', '"\\UFFFFFFFF"', "|\n", ">\n", "#", "9" * 40, "https://[", "https://a:0/b", "http://a",
    "tcp:0:",
]  # fmt: skip
LOCATION = [
    b"https://127.0.0.1:18441", b"http://127.0.0.1:18441/", b"//127.0.0.1:18441/x", b"https://evil",
    b"//evil/x", b"///x", b"/base", b"/base/", b"/based", b"/", b"..", b"../", b"../../", b"./",
    b"?x=/../", b"#f", b"%2e%2e/", b"\\", b"/\\evil", b"javascript:", b"http:", b"https:",
    b"HTTPS://", b":443", b":80", b":", b"@", b"[::1]", b"%", b" ", b"\t", b"\x80", b"\xff", b"a",
    b";", b"a:b", b"/v1/tool/tf-test/x",
]  # fmt: skip
