"""Which address counts: the command line's, the environment's, or the file's."""

from __future__ import annotations

import pytest

from zmqpipeline.cli.endpoints import Endpoints, split
from zmqpipeline.cli.exits import CommandError, Exit


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("tcp://a:1", ("", "tcp://a:1")),
        ("T=tcp://a:1", ("T", "tcp://a:1")),
        ("a=b=tcp://a:1", ("a=b", "tcp://a:1")),
        ("ipc://a=b", ("", "ipc://a=b")),
        ("T=ipc://a=b", ("T", "ipc://a=b")),
        ("nonsense=x", ("", "nonsense=x")),
    ],
)
def test_what_stands_before_an_address(value: str, taken: tuple[str, str]) -> None:
    assert split(value) == taken


def test_the_command_line_goes_before_the_environment_and_what_is_named_before_what_is_not() -> None:
    environ = {"ZMQPIPELINE_ENDPOINT": "ipc://e", "ZMQPIPELINE_ENDPOINT_A_B": "ipc://ea"}
    assert Endpoints({}, {}).get("endpoint", "A-b") is None
    assert Endpoints({}, environ).get("endpoint", "other") == "ipc://e"
    assert Endpoints({}, environ).get("endpoint", "A-b") == "ipc://ea"
    assert Endpoints({"endpoint": ["ipc://o"]}, environ).get("endpoint", "A-b") == "ipc://o"
    assert Endpoints({"endpoint": ["ipc://o", "A-b=ipc://oa"]}, environ).get("endpoint", "A-b") == "ipc://oa"


def test_an_empty_variable_is_none() -> None:
    assert Endpoints({}, {"ZMQPIPELINE_ACK_ENDPOINT": ""}).get("ack_endpoint") is None


@pytest.mark.parametrize(
    ("options", "environ", "names"),
    [
        ({"ack_endpoint": ["x"]}, {}, "--ack-endpoint: 'x' is not"),
        ({}, {"ZMQPIPELINE_ACK_ENDPOINT": "x"}, "ZMQPIPELINE_ACK_ENDPOINT: 'x' is not"),
    ],
)
def test_what_is_no_address_is_named_by_where_it_stands(
    options: dict[str, list[str]], environ: dict[str, str], names: str
) -> None:
    with pytest.raises(CommandError, match="is not a valid endpoint address") as caught:
        Endpoints(options, environ).get("ack_endpoint")
    assert caught.value.code == Exit.USAGE
    assert caught.value.sentence.startswith(names)


def test_an_address_that_may_be_several_s_is_refused() -> None:
    given = Endpoints({"endpoint": ["ipc://o", "A=ipc://a"]}, {})
    assert given.get("endpoint", "A", alone=False) == "ipc://a"
    with pytest.raises(CommandError, match="does not say whose address ipc://o is"):
        given.get("endpoint", "B", alone=False)


def test_owners_that_do_not_exist_are_refused() -> None:
    given = Endpoints({"endpoint": ["A=ipc://a"]}, {})
    given.check_owners("endpoint", {"A"}.__contains__)
    with pytest.raises(CommandError, match=r"--endpoint A=\.\.\.: the file knows no such TYPE"):
        given.check_owners("endpoint", {"B"}.__contains__)


def test_the_processes_of_a_run_get_the_options_by_their_environment() -> None:
    environ = {
        "PATH": "x",
        "ZMQPIPELINE_ENDPOINT_A": "ipc://ea",
        "ZMQPIPELINE_ENDPOINT_B": "ipc://eb",
        "ZMQPIPELINE_ACK_ENDPOINT": "ipc://k",
    }
    named = Endpoints({"endpoint": ["a=ipc://oa"]}, environ)
    assert named.environment() == {**environ, "ZMQPIPELINE_ENDPOINT_A": "ipc://oa"}
    assert named.arguments() == ["--endpoint=a=ipc://oa"]
    unnamed = Endpoints({"endpoint": ["ipc://o"]}, environ).environment()
    assert unnamed == {"PATH": "x", "ZMQPIPELINE_ENDPOINT": "ipc://o", "ZMQPIPELINE_ACK_ENDPOINT": "ipc://k"}
    again = Endpoints({}, unnamed)
    assert again.get("endpoint", "A") == again.get("endpoint", "B") == "ipc://o"
