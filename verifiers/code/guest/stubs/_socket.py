"""Stands for the C module of sockets, so that what imports it can be imported: there is no network, and every use of one fails.

A pair of sockets of the same program is enough for the event loop of `asyncio`, which wants one to wake itself up.
"""

error = OSError
timeout = TimeoutError
herror = type("herror", (OSError,), {})
gaierror = type("gaierror", (OSError,), {})
has_ipv6 = False
AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6 = 0, 1, 2, 10
SOCK_STREAM, SOCK_DGRAM, SOCK_RAW = 1, 2, 3
SOL_SOCKET, SO_REUSEADDR, SO_KEEPALIVE, SO_BROADCAST, SO_ERROR, SOMAXCONN = 1, 2, 9, 6, 4, 4096
IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_IPV6, TCP_NODELAY = 0, 6, 17, 41, 1
AI_PASSIVE, AI_CANONNAME, AI_NUMERICHOST, EAI_NONAME, NI_NUMERICHOST, NI_NUMERICSERV = 1, 2, 4, -2, 1, 2
MSG_PEEK, MSG_OOB, SHUT_RD, SHUT_WR, SHUT_RDWR, INADDR_ANY = 2, 1, 0, 1, 2, 0
INADDR_LOOPBACK = 0x7F000001

_default_timeout = None
_next = 1000


def _no(*args, **kwargs):
    raise OSError(50, "Network is down")


class socket:
    __slots__ = ("family", "type", "proto", "timeout", "_number")

    def __init__(self, family=-1, type=-1, proto=-1, fileno=None):
        global _next
        if fileno is None:
            fileno, _next = _next, _next + 1
        for name, value in (("family", family), ("type", type), ("proto", proto)):
            getattr(socket, name).__set__(self, max(value, 0))
        socket.timeout.__set__(self, _default_timeout)
        self._number = fileno

    def fileno(self):
        return self._number

    def detach(self):
        number, self._number = self._number, -1
        return number

    def close(self):
        self._number = -1

    def settimeout(self, value):
        self.timeout = value

    def gettimeout(self):
        return self.timeout

    def setblocking(self, flag):
        self.timeout = None if flag else 0.0

    def getblocking(self):
        return self.timeout != 0.0

    def setsockopt(self, *args):
        pass

    def send(self, data, *args):
        return len(data)

    def recv(self, *args):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    accept = _accept = bind = connect = getpeername = getsockname = getsockopt = listen = recv_into = recvfrom = _no
    connect_ex = sendall = sendto = shutdown = _no


SocketType = socket


def socketpair(family=AF_UNIX, type=SOCK_STREAM, proto=0):
    return socket(family, type, proto), socket(family, type, proto)


def close(number):
    pass


def getdefaulttimeout():
    return _default_timeout


def setdefaulttimeout(value):
    global _default_timeout
    _default_timeout = value


def gethostname():
    return "localhost"


def htons(x):
    return (x & 255) << 8 | x >> 8 & 255


def htonl(x):
    return int.from_bytes(x.to_bytes(4, "little"), "big")


ntohs, ntohl = htons, htonl
getaddrinfo = gethostbyname = gethostbyname_ex = gethostbyaddr = getnameinfo = getservbyname = getservbyport = dup = _no
inet_aton = inet_ntoa = inet_pton = inet_ntop = getprotobyname = _no
