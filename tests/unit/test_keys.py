"""A folder with keys: made as a whole, for its owner alone, and refused with the command that mends it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from zmqpipeline.errors import SecurityError, ZmqPipelineError
from zmqpipeline.keys import LOCAL, Keys
from zmqpipeline.wire import curve

if TYPE_CHECKING:
    from pathlib import Path

PIPELINE = ("authorized", "authorized/local.pub", "peer.key", "pipeline.key", "pipeline.pub")


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys.new(tmp_path / "keys")


def modes(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in sorted(folder.rglob("*"))
    }


def test_a_new_pipeline_has_its_keys_and_one_that_may_connect(keys: Keys) -> None:
    assert tuple(modes(keys.folder)) == PIPELINE
    assert {mode for name, mode in modes(keys.folder).items() if name != "authorized"} == {0o600}
    assert modes(keys.folder)["authorized"] == stat.S_IMODE(keys.folder.stat().st_mode) == 0o700
    assert keys.pipeline.public == keys.pipeline_public == keys.credentials.pipeline
    assert keys.authorized() == {LOCAL: keys.peer.public}
    assert curve.is_pair(keys.pipeline)
    assert curve.is_pair(keys.peer)
    assert len({*keys.pipeline, *keys.peer}) == 4
    assert keys.binds


def test_the_modes_are_those_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = Keys.new(tmp_path / "open")
        made.authorize("other", curve.make_pair().public)
    finally:
        os.umask(before)
    assert {mode & 0o077 for mode in modes(tmp_path).values()} == {0}


def test_another_host_has_the_public_key_of_the_pipeline_alone(keys: Keys, tmp_path: Path) -> None:
    other = Keys.new(tmp_path / "other", keys.pipeline_public)
    assert tuple(modes(other.folder)) == ("peer.key", "pipeline.pub")
    assert other.pipeline_public == keys.pipeline_public
    assert other.peer != keys.peer
    assert not other.binds
    with pytest.raises(SecurityError, match=r"other has no pipeline.key: whoever binds needs it"):
        _ = other.pipeline
    with pytest.raises(SecurityError, match="has no list of who may connect"):
        other.authorized()


def test_keys_are_never_overwritten(keys: Keys) -> None:
    before = {path: path.read_bytes() for path in keys.folder.rglob("*") if path.is_file()}
    with pytest.raises(SecurityError, match=r"keys is there already.* choose another folder"):
        Keys.new(keys.folder)
    assert {path: path.read_bytes() for path in keys.folder.rglob("*") if path.is_file()} == before
    assert list(keys.folder.parent.iterdir()) == [keys.folder]


def test_an_empty_folder_becomes_one_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir(0o755)
    assert Keys.new(folder).authorized()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_cannot_be_made_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.link", full)
    with pytest.raises(SecurityError, match=r"cannot make .*keys: No space left on device"):
        Keys.new(tmp_path / "keys")
    assert list(tmp_path.iterdir()) == []


def test_what_was_broken_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.link", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Keys.new(tmp_path / "keys")
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(SecurityError) as raised:
        Keys("~nobody-has-this-name/keys")
    assert str(raised.value) == (
        "~nobody-has-this-name/keys begins with a home that is not there: write the whole path"
    )


def test_a_public_key_can_stand_on_a_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [(b"-" * 40, b"s" * 40), (b"p" * 40, b"s" * 40)]
    monkeypatch.setattr("zmq.curve_keypair", lambda: made.pop(0))
    assert curve.make_pair().public == "p" * 40


def test_what_is_logged_by_mistake_tells_no_secret(keys: Keys) -> None:
    assert keys.peer.public in repr(keys.credentials)
    assert keys.peer.secret not in f"{keys.credentials!r} {keys.peer} {keys.pipeline!r}"


@pytest.mark.parametrize(
    ("name", "mode", "mends"),
    [
        ("", 0o750, "chmod 700"),
        ("authorized", 0o705, "chmod 700"),
        ("pipeline.key", 0o640, "chmod 600"),
        ("pipeline.pub", 0o644, "chmod 600"),
        ("peer.key", 0o604, "chmod 600"),
        ("authorized/local.pub", 0o620, "chmod 600"),
    ],
)
def test_what_others_can_get_at_is_refused_until_it_is_mended(
    keys: Keys, name: str, mode: int, mends: str
) -> None:
    path = keys.folder / name if name else keys.folder
    path.chmod(mode)

    def use() -> None:
        again = Keys(keys.folder)
        assert again.pipeline
        assert again.credentials
        assert again.authorized()

    with pytest.raises(SecurityError) as raised:
        use()
    assert isinstance(raised.value, ZmqPipelineError)
    assert isinstance(raised.value, PermissionError)
    assert str(raised.value) == (
        f"{path} has the mode {mode:04o}, so that others than its owner can get at keys: {mends} {path}"
    )
    path.chmod(int(mends[-3:], 8))
    use()


def test_what_belongs_to_somebody_else_is_refused(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = os.geteuid()
    monkeypatch.setattr("os.geteuid", lambda: mine + 1)
    with pytest.raises(SecurityError) as raised:
        _ = keys.peer
    assert str(raised.value) == (
        f"{keys.folder} belongs to the user {mine}, and this process runs as {mine + 1}: "
        f"chown {mine + 1} {keys.folder}"
    )


GOOD = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"

DAMAGED = {
    "empty": "",
    "cut": "public: abc\n",
    "no label": f"{GOOD}\n",
    "another label": f"secret: {GOOD}\n",
    "too much": f"public: {GOOD}\npublic: {GOOD}\n",
    "no Z85": "public: " + '"' * 40 + "\n",
    "above 2**32": "public: " + "#" * 40 + "\n",
    "no text": "\0\xff" * 30,
    "huge": "x" * 100_000,
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_is_one_sentence(keys: Keys, case: str) -> None:
    keys.folder.joinpath("pipeline.pub").write_text(DAMAGED[case], encoding="latin-1")
    with pytest.raises(SecurityError) as raised:
        _ = keys.credentials
    assert str(raised.value) == (
        f"{keys.folder / 'pipeline.pub'} is damaged, or is no file with keys: "
        "put back a copy, or make one with: zmqpipeline keys new FOLDER"
    )


def test_a_secret_key_that_belongs_to_another_public_one_is_damage(keys: Keys) -> None:
    keys.folder.joinpath("peer.key").write_text(f"public: {GOOD}\nsecret: {keys.peer.secret}\n")
    with pytest.raises(SecurityError, match="is damaged"):
        _ = keys.peer


def test_a_pipe_in_place_of_a_file_does_not_hold_us_up(keys: Keys) -> None:
    path = keys.folder / "peer.key"
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(SecurityError, match="is damaged"):
        _ = keys.peer


def test_a_folder_in_place_of_a_file_lets_nobody_in(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """And it leaves no descriptor open, however often the list is read."""
    keys.folder.joinpath("authorized", "folder.pub").mkdir(0o700)
    opened = []
    really = os.open

    def noting(*arguments: Any) -> int:
        opened.append(really(*arguments))
        return opened[-1]

    monkeypatch.setattr("os.open", noting)
    assert keys.allowed.name_of(keys.peer.public) == LOCAL
    assert opened
    for descriptor in opened:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
    with pytest.raises(SecurityError, match=r"folder.pub is damaged"):
        keys.authorized()


def test_what_is_missing_says_how_it_is_made(tmp_path: Path, keys: Keys) -> None:
    with pytest.raises(SecurityError) as raised:
        _ = Keys(tmp_path / "nowhere").credentials
    assert str(raised.value) == (
        f"there is no folder {tmp_path / 'nowhere'} with keys: make one with: zmqpipeline keys new FOLDER"
    )
    keys.folder.joinpath("peer.key").unlink()
    with pytest.raises(SecurityError) as raised:
        _ = keys.credentials
    assert str(raised.value) == (f"{keys.folder} has no peer.key: make one with: zmqpipeline keys new FOLDER")
    (tmp_path / "file").touch()
    with pytest.raises(SecurityError, match="file is no folder"):
        _ = Keys(tmp_path / "file").credentials


def test_who_is_authorized_can_be_revoked(keys: Keys) -> None:
    other = curve.make_pair().public
    keys.authorize("node-1", other)
    keys.authorize("node-1", other)
    assert keys.authorized() == {LOCAL: keys.peer.public, "node-1": other}
    keys.revoke("node-1")
    keys.revoke(LOCAL)
    assert keys.authorized() == {}
    with pytest.raises(SecurityError, match=r"node-1 is not authorized in .*, only nobody"):
        keys.revoke("node-1")


def test_a_name_and_a_key_are_on_the_list_once(keys: Keys) -> None:
    keys.authorize("one", GOOD)
    with pytest.raises(SecurityError, match="one is authorized already, with another key: revoke it first"):
        keys.authorize("one", curve.make_pair().public)
    with pytest.raises(SecurityError, match="this key is authorized already, as one"):
        keys.authorize("two", GOOD)
    assert keys.authorized()["one"] == GOOD
    assert sorted(path.name for path in (keys.folder / "authorized").iterdir()) == ["local.pub", "one.pub"]


@pytest.mark.parametrize("name", ["", ".", "..", "../peer", "a/b", ".hidden", "-w", "a b", "a\n", "x" * 101])
def test_a_name_is_no_path(keys: Keys, name: str) -> None:
    with pytest.raises(SecurityError, match="is no name for a key"):
        keys.authorize(name, GOOD)
    with pytest.raises(SecurityError, match="is no name for a key"):
        keys.revoke(name)


@pytest.mark.parametrize("key", ["", "short", GOOD + "x", '"' * 40, "#" * 40])
def test_what_is_no_key_is_refused(keys: Keys, tmp_path: Path, key: str) -> None:
    with pytest.raises(SecurityError, match="is no public key"):
        keys.authorize("name", key)
    with pytest.raises(SecurityError, match="is no public key"):
        Keys.new(tmp_path / "other", key)
    assert not (tmp_path / "other").exists()


# -- the list, as the ZAP handler asks it --------------------------------------


def test_a_change_of_the_list_counts_at_once(keys: Keys) -> None:
    allowed = keys.allowed
    assert allowed.name_of(keys.peer.public) == LOCAL
    assert allowed.name_of(GOOD) is None
    keys.authorize("late", GOOD)
    assert allowed.name_of(GOOD) == "late"
    keys.revoke("late")
    assert allowed.name_of(GOOD) is None
    assert allowed.name_of(keys.peer.public) == LOCAL


def test_a_file_that_is_rewritten_counts_at_once(keys: Keys) -> None:
    allowed = keys.allowed
    path = keys.folder / "authorized" / f"{LOCAL}.pub"
    assert allowed.name_of(keys.peer.public) == LOCAL
    folder_before = path.parent.stat().st_mtime_ns
    path.write_text(f"public: {GOOD}\n")
    # on a machine whose clock ticks slowly, what is written within one tick has one time
    os.utime(path, ns=(1, 1))
    assert path.parent.stat().st_mtime_ns == folder_before
    assert allowed.name_of(keys.peer.public) is None
    assert allowed.name_of(GOOD) == LOCAL


def test_a_damaged_or_open_file_lets_nobody_in_and_the_others_hold(keys: Keys) -> None:
    allowed = keys.allowed
    keys.authorize("open", GOOD)
    keys.folder.joinpath("authorized", "damaged.pub").write_text("public: x\n")
    assert allowed.name_of(GOOD) == "open"
    keys.folder.joinpath("authorized", "open.pub").chmod(0o666)
    assert allowed.name_of(GOOD) is None
    assert allowed.name_of(keys.peer.public) == LOCAL


def test_a_file_that_is_being_written_is_left_alone(keys: Keys) -> None:
    keys.folder.joinpath("authorized", ".half.pub").write_text(f"public: {GOOD}\n")
    assert keys.allowed.name_of(GOOD) is None
    assert keys.authorized() == {LOCAL: keys.peer.public}


@pytest.mark.parametrize("name", ["", "authorized"])
def test_nobody_gets_in_if_others_may_change_the_list(keys: Keys, name: str) -> None:
    allowed = keys.allowed
    assert allowed.name_of(keys.peer.public) == LOCAL
    keys.folder.joinpath(name).chmod(0o777)
    with pytest.raises(SecurityError, match="chmod 700"):
        allowed.name_of(keys.peer.public)


def test_the_list_is_found_from_any_working_directory(
    keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    allowed = Keys("keys").allowed
    monkeypatch.chdir("/")
    assert allowed.name_of(keys.peer.public) == LOCAL
