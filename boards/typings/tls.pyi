"""MicroPython's `tls`, as far as boards use it; the published stubs leave its types open."""

from socket import socket

PROTOCOL_TLS_CLIENT: int
CERT_REQUIRED: int

class SSLSocket:
    def readinto(self, buf: bytearray | memoryview, /) -> int | None: ...
    def write(self, buf: bytearray | bytes | memoryview, /) -> int | None: ...
    def close(self) -> None: ...

class SSLContext:
    verify_mode: int
    def __init__(self, protocol: int, /) -> None: ...
    def load_verify_locations(self, cadata: bytes, /) -> None: ...
    def load_cert_chain(self, cert: bytes, key: bytes, /) -> None: ...
    def wrap_socket(
        self,
        sock: socket,
        /,
        *,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        server_hostname: str | None = None,
    ) -> SSLSocket: ...
