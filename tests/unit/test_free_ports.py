"""Ports that are chosen now and bound by another program seconds later."""

from __future__ import annotations

import socket

import pytest

from launch import free_ports as module
from launch.free_ports import free_ports
from stillwatch.errors import Unavailable


def test_they_differ_and_can_be_bound_on_all_interfaces() -> None:
    chosen = free_ports(20)
    assert len(set(chosen)) == 20
    for port in chosen:
        with socket.socket() as server:
            server.bind(("0.0.0.0", port))
            server.listen()


def test_nobody_is_given_one_of_them_by_chance() -> None:
    """CI failed on it once: a connection had been given the port of HAProxy's statistics before HAProxy bound it."""
    with socket.socket() as anyone:
        anyone.bind(("127.0.0.1", 0))
        given_by_the_kernel = anyone.getsockname()[1]
    lowest = _lowest_of_the_kernel()
    assert lowest <= given_by_the_kernel
    assert all(port < lowest for port in free_ports(100))


def test_a_port_taken_on_one_interface_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = _two_neighbours()
    monkeypatch.setattr(module, "_FIRST", first)
    monkeypatch.setattr(module, "_LAST", second)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first))
        taken.listen()
        assert free_ports(1) == [second]
        with pytest.raises(Unavailable, match="1 are free and 2 are needed"):
            free_ports(2)
    assert sorted(free_ports(2)) == [first, second]


def _two_neighbours() -> tuple[int, int]:
    while True:
        first, *others = sorted(free_ports(200))
        for second in others:
            if second == first + 1:
                return first, second
            first = second


def _lowest_of_the_kernel() -> int:
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as stated:
            return int(stated.read().split()[0])
    except OSError:
        return 49_152  # RFC 6335, section 6
