"""A name server on loopback, for `resolv_conf`: it knows what a test tells it."""

import contextlib
import socket
import threading
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class NameServer:
    """Answers over UDP and, where that is told to be too small, over TCP; all names are of its zone, `test.`."""

    def __init__(self) -> None:
        self.serial = 1
        self.ttl_s = 300
        self.deaf = False  # says nothing
        self.failing = ""  # a record type about which it knows nothing but SERVFAIL
        self.truncates = False  # datagrams: the rest is to be had over TCP
        self.asked: list[tuple[str, str]] = []  # name and record type
        self._records: dict[str, list[tuple[str, str]]] = {}
        self._udp, self._tcp = _pair()
        self.port = int(self._udp.getsockname()[1])
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._serve_udp, self._serve_tcp)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Its threads wake up to find nothing more to read."""
        with contextlib.suppress(OSError):  # a datagram socket is not connected, and wakes up all the same
            self._udp.shutdown(socket.SHUT_RDWR)
        self._tcp.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._udp.close()
        self._tcp.close()

    def resolv_conf(self, path: Path, *lines: str) -> Path:
        """A file that names this server."""
        path.write_text("\n".join((f"nameserver 127.0.0.1:{self.port}", *lines, "")))
        path.chmod(0o644)
        return path

    def set(self, name: str, *records: str) -> None:
        """What there is of `name` from now on: addresses, or a name that it stands for."""
        self._records[name] = [(_kind(record), record) for record in records]

    def forget(self, name: str) -> None:
        """There is no such name any more."""
        del self._records[name]

    def count(self, name: str, kind: str) -> int:
        return self.asked.count((name, kind))

    def _serve_udp(self) -> None:
        while True:
            try:
                packet, sender = self._udp.recvfrom(4096)
            except OSError:
                return
            if not packet:
                return
            answer = self._answer(packet)
            if answer is not None:
                if self.truncates:
                    answer.answer.clear()
                    answer.flags |= dns.flags.TC
                with contextlib.suppress(OSError):  # it is being closed
                    self._udp.sendto(answer.to_wire(), sender)

    def _serve_tcp(self) -> None:
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            with connection:
                size = int.from_bytes(connection.recv(2, socket.MSG_WAITALL), "big")
                answer = self._answer(connection.recv(size, socket.MSG_WAITALL))
                if answer is not None:
                    wire = answer.to_wire()
                    connection.sendall(len(wire).to_bytes(2, "big") + wire)

    def _answer(self, packet: bytes) -> dns.message.Message | None:
        query = dns.message.from_wire(packet)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if self.deaf:
            return None
        answer = dns.message.make_response(query, recursion_available=True)
        if kind == self.failing:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif kind == "SOA" and name == "test":
            answer.answer.append(self._soa())
        else:
            self._fill(answer, name, kind)
        return answer

    def _fill(self, answer: dns.message.Message, name: str, kind: str) -> None:
        """Follow the name through its aliases."""
        while (known := self._records.get(name)) is not None:
            target = next((value for its_kind, value in known if its_kind == "CNAME"), None)
            if target is None:
                values = [value for its_kind, value in known if its_kind == kind]
                if values:
                    answer.answer.append(dns.rrset.from_text(f"{name}.", self.ttl_s, "IN", kind, *values))
                break
            answer.answer.append(dns.rrset.from_text(f"{name}.", self.ttl_s, "IN", "CNAME", f"{target}."))
            name = target
        else:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        if not answer.answer:
            answer.authority.append(self._soa())

    def _soa(self) -> dns.rrset.RRset:
        return dns.rrset.from_text("test.", 300, "IN", "SOA", f"ns.test. admin.test. {self.serial} 60 60 600 1")


def _kind(record: str) -> str:
    if ":" in record:
        return "AAAA"
    return "A" if record.replace(".", "").isdigit() else "CNAME"


def _pair() -> tuple[socket.socket, socket.socket]:
    """For datagrams and for connections, on one port that is free for both."""
    while True:
        tcp = socket.create_server(("127.0.0.1", 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            udp.close()
            tcp.close()
        else:
            return udp, tcp
