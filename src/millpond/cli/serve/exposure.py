"""Whether a server may listen where it shall: beyond this machine only with authentication, names and encryption."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

from millpond.cli.serve.configuration import WrongConfiguration
from millpond.cli.serve.options import ServerOptions
from millpond.http.server.listening import Listener


def check_exposure(options: ServerOptions, listeners: Sequence[Listener]) -> None:
    """Raise `WrongConfiguration`, with all that is missing, if other machines could connect and must not."""
    public = [one.address("tcp").removeprefix("tcp://") for one in listeners if one.is_public]
    if not public:
        return
    missing = []
    if options.auth == "none":
        missing.append("authentication (drop --auth none)")
    if not options.allowed_host:
        missing.append("the name that clients use (--allowed-host NAME)")
    if options.ssl_certfile is None and not options.proxy_headers:
        missing.append(
            "TLS (--ssl-certfile FILE --ssl-keyfile FILE; or, where a proxy that does TLS is the only one who can "
            "connect, --proxy-headers --forwarded-allow-ips ITS_ADDRESS)"
        )
    if missing:
        raise WrongConfiguration(f"to listen at {', '.join(public)}, which is public, this needs {'; '.join(missing)}")


def tls_of(options: ServerOptions) -> ssl.SSLContext | None:
    """The TLS context: 1.2 at least. Raises `WrongConfiguration`."""
    if options.ssl_certfile is None:
        for name in ("ssl_keyfile", "ssl_ca_certs", "ssl_ciphers", "ssl_keyfile_password"):
            if getattr(options, name):
                raise WrongConfiguration(f"--{name.replace('_', '-')} needs --ssl-certfile")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    password = options.ssl_keyfile_password or ""  # without one OpenSSL would ask at the terminal
    try:
        context.load_cert_chain(options.ssl_certfile, options.ssl_keyfile, lambda: password)
        if options.ssl_ca_certs is not None:
            context.load_verify_locations(options.ssl_ca_certs)
            context.verify_mode = ssl.CERT_REQUIRED
        if options.ssl_ciphers is not None:
            context.set_ciphers(options.ssl_ciphers)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror if type(error) is not ssl.SSLError else error.reason
        raise WrongConfiguration(f"the TLS certificate or key cannot be used: {reason or error}") from None
    context.set_alpn_protocols(["http/1.1"])
    return context
