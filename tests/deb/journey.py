"""From `apt install ./toolforge-gateway_*.deb` to `apt purge`, on a machine that systemd runs.

`./run deb` starts this as root in a machine of its own, where it is the only one.  Each step is a
sentence that must hold; later ones build on earlier ones.  The commands that docs/operations.md
has for people are taken from there: `documented`.  Standard library alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import ssl
import stat
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from http.client import HTTPSConnection
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from load import Load  # noqa: E402  (a program in a folder of its own)

OPERATIONS = HERE / "operations.md"
CONFIG = Path("/etc/toolforge-gateway/gateway.yaml")
TLS = CONFIG.parent / "tls"
LOG = Path("/var/log/toolforge-gateway/access.json")
UNIT = "toolforge-gateway.service"
DROP_IN = Path(f"/run/systemd/system/{UNIT}.d/journey.conf")
USER = "toolforge-gateway"
JOBS = "/jobs/v1/tool/tf-test/jobs/"
ASKED = [
    ("GET", JOBS, None),
    ("PATCH", JOBS, b'{"name": "hello", "cmd": "./hello.sh", "imagename": "bookworm"}'),
]
"""What may be sent again by a client, and what may not."""

Step = Callable[[], object]
STEPS: list[tuple[str, Step]] = []


def step(sentence: str) -> Callable[[Step], Step]:
    """A step of the journey; what it returns is shown with its sentence."""

    def add(call: Step) -> Step:
        STEPS.append((sentence, call))
        return call

    return add


def main() -> int:
    failed = 0
    for sentence, call in STEPS:
        began = time.monotonic()
        try:
            shown = call()
        except Exception as error:
            failed += 1
            print(f"  FAILED {time.monotonic() - began:5.1f} s  {sentence}")
            trace = traceback.format_exc(limit=-2)
            for line in (trace if not isinstance(error, Wrong) else str(error)).splitlines():
                print(f"         {line}")
        else:
            print(f"  ok     {time.monotonic() - began:5.1f} s  {sentence}")
            for line in str(shown).splitlines() if shown else ():
                print(f"         {line}")
        sys.stdout.flush()
    if failed:
        print(sh("journalctl --no-pager --unit toolforge-gateway --lines 60", ok=None).stdout)
    print(f"{len(STEPS) - failed} passed, {failed} failed")
    return 1 if failed else 0


# What steps are made of.


class Wrong(Exception):
    """Something is not as its sentence says."""


def hold(true: object, otherwise: object) -> None:
    """:raise Wrong: it does not hold."""
    if not true:
        raise Wrong(str(otherwise))


def sh(
    command: str, ok: bool | None = True, where: str = "/srv"
) -> subprocess.CompletedProcess[str]:
    """Run a line of shell.

    :param ok: whether its exit code must be 0, or must not be; None: either.
    """
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "SYSTEMD_PAGER": ""}
    environ["APT_CONFIG"] = str(HERE / "apt.conf")  # nobody is there who could say yes
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=where,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if ok is not None and (done.returncode == 0) is not ok:
        said = f"{done.stdout}{done.stderr}".strip()
        raise Wrong(f"$ {command}\nexit code {done.returncode}\n{said[-3000:]}")
    return done


def documented(
    command: str, ok: bool | None = True, where: str = "/srv"
) -> subprocess.CompletedProcess[str]:
    """Run a line that docs/operations.md has, as it stands there."""
    hold(command in commands(), f"docs/operations.md does not have this command: {command}")
    return sh(command, ok, where)


def commands() -> set[str]:
    """The lines of its code blocks, without comments, and those that go on joined."""
    text = OPERATIONS.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.startswith("    ")]
    return {" ".join(re.sub(r"\s+#\s.*", "", line).split()) for line in lines}


def eventually(true: Callable[[], object], what: str, within: float = 20.0) -> float:
    """:return: the seconds it took.
    :raise Wrong: it never was.
    """
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > within:
            raise Wrong(f"not within {within:.0f} s: {what}")
        time.sleep(0.1)
    return time.monotonic() - began


def shown(name: str, unit: str = UNIT) -> str:
    """A property of a unit."""
    return sh(f"systemctl show --value --property={name} {unit}").stdout.strip()


def journal(since: float) -> str:
    """What the service has said since then, with systemd's words about it."""
    sh("journalctl --sync", ok=None)
    return sh(f"journalctl --no-pager --output=cat --unit={UNIT} --since=@{since:.3f}").stdout


def curl(words: str, ok: bool | None = True) -> str:
    """:return: the status, a line break and the body."""
    line = f"curl --silent --show-error --max-time 20 --cacert {TLS}/server-ca.crt"
    done = sh(f"{line} --write-out '\\n%{{http_code}}' {words}", ok)
    body, _, status = done.stdout.rpartition("\n")
    return f"{status}\n{body}"


def as_tool(tool: str = "tf-test") -> str:
    return f"--cert {TLS}/tool-{tool}.crt --key {TLS}/tool-{tool}.key"


def context(tool: str = "tf-test") -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(TLS / "server-ca.crt"))
    made.load_cert_chain(TLS / f"tool-{tool}.crt", TLS / f"tool-{tool}.key")
    return made


def served_certificate(port: int = 8443) -> str:
    """What a client is shown, in PEM."""
    return ssl.get_server_certificate(("localhost", port), timeout=10)


def edit(change: Callable[[str], str]) -> None:
    text = CONFIG.read_text()
    changed = change(text)
    hold(changed != text, "the configuration has not what this step wants to change")
    CONFIG.write_text(changed)


# What was there before, so that it is known what is left behind.

ELSEWHERE = re.compile(
    r"/(proc|sys|dev|run|tmp|srv|root)(/|$)"
    r"|/var/(log/journal|lib/apt|cache|lib/systemd|tmp)(/|$)"
    r"|/var/log/(apt|dpkg\.log|wtmp|btmp|lastlog)"
    r"|/var/lib/dpkg/"
    r"|/var/lib/logrotate"
    r"|/etc/(passwd|group|shadow|gshadow)-?$"
    r"|.*/__pycache__(/|$)"
    r"|.*/dropin\.cache$"
    r"|/etc/\.pwd\.lock$"
)
"""Folders of others, who write there all the time; of what Python and Twisted keep only the
files below our own name count."""


def everything() -> set[str]:
    found = set()
    for folder, folders, files in os.walk("/"):
        for name in [*folders, *files]:
            path = os.path.join(folder, name)
            if not ELSEWHERE.match(path) or "toolforge" in path.removeprefix("/srv"):
                found.add(path)
        folders[:] = [
            name
            for name in folders
            if os.path.join(folder, name) not in {"/proc", "/sys", "/dev", "/run", "/tmp", "/srv"}
        ]
    return found


BEFORE = everything()


# The journey.


@step("apt installs the package, with what this Debian has")
def _() -> None:
    (HERE / "apt.conf").write_text('APT::Get::Assume-Yes "true";\n')
    documented("apt install ./toolforge-gateway_*.deb")


@step("the service is there, with its user, and is neither enabled nor started")
def _() -> None:
    hold(shown("LoadState") == "loaded", "the unit is not loaded")
    hold(shown("ActiveState") == "inactive", shown("ActiveState"))
    hold(sh(f"systemctl is-enabled {UNIT}", ok=None).stdout.strip() == "disabled", "is enabled")
    hold(sh("systemctl --failed --quiet", ok=None).stdout == "", "a unit has failed")
    user = sh(f"getent passwd {USER}").stdout.split(":")
    hold(user[6].strip() == "/usr/sbin/nologin" and int(user[2]) < 1000, user)
    hold(f"{CONFIG}" in Path("/var/lib/dpkg/info/toolforge-gateway.conffiles").read_text(), "")
    found = TLS.stat()
    hold(stat.S_IMODE(found.st_mode) == 0o750 and found.st_uid == 0, oct(found.st_mode))


@step("twistd3 lists the gateway, and both manual pages can be read")
def _() -> None:
    hold("toolforge-gateway" in sh("twistd3 --help").stdout, "twistd3 --help does not list it")
    for page in ("man8/toolforge-gateway.8.gz", "man5/toolforge-gateway.yaml.5.gz"):
        hold(Path("/usr/share/man", page).exists(), f"no {page}")


@step("check says which files the configuration still wants, each with its line")
def _() -> str:
    done = sh(f"toolforge-gateway check --config {CONFIG}", ok=False)
    lines = done.stderr.splitlines()
    hold(done.returncode == 2 and lines, done)
    for line in lines:
        hold(re.match(rf"{CONFIG}:[0-9]+: \S+: .+", line), f"no place in this line: {line}")
    hold("Traceback" not in done.stderr, done.stderr)
    return lines[0]


@step("a start without certificates fails at once, says which are missing, and is tried again")
def _() -> None:
    since = time.time()
    sh(f"systemctl start {UNIT}", ok=False)
    hold("server.crt" in journal(since), journal(since))
    hold(shown("ActiveState") in ("activating", "failed"), shown("ActiveState"))
    sh(f"systemctl stop {UNIT}")
    hold(shown("ActiveState") in ("inactive", "failed"), shown("ActiveState"))
    sh(f"systemctl reset-failed {UNIT}", ok=None)


@step("throw-away keys and sample backends, as documented for whoever tries it")
def _() -> None:
    documented("toolforge-gateway demo --prepare --config /etc/toolforge-gateway/gateway.yaml")
    documented("chgrp -R toolforge-gateway /etc/toolforge-gateway/tls")
    documented("chmod -R g+rX /etc/toolforge-gateway/tls")
    documented(
        "systemd-run --unit=sample-backends --uid=toolforge-gateway "
        "toolforge-gateway demo --backends --config /etc/toolforge-gateway/gateway.yaml"
    )
    documented("toolforge-gateway check --config /etc/toolforge-gateway/gateway.yaml")
    documented(
        "runuser -u toolforge-gateway -- "
        "toolforge-gateway check --config /etc/toolforge-gateway/gateway.yaml"
    )
    sh(f"systemd-run --unit=slow-backend --uid={USER} python3 {HERE}/slow.py")


@step("enabled and started, it serves as soon as systemctl returns")
def _() -> str:
    documented("systemctl enable --now toolforge-gateway")
    answer = curl("https://localhost:8443/healthz")
    hold(answer.startswith("200\n") and "ok" in answer, answer)
    hold(shown("Type") == "notify" and shown("SubState") == "running", shown("SubState"))
    ready = curl("http://127.0.0.1:9090/readyz")
    hold(ready.startswith("200\n"), ready)
    hold("serves" in shown("StatusText"), shown("StatusText"))
    return f"Status: {shown('StatusText')}"


@step("a request with a tool's certificate is answered by the backend (mutual TLS on both sides)")
def _() -> None:
    eventually(lambda: curl("https://localhost:8443/jobs/v1/healthz", ok=None)[:3] == "200", "up")
    done = documented(
        "curl --cacert /etc/toolforge-gateway/tls/server-ca.crt "
        "--cert /etc/toolforge-gateway/tls/tool-tf-test.crt "
        "--key /etc/toolforge-gateway/tls/tool-tf-test.key "
        "https://localhost:8443/jobs/v1/tool/tf-test/jobs/"
    )
    hold("jobs" in json.loads(done.stdout), done.stdout)
    other = curl(f"{as_tool()} https://localhost:8443/jobs/v1/tool/other/jobs/")
    hold(other.startswith("403\n") and "foreign-tool" in other, other)
    nobody = curl(f"https://localhost:8443{JOBS}")
    hold(nobody.startswith("403\n"), nobody)


@step("each request has a line in the access log, which only the service and root read")
def _() -> None:
    eventually(lambda: LOG.exists() and "foreign-tool" in LOG.read_text(), "the line")
    hold(all(json.loads(line) for line in LOG.read_text().splitlines()), "")
    mode = stat.S_IMODE(LOG.stat().st_mode)
    hold(mode & 0o007 == 0 and LOG.owner() == USER, f"{oct(mode)} {LOG.owner()}")


@step("it sends no session tickets, which nobody would use: Debian's OpenSSL is told without more")
def _() -> None:
    done = sh(
        "(sleep 1; printf 'GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n'; sleep 1) | "
        f"openssl s_client -connect localhost:8443 -CAfile {TLS}/server-ca.crt -quiet "
        "-no_ign_eof -msg 2>&1 || true"
    )
    hold("ok" in done.stdout.lower() and "NewSessionTicket" not in done.stdout, done.stdout[-1500:])


@step("its process has no capability, cannot get one, and is its user's")
def _() -> str:
    pid = shown("MainPID")
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb"):
        hold(int(status[name], 16) == 0, f"{name} {status[name]}")
    hold(status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", status)
    hold(sh(f"ps -o user= -p {pid}").stdout.strip()[:7] == USER[:7], "another user")
    limits = Path(f"/proc/{pid}/limits").read_text()
    hold(re.search(r"core file size +0 +0", limits), "it would write cores, with keys in them")
    return sh(f"systemd-analyze security --no-pager {UNIT} | tail -1", ok=None).stdout.strip()


@step("the metrics tell of the process itself, in the sandbox as well")
def _() -> None:
    metrics = curl("http://127.0.0.1:9090/metrics")
    hold(metrics.startswith("200\n"), metrics[:500])
    hold("process_start_time_seconds" in metrics, "no metrics of the process")
    hold("toolforge_gateway_" in metrics, "no metrics of our own")


@step("a server certificate that is replaced is served within 10 seconds, and nobody is refused")
def _() -> str:
    before, pid = served_certificate(), shown("MainPID")
    new = Path("/srv/new")
    new.mkdir()
    shutil.copy(CONFIG, new / "gateway.yaml")
    sh(f"toolforge-gateway demo --prepare --config {new}/gateway.yaml")
    load = Load(8443, context, [("GET", JOBS, None)], clients=2)
    load.start()
    # Clients trust the new authority as well, as they would the one of a real rotation.
    with (TLS / "server-ca.crt").open("a") as file:
        file.write((new / "tls" / "server-ca.crt").read_text())
    documented(
        "install -m 0640 -g toolforge-gateway server.crt server.key /etc/toolforge-gateway/tls/",
        where=str(new / "tls"),
    )
    try:
        took = eventually(lambda: served_certificate() != before, "the new certificate", 15)
        time.sleep(1)
    finally:
        load.stop()
    wanted = (new / "tls" / "server.crt").read_text().strip()
    hold(served_certificate().strip() in wanted, "neither the old nor the new certificate")
    hold(shown("MainPID") == pid, "the process is another")
    # The clients of the load trust the old authority alone, so new connections end in the
    # handshake once the new one is served; until then all are answered.
    hold(load.counts["answered"] and not load.counts["lost"], f"{load.counts} {load.why}")
    return f"after {took:.1f} s"


@step("reload puts a good configuration in force; the process and its connections stay")
def _() -> str:
    pid = shown("MainPID")
    kept = HTTPSConnection("localhost", 8443, timeout=20, context=context())
    kept.request("GET", "/more/v1/healthz")
    first = kept.getresponse()
    hold(first.status == 404 and first.read(), first.status)
    edit(
        lambda text: text.replace(
            "backends:\n",
            "backends:\n  - name: more\n    path: /more\n    url: https://127.0.0.1:18441\n"
            "    server_name: jobs-api.jobs-api.svc.tools.local\n"
            "  - name: slow\n    path: /slow\n    url: https://127.0.0.1:18450\n",
            1,
        )
    )
    began = time.monotonic()
    documented("systemctl reload toolforge-gateway")
    took = time.monotonic() - began
    kept.request("GET", "/more/v1/healthz")
    second = kept.getresponse()
    hold(second.status == 200 and second.read(), f"{second.status} on the connection of before")
    kept.close()
    hold(shown("MainPID") == pid and shown("SubState") == "running", shown("SubState"))
    return f"systemctl reload took {took:.1f} s; {shown('StatusText')}"


@step("reload refuses a bad configuration: exit code, file and line; the old state serves")
def _() -> str:
    pid, good = shown("MainPID"), CONFIG.read_text()
    edit(lambda text: text + "\nbacknds: []\n")
    number = CONFIG.read_text().splitlines().index("backnds: []") + 1
    since = time.time()
    try:
        sh("systemctl reload toolforge-gateway", ok=False)
        wanted = f"{CONFIG}:{number}: backnds"
        hold(wanted in journal(since), journal(since))
        said = documented(
            "toolforge-gateway reload --config /etc/toolforge-gateway/gateway.yaml", ok=False
        ).stderr
        hold(wanted in said or "backnds" in said, said)
        hold(curl(f"{as_tool()} https://localhost:8443{JOBS}").startswith("200\n"), "not served")
        hold(shown("MainPID") == pid and shown("ActiveState") == "active", shown("ActiveState"))
    finally:
        CONFIG.write_text(good)
    documented("systemctl reload toolforge-gateway")
    return said.splitlines()[0]


@step("the program's own reload refuses it too, by the running process, and its status says so")
def _() -> str:
    good = CONFIG.read_text()
    # Good by itself, but the file that it names is not there: only who loads it finds out.
    edit(lambda text: text.replace("tls/k8s-ca.crt", "tls/none.crt"))
    try:
        sh("systemctl kill --signal=HUP --kill-who=main toolforge-gateway")
        eventually(lambda: "last reload changed nothing" in shown("StatusText"), "the status")
        status = shown("StatusText")
        hold(f"{CONFIG}:" in status and "none.crt" in status, status)
        hold(shown("SubState") == "running", shown("SubState"))
    finally:
        CONFIG.write_text(good)
    sh("systemctl reload toolforge-gateway")
    hold("changed nothing" not in shown("StatusText"), shown("StatusText"))
    return f"Status: {status}"


@step("logrotate moves the log away; the service writes on in a new one, and the old stays whole")
def _() -> None:
    sh("logrotate --force /etc/logrotate.d/toolforge-gateway")
    eventually(LOG.exists, "a new log")
    curl(f"{as_tool()} https://localhost:8443/jobs/v1/after-rotation")
    eventually(lambda: "after-rotation" in LOG.read_text(), "a line in the new log")
    old = Path(f"{LOG}.1").read_text()
    hold("foreign-tool" in old and "after-rotation" not in old, old[-300:])
    hold(LOG.owner() == USER and stat.S_IMODE(LOG.stat().st_mode) & 0o007 == 0, LOG.stat())


@step("a process that hangs is ended by the watchdog, says where it hung, and is replaced")
def _() -> str:
    DROP_IN.parent.mkdir(parents=True, exist_ok=True)
    DROP_IN.write_text("[Service]\nWatchdogSec=3\n")
    sh(f"systemctl daemon-reload && systemctl restart {UNIT}")
    pid, since = int(shown("MainPID")), time.time()
    time.sleep(4)
    hold(int(shown("MainPID")) == pid, "a process that lives was replaced")
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    eventually(
        lambda: shown("MainPID") not in ("0", str(pid)) and shown("SubState") == "running",
        "another process",
        within=25,
    )
    took = time.monotonic() - began
    hold(shown("NRestarts") == "1", shown("NRestarts"))
    answer = curl(f"{as_tool()} https://localhost:8443{JOBS}")
    hold(answer.startswith("200\n"), answer)
    said = journal(since)
    hold("Watchdog timeout" in said and "most recent call first" in said, said[-2000:])
    DROP_IN.unlink()
    sh("systemctl daemon-reload")
    return f"replaced {took:.1f} s after it hung, with 3 s of WatchdogSec"


@step("a stop lets a stream come to its end, says unready meanwhile, and exits with 0")
def _() -> str:
    sh(f"systemctl restart {UNIT}")
    stream = subprocess.Popen(
        ["curl", "--silent", "--show-error", "--cacert", str(TLS / "server-ca.crt"), "--no-buffer"]
        + ["--cert", f"{TLS}/tool-tf-test.crt", "--key", f"{TLS}/tool-tf-test.key"]
        + ["https://localhost:8443/slow/v1/tool/tf-test/5"],
        stdout=subprocess.PIPE,
        text=True,
    )
    time.sleep(1)
    began = time.monotonic()
    stopping = subprocess.Popen(["systemctl", "stop", UNIT])
    time.sleep(1)
    unready = curl("http://127.0.0.1:9090/readyz", ok=None)
    body, _ = stream.communicate(timeout=60)
    hold(stopping.wait(60) == 0, "systemctl stop failed")
    took = time.monotonic() - began
    hold(unready.startswith("503\n"), f"/readyz said {unready}")
    hold(stream.returncode == 0 and body.endswith("end\n"), f"{stream.returncode} {body!r}")
    hold(shown("Result") == "success" and shown("ExecMainStatus") == "0", shown("Result"))
    hold(shown("ExecMainCode") == "1", "it did not exit by itself")
    return f"{took:.1f} s"


@step("a gateway that runs moves behind the socket unit, and serves port 443 without a capability")
def _() -> None:
    sh(f"systemctl start {UNIT}")
    edit(
        lambda text: text.replace(
            "endpoint: tcp:8443 ", "endpoint: systemd:domain=INET6:index=0 ", 1
        )
    )
    documented("systemctl stop toolforge-gateway")
    documented("systemctl enable --now toolforge-gateway.socket")
    documented("systemctl start toolforge-gateway")
    answer = curl(f"{as_tool()} https://localhost{JOBS}")
    hold(answer.startswith("200\n"), answer)
    hold(curl("--ipv6 https://localhost/healthz", ok=None).startswith("200\n"), "not over IPv6")


@step("cold restarts under load behind the socket unit: nobody is refused a connection")
def _() -> str:
    load = Load(443, context, ASKED)
    load.start()
    time.sleep(3)
    took = []
    try:
        for _ in range(3):
            began = time.monotonic()
            sh(f"systemctl restart {UNIT}")
            took.append(time.monotonic() - began)
            time.sleep(2)
    finally:
        load.stop()
    counts, why = load.counts, load.why
    hold(counts["answered"] > 100, counts)
    hold(not counts["refused"] and not counts["lost"], f"{dict(counts)} {dict(why)}")
    return (
        f"3 restarts of {min(took):.1f} to {max(took):.1f} s, {counts['answered']} answered, "
        f"{counts['refused']} refused, {counts['lost']} lost, {counts['may be sent again']} that "
        f"a client sends again by itself; the longest waited {load.longest:.1f} s"
    )


@step("it comes out from behind the socket unit again, and goes back")
def _() -> None:
    behind, before = "endpoint: systemd:domain=INET6:index=0 ", "endpoint: tcp:8443 "
    edit(lambda text: text.replace(behind, before, 1))
    documented("systemctl disable --now toolforge-gateway.socket")
    documented("systemctl restart toolforge-gateway")
    answer = curl(f"{as_tool()} https://localhost:8443{JOBS}")
    hold(answer.startswith("200\n"), answer)
    edit(lambda text: text.replace(before, behind, 1))
    sh(f"systemctl stop {UNIT} && systemctl enable --now toolforge-gateway.socket")
    sh(f"systemctl start {UNIT}")


def newer() -> Path:
    """The package once more, with a higher version and another `gateway.yaml`.

    :return: the folder that it is in, alone.
    """
    folder, tree = Path("/srv/newer"), Path("/srv/newer/tree")
    folder.mkdir()
    sh(f"dpkg-deb --raw-extract toolforge-gateway_*.deb {tree}")
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub("(?m)^Version: .*", "Version: 999", control.read_text()))
    with (tree / CONFIG.relative_to("/")).open("a") as file:
        file.write("# What a newer version brings.\n")
    sh(f"dpkg-deb --build {tree} {folder}/toolforge-gateway_999_all.deb")
    shutil.rmtree(tree)
    return folder


@step("an upgrade under load: nobody is refused or lost, the configuration and the socket stay")
def _() -> str:
    where, before, pid = newer(), CONFIG.read_text(), shown("MainPID")
    held = shown("ActiveEnterTimestampMonotonic", "toolforge-gateway.socket")
    load = Load(443, context, ASKED, clients=4)
    load.start()
    time.sleep(1)
    try:
        documented(
            "apt install -o Dpkg::Options::=--force-confold ./toolforge-gateway_*.deb",
            where=str(where),
        )
        eventually(
            lambda: shown("SubState") == "running" and shown("MainPID") != pid, "a new process"
        )
        time.sleep(1)
    finally:
        load.stop()
    hold(sh("dpkg-query -W -f '${Version}' toolforge-gateway").stdout == "999", "not installed")
    hold(CONFIG.read_text() == before, "the configuration was changed")
    hold("newer" in Path(f"{CONFIG}.dpkg-dist").read_text(), "the package's is not beside it")
    now = shown("ActiveEnterTimestampMonotonic", "toolforge-gateway.socket")
    hold(now == held, "the socket was closed")
    counts = load.counts
    hold(counts["answered"] > 100, counts)
    hold(not counts["refused"] and not counts["lost"], f"{dict(counts)} {dict(load.why)}")
    return f"{dict(counts)}; the longest waited {load.longest:.1f} s"


@step("removed and installed again it is as it was: configuration, keys, enabled, serving")
def _() -> None:
    before = CONFIG.read_text()
    load = Load(443, context, ASKED, clients=2)
    load.start()  # whose connections must not have systemd start it again meanwhile
    try:
        sh("apt remove toolforge-gateway")
    finally:
        load.stop()
    hold(not sh(f"pgrep --uid {USER} --full twistd", ok=None).stdout, "it runs on")
    hold(CONFIG.read_text() == before and (TLS / "server.key").exists(), "taken away")
    sh("apt install ./toolforge-gateway_*.deb", where="/srv/newer")
    answer = curl(f"{as_tool()} https://localhost{JOBS}")
    hold(answer.startswith("200\n"), answer)


@step("workers: restart replaces one generation by the next, and nothing is lost")
def _() -> str:
    edit(lambda text: text.replace("# workers: 2", "workers: 2", 1))
    sh(f"systemctl restart {UNIT}")
    pid = shown("MainPID")
    load = Load(443, context, ASKED, clients=4)
    load.start()
    time.sleep(2)
    try:
        documented("toolforge-gateway restart --config /etc/toolforge-gateway/gateway.yaml")
        time.sleep(2)
        sh(f"systemctl reload {UNIT}")
        documented("toolforge-gateway state --config /etc/toolforge-gateway/gateway.yaml")
        time.sleep(1)
    finally:
        load.stop()
    counts, why = load.counts, load.why
    hold(shown("MainPID") == pid and shown("SubState") == "running", "another main process")
    hold(counts["answered"] > 100, counts)
    hold(not counts["refused"] and not counts["lost"], f"{dict(counts)} {dict(why)}")
    return f"{dict(counts)}"


@step("purge leaves nothing behind but the user, as Debian has it")
def _() -> None:
    sh("systemctl stop sample-backends slow-backend")
    documented("apt purge toolforge-gateway")
    gone = sh(f"pgrep --uid {USER}", ok=None).stdout
    hold(not gone, f"still running: {gone}")
    hold(shown("LoadState") in ("not-found", "masked"), shown("LoadState"))
    hold(sh("ss -tln | grep :443", ok=None).stdout == "", "the port is still open")
    left = sorted(everything() - BEFORE)
    hold(not left, "left behind:\n" + "\n".join(left[:40]))
    missing = sorted(path for path in BEFORE - everything() if not path.startswith("/var/log"))
    hold(not missing, "taken away of others:\n" + "\n".join(missing[:40]))


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
