"""The device's link against real brokers: flapping, killed, silent. Nothing unacknowledged is lost."""

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cbor2
import pytest
from bms.tables import signals
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

HERE = Path(__file__).parent
MICROPYTHON = Path(sys.executable).with_name("micropython")
MOSQUITTO = shutil.which(
    "mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin"
)
SPEED = 12
SAMPLES = 240
"""One every 200 ms of device time: 48 s for the device, 4 s for us; an event with every 60th."""

INTERPRETERS = {"cpython": sys.executable, "micropython": str(MICROPYTHON)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], object], timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.02)


class Broker:
    """A real broker in its own process on a fixed port."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.port = free_port()
        if kind == "mosquitto":
            if MOSQUITTO is None:
                pytest.skip("mosquitto is not installed: apt-get install mosquitto")
            config = folder / "mosquitto.conf"
            config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
            self._command = [MOSQUITTO, "-c", str(config)]
        else:
            self._command = [sys.executable, str(HERE / "link_broker.py"), str(self.port)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._listens, 20, f"{self._command[0]} listens on {self.port}")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Cloud:
    """Stores what arrives and acknowledges it, as the ingest does: every second, and after every gap."""

    def __init__(self, port: int, pack: str) -> None:
        self.stored: dict[int, dict[int, int]] = {0: {}, 1: {}, 2: {}}
        self.live: set[int] = set()
        self.states: list[int] = []
        self.changed: list[tuple[int, int]] = []
        self.boot_id = 0
        self.deaf = False
        self._topic = f"bms/1/t/s/{pack}/"
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"cloud-{pack}")
        self._client.reconnect_delay_set(0.2, 0.5)  # type: ignore[arg-type]
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port, keepalive=5)
        self._client.loop_start()
        self._thread = threading.Thread(target=self._acknowledge)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: paho.Client, *_: object) -> None:
        client.subscribe(self._topic + "#", qos=1)

    def _on_message(self, _client: Any, _user: Any, message: paho.MQTTMessage) -> None:
        leaf = message.topic.removeprefix(self._topic)
        if leaf == "ack" or self.deaf:
            return
        body = cbor2.loads(message.payload)
        if leaf == "state":
            self.states.append(body[signals.ONLINE])
        if leaf not in (*signals.STREAMS, "hist"):
            return
        stream = body[signals.STREAM] if leaf == "hist" else signals.STREAMS.index(leaf)
        with self._lock:
            self.boot_id = body[signals.BOOT_ID]
            assert body[signals.N] == len(body[signals.SAMPLES])
            for at, sample in enumerate(body[signals.SAMPLES]):
                seq = body[signals.SEQ] + at
                value = hash(json.dumps(sample))
                if self.stored[stream].setdefault(seq, value) != value:
                    self.changed.append((stream, seq))
                if leaf == "tele":
                    self.live.add(seq)

    def _acknowledge(self) -> None:
        while not self._stop.wait(0.3):
            if self.deaf:
                continue
            with self._lock:
                acks = [self._ack(stream) for stream, stored in self.stored.items() if stored]
            for payload in acks:
                self._client.publish(self._topic + "ack", payload, qos=1)

    def _ack(self, stream: int) -> bytes:
        stored = self.stored[stream]
        upto = max(stored) + 1
        gaps: list[list[int]] = []
        for seq in range(upto):
            if seq not in stored:
                if gaps and gaps[-1][1] == seq - 1:
                    gaps[-1][1] = seq
                else:
                    gaps.append([seq, seq])
        if len(gaps) > 20:
            upto = gaps[20][0]
        body = {
            signals.STREAM: stream,
            signals.BOOT_ID: self.boot_id,
            signals.UPTO: upto,
            signals.GAPS: gaps[:20],
        }
        return cbor2.dumps(body)


def _hang_up(*ends: socket.socket) -> None:
    # close alone would not wake the thread that reads from it
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class Proxy:
    """A TCP line between device and broker: `cut` hangs up, `mute` swallows every byte and says nothing."""

    def __init__(self, broker_port: int) -> None:
        self._broker_port = broker_port
        self.mute = False
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.accepted = 0
        self._start(self._accept)

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            try:
                far = socket.create_connection(("127.0.0.1", self._broker_port))
            except OSError:
                near.close()
                continue
            self._open += [near, far]
            self._start(self._pump, near, far)
            self._start(self._pump, far, near)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(4096):
                if not self.mute:
                    sink.sendall(data)
        except OSError:
            pass
        _hang_up(source, sink)

    def cut(self) -> None:
        """Hang up on both sides."""
        _hang_up(*self._open)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join()
        for end in self._open:
            end.close()


class Device:
    """The device's link in its own process."""

    def __init__(self, interpreter: str, port: int, pack: str) -> None:
        command = [
            interpreter,
            str(HERE / "link_device.py"),
            f"127.0.0.1:{port}",
            pack,
            str(SAMPLES),
            str(SPEED),
        ]
        if interpreter == str(MICROPYTHON):
            command[1:1] = ["-X", "heapsize=320k"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def result(self) -> dict[str, Any]:
        out, _ = self._process.communicate(timeout=90)
        assert self._process.returncode == 0, out
        return json.loads(out.splitlines()[-1])

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


Stage = tuple[Broker, Cloud, Proxy, Device]


@pytest.fixture(params=["micropython-mosquitto", "micropython-amqtt", "cpython-mosquitto"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """Broker, cloud, line and a device that has begun to report."""
    interpreter, kind = request.param.split("-")
    pack = f"p-{interpreter}"
    broker = Broker(kind, tmp_path)
    broker.start()
    cloud = Cloud(broker.port, pack)
    proxy = Proxy(broker.port)
    device = Device(INTERPRETERS[interpreter], proxy.port, pack)
    try:
        wait_until(lambda: len(cloud.stored[0]) > 5, 20, "first samples arrive")
        yield broker, cloud, proxy, device
    finally:
        device.kill()
        proxy.close()
        cloud.close()
        broker.kill()


def everything_arrived(cloud: Cloud, result: dict[str, Any]) -> None:
    assert result["pending"] == 0, result
    assert result["dropped"] == 0
    assert result["next_seq"] == SAMPLES
    assert sorted(cloud.stored[0]) == list(range(SAMPLES))
    assert sorted(cloud.stored[2]) == list(range(SAMPLES // 60))
    assert sorted(cloud.stored[1]) == list(range(len(cloud.stored[1])))
    assert len(cloud.stored[1]) >= SAMPLES // 25
    assert cloud.changed == []
    assert result["bad_acks"] == 0
    assert result["malformed"] == 0


def test_a_flapping_line_loses_nothing(stage: Stage) -> None:
    _, cloud, proxy, device = stage
    for _ in range(4):
        time.sleep(0.7)
        proxy.cut()
    result = device.result()
    everything_arrived(cloud, result)
    assert result["connects"] >= 3
    assert 0 in cloud.states  # the will


def test_a_broker_killed_in_mid_stream_loses_nothing(stage: Stage) -> None:
    broker, cloud, _, device = stage
    for _ in range(2):
        time.sleep(0.5)
        broker.kill()
        time.sleep(0.8)
        broker.start()
    result = device.result()
    everything_arrived(cloud, result)
    assert result["connects"] >= 2
    # what came up while nobody listened came as history
    assert len(cloud.live) < SAMPLES


def test_a_line_that_goes_silent_is_noticed_and_made_up(stage: Stage) -> None:
    _, cloud, proxy, device = stage
    proxy.mute = True
    time.sleep(1.5)  # 18 s for the device: beyond every deadline
    proxy.mute = False
    result = device.result()
    everything_arrived(cloud, result)
    assert result["timeouts"] >= 1


def test_a_cloud_that_is_away_gets_everything_afterwards(stage: Stage) -> None:
    _, cloud, _, device = stage
    cloud.deaf = True
    time.sleep(1.5)
    cloud.deaf = False
    everything_arrived(cloud, device.result())


@pytest.mark.parametrize("name", sorted(INTERPRETERS))
def test_a_server_that_accepts_and_says_nothing_costs_no_time(name: str, tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    device = Device(INTERPRETERS[name], int(listener.getsockname()[1]), "hole")
    broker: Broker | None = None
    try:
        time.sleep(2)
        accepted = 0
        listener.setblocking(False)
        while True:
            try:
                end, _ = listener.accept()
            except BlockingIOError:
                break
            accepted += 1
            end.close()
        # 24 s of device time: tries of 5 s with back-off between them
        assert 2 <= accepted <= 4
        port = int(listener.getsockname()[1])
        listener.close()
        broker = Broker("mosquitto", tmp_path)
        broker.port = port
        (tmp_path / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
        broker.start()
        cloud = Cloud(port, "hole")
        try:
            result = device.result()
        finally:
            cloud.close()
        everything_arrived(cloud, result)
        assert result["timeouts"] >= 2
        assert result["slowest_poll_ms"] < 100
    finally:
        listener.close()
        device.kill()
        if broker is not None:
            broker.kill()
