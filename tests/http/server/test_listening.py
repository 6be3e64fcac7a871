"""Where a server listens: addresses, paths and inherited sockets, and what is refused with a reason."""

from __future__ import annotations

import os
import socket
import stat
import threading

import pytest

from millpond.http.server import listening
from millpond.http.server.listening import CannotListen, open_address, open_inherited, open_path, remove_path


@pytest.fixture
def folder(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path


def test_an_address_that_is_taken_is_refused_with_the_reason():
    """One sentence with address and port."""
    first = open_address("127.0.0.1", 0)[0].socket
    port = first.getsockname()[1]
    with pytest.raises(CannotListen, match=rf"cannot listen at 127.0.0.1 port {port}: another program listens there"):
        open_address("127.0.0.1", port)
    first.close()


def test_all_addresses_of_a_name_share_a_free_port():
    """`localhost` is IPv4 and IPv6, where there is both, and one port."""
    listeners = open_address("localhost", 0)
    assert len({one.socket.getsockname()[1] for one in listeners}) == 1
    assert not any(one.is_public for one in listeners)
    for one in listeners:
        one.socket.close()


@pytest.mark.parametrize(("host", "public"), [("127.0.0.1", False), ("127.9.9.9", False), ("0.0.0.0", True)])
def test_only_the_loopback_is_not_public(host, public):
    """All of it."""
    (one,) = open_address(host, 0)
    assert one.is_public is public
    one.socket.close()


def test_no_socket_is_inherited_by_other_programs(folder):
    """Not even one that was handed over as inheritable."""
    handed = socket.socket()
    handed.bind(("127.0.0.1", 0))
    handed.set_inheritable(True)
    for one in (open_address("127.0.0.1", 0)[0], open_path(str(folder / "s"), 0o600), open_inherited(handed.detach())):
        assert not one.socket.get_inheritable()
        one.socket.close()


def test_a_path_is_its_owners_alone(tmp_path):
    """The socket has mode 0600, the folder that is made for it 0700, whatever the umask."""
    before = os.umask(0)
    try:
        one = open_path(str(tmp_path / "made" / "s"), 0o600)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "made" / "s").stat().st_mode) == 0o600
    one.socket.close()


@pytest.mark.parametrize(("folder_mode", "mode", "is_taken"), [
    (0o755, 0o600, False), (0o750, 0o600, False), (0o750, 0o660, True), (0o755, 0o660, False), (0o755, 0o666, True),
    (0o770, 0o660, False), (0o777, 0o666, False),
])  # fmt: skip
def test_a_folder_lets_in_nobody_who_may_not_connect(tmp_path, folder_mode, mode, is_taken):
    """And nobody else may put a socket there, or the server would serve at a path that another holds."""
    tmp_path.chmod(folder_mode)
    if is_taken:
        open_path(str(tmp_path / "s"), mode).socket.close()
    else:
        with pytest.raises(CannotListen, match="the folder"):
            open_path(str(tmp_path / "s"), mode)


def test_a_socket_at_which_nobody_listens_is_replaced(folder):
    """What a killed server left is no obstacle."""
    path = str(folder / "s")
    open_path(path, 0o600).socket.close()
    one = open_path(path, 0o600)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
    one.socket.close()


def test_a_socket_at_which_somebody_listens_stays(folder):
    """Even when its queue is full."""
    path = str(folder / "s")
    one = open_path(path, 0o600)
    with pytest.raises(CannotListen, match="another program listens there"):
        open_path(path, 0o600)
    one.socket.close()


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_stays(folder, kind):
    """Nothing is removed but a socket of this user's."""
    path = folder / "s"
    {"file": path.touch, "folder": path.mkdir, "link": lambda: path.symlink_to("/etc/passwd")}[kind]()
    with pytest.raises(CannotListen, match="no socket"):
        open_path(str(path), 0o600)
    assert os.path.lexists(path)


def test_of_two_who_start_at_once_one_listens(folder):
    """The other finds it there; neither removes the other's socket."""
    path = str(folder / "s")
    open_path(path, 0o600).socket.close()  # of one that was killed
    got: list[object] = []
    begin = threading.Barrier(8)

    def start() -> None:
        begin.wait()
        try:
            got.append(open_path(path, 0o600))
        except CannotListen as error:
            got.append(error)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ours = [one for one in got if isinstance(one, listening.Listener)]
    assert len(ours) == 1
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        ours[0].socket.accept()[0].close()
    ours[0].socket.close()


def test_a_path_goes_with_its_server_unless_it_is_anothers(folder):
    """A server that ends late does not remove the socket of the one that came after it."""
    path = folder / "s"
    first = open_path(str(path), 0o600)
    first.socket.close()
    second = open_path(str(path), 0o600)
    remove_path(first)
    assert path.exists()
    remove_path(second)
    assert not path.exists()
    second.socket.close()


def test_what_is_no_listening_socket_is_refused(folder):
    """A number that is not open, a file, and a socket of datagrams."""
    with pytest.raises(CannotListen, match="no open file 999"):
        open_inherited(999)
    with open(folder / "f", "w") as file, pytest.raises(CannotListen, match="no socket"):
        open_inherited(file.fileno())
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams, pytest.raises(CannotListen, match="no stream socket"):
        open_inherited(datagrams.fileno())


def test_what_systemd_hands_to_another_process_is_not_taken():
    """The variables are for the process they name, and go, so that no worker finds them."""
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x", "HOME": "/"}
    assert listening.take_activated(environment) == []
    assert environment == {"HOME": "/"}
