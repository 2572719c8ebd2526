"""Where a stranger's code, or a fake, may stand.

Layer 0: zope.interface alone.  `docs/plugins.md` shows each in use.
"""

from __future__ import annotations

from zope.interface import Attribute, Interface


class IAuthenticator(Interface):
    """Turns evidence into an identity.  Sees no socket, Request or YAML."""

    name = Attribute("str: shown in logs, in `explain` and in `Identity.authenticator`.")
    depends_on = Attribute("DependsOn: how long an answer holds.")
    headers = Attribute(
        "frozenset[str]: lower-case names of the request fields it wants to see; "
        "empty when it depends on the connection."
    )

    def authenticate(evidence):
        """Say who calls.

        :param evidence: `model.Evidence`.
        :return: `model.Identity`; None when there is nothing here for this
            authenticator, so that the next one is asked; or a Deferred of
            either.
        :raise errors.BadEvidence: evidence was shown and is not good; nobody
            else is asked.
        """


class IAuthenticatorFactory(Interface):
    """The plug-in: found by `twisted.plugin.getPlugins`, ours and strangers'."""

    kind = Attribute("str: the value of `kind:` in the configuration.")

    def create(options, context):
        """Build an authenticator from its part of the configuration.

        :param options: `IOptions`; every key that is not read is an unknown
            key and so an error.
        :param context: `IAuthenticatorContext`.
        :return: `IAuthenticator`.  Problems are told to `options.complain`,
            so that all of them are seen at once; the return value is not used
            when there was one.
        """


class IOptions(Interface):
    """A mapping of the configuration file, read key by key.

    Each reader returns the default when the key is absent, and records a
    complaint with file and line when the value has the wrong shape (it then
    returns the default too).  `required` readers complain about absence.
    """

    def text(key, default=None, required=False):
        """A non-empty string."""

    def flag(key, default=False):
        """A boolean."""

    def number(key, default=None, required=False, minimum=None):
        """An int or a float; a bool is not a number."""

    def texts(key, default=()):
        """A list of strings, as a tuple."""

    def raw(key, default=None):
        """Any YAML value, unchecked; the caller checks and complains."""

    def file(key, required=False):
        """A path relative to the configuration file, as pathlib.Path."""

    def complain(key, what, remedy=""):
        """Record a complaint: the configuration will not be used.

        :param key: the key it is about, `""` for the mapping itself, or the
            way further down as a tuple, `("superusers", "service:x", 0)`.
        """

    def warn(key, what, remedy=""):
        """Record something odd that does not stand in the way."""


class IAuthenticatorContext(Interface):
    """What an authenticator may know of the rest of the configuration."""

    backends = Attribute("tuple[tuple[str, str], ...]: (name, external path prefix) pairs.")
    clock = Attribute("IReactorTime: the reactor or a test's Clock.")


class IAuthorizer(Interface):
    """Decides whether an identity may do this here; a pure function."""

    def authorize(identity, route, method, path):
        """Allow, or say why not.

        :param identity: `model.Identity`, possibly anonymous.
        :param route: `routing.Route` of the backend.
        :param method: str.
        :param path: str, the external path as received, no query.
        :return: `model.Decision`.
        :raise errors.Refusal: 401 or 403.
        """


class IClientVerifier(Interface):
    """Our own judgement of a client certificate, once per connection."""

    def examine(connection):
        """Turn a finished handshake into facts.

        :param connection: `OpenSSL.SSL.Connection`.
        :return: `model.Certificate`, or None when the client showed none.
        :raise errors.BadEvidence: 403, with the reason; the edge closes.
        """


class IObserver(Interface):
    """Told of each exchange once it is over."""

    def ended(exchange):
        """Record it; must not raise, must not block, must not keep it.

        :param exchange: `model.Exchange`.
        """


class IAnswer(Interface):
    """Where a forwarded answer goes: the caller's side of an exchange.

    Exactly one of `whole`, `end`, `cut` and `fail` ends it.  `proxy` calls this,
    `edge` provides it.
    """

    def informational(head):
        """Pass on a 1xx answer (RFC 9110 section 15.2); `ResponseHead`."""

    def begin(head, lines):
        """The final head: `ResponseHead`, and the end-to-end header lines to
        send, as bytes."""

    def whole(head, lines, body):
        """`begin`, `data` and `end` in one, for an answer that came in one piece.

        :param head: `ResponseHead` of a body of known length: that of `body`.
        """

    def data(payload):
        """A piece of the body: bytes, unframed."""

    def flush():
        """Everything given so far goes out now: called once per segment that
        was read, so that what arrived together leaves together."""

    def pour(transport, most):
        """Bytes of the body that have come and not been delivered go straight
        from a transport to the client, where nothing has to be done with them
        on the way; after `flush`.  See `ISecureTransport.pour`.

        :return: how many did; those are not given by `data`.
        """

    def end():
        """The body is complete; flushes."""

    def cut(by_caller=False):
        """The body broke off after `begin`: must not look whole.

        :param by_caller: whether it was the caller who has taken nothing of it for too long.
        """

    def fail(refusal):
        """No head was passed on: answer with this `Refusal` instead."""

    def pause():
        """The backend takes no more of the request body for now."""

    def resume():
        """The backend takes the request body again."""


class IForward(Interface):
    """Where a request body goes: the backend's side of an exchange.

    `edge` calls this, `proxy` provides it.
    """

    request_idle = Attribute("float: seconds that the caller may be silent within the body.")

    def data(payload):
        """A piece of the request body: bytes, unframed."""

    def flush():
        """Everything given so far goes out now."""

    def pour(transport, most):
        """Bytes of the body that have come and not been delivered go straight
        from a transport to the backend, where nothing has to be done with them
        on the way; after `flush`.  See `ISecureTransport.pour`.

        :return: how many did; those are not given by `data`.
        """

    def end():
        """The request body is complete; flushes."""

    def abort():
        """The caller left: the backend's request ends at once."""

    def pause():
        """The caller takes no more of the answer for now."""

    def resume():
        """The caller takes the answer again."""
