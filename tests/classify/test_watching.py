"""What the watch counts and what it does not."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from classify.watching import Watch, reached


class Sender:
    """Stands for a socket in an audit event."""

    def __init__(self, family: int) -> None:
        self.family = family


@pytest.mark.parametrize(
    ("family", "address", "counted"),
    [
        (socket.AF_INET, ("192.0.2.7", 443), "192.0.2.7:443"),
        (socket.AF_INET6, ("2001:db8::1", 80, 0, 0), "2001:db8::1:80"),
        (socket.AF_INET, ("example.org", 80), "example.org:80"),
        (socket.AF_INET, ("127.0.0.1", 443), None),
        (socket.AF_INET, ("localhost", 443), None),
        (socket.AF_INET6, ("::1", 443, 0, 0), None),
        (socket.AF_UNIX, "/tmp/socket", None),
    ],
)
def test_only_what_leaves_the_machine_is_an_address(family, address, counted):
    assert reached("socket.connect", (Sender(family), address)) == counted
    assert reached("socket.sendto", (Sender(family), address)) == counted


def test_names_that_are_looked_up_are_addresses():
    assert reached("socket.getaddrinfo", ("example.org", 443, 0, 0, 0)) == "example.org (name looked up)"
    assert reached("socket.gethostbyname", ("example.org",)) == "example.org (name looked up)"
    assert reached("socket.getaddrinfo", (None, 443, 0, 0, 0)) is None
    assert reached("socket.getaddrinfo", (b"localhost", 443, 0, 0, 0)) is None
    assert reached("import", ("socket",)) is None


def test_real_sockets_are_seen_while_watched_and_only_then(tmp_path):
    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            with contextlib.suppress(OSError):
                # An address of the documentation block (RFC 5737); to connect a datagram socket sends nothing.
                sender.connect(("192.0.2.7", 9))

    with Watch(tmp_path) as watch:
        send()
        send()
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname()).close()
    send()
    assert watch.network == {"192.0.2.7:9": 2}


def test_weights_that_are_read_are_seen_whoever_reads_them(tmp_path):
    run, other = tmp_path / "run", tmp_path / "other"
    run.mkdir()
    other.mkdir()
    for folder in (run, other):
        save_file({"a": torch.ones(2)}, folder / "net.safetensors")
    with Watch(run) as watch:
        (other / "new.pt").write_bytes(b"written, not read")
        (other / "notes.txt").write_bytes(b"no weights")
        (other / "notes.txt").read_bytes()
        (other / "new.pt").read_bytes()
        os.close(os.open(other / "new.pt", os.O_RDONLY))
        load_file(other / "net.safetensors")  # in Rust, which no audit event tells of
        load_file(run / "net.safetensors")
    load_file(other / "net.safetensors")
    assert watch.weight_files == {str(other / "new.pt"): 2, str(other / "net.safetensors"): 1}


def test_safetensors_is_as_before_afterwards(tmp_path: Path):
    import safetensors

    before = safetensors.safe_open
    with Watch(tmp_path):
        assert safetensors.safe_open is not before
    assert safetensors.safe_open is before
