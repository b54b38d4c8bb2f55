# A backend that is slow to accept: its clients wait a little, and are not turned away.
import socket
import threading
import time
import unittest

from harness import Spillway, free_port
from wire import Wire


class SlowToAccept(unittest.TestCase):
    """A listening socket whose queue is full, as that of a server in a storm of connections."""

    def setUp(self):
        self.listener = socket.socket()
        self.addCleanup(self.listener.close)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", free_port()))
        self.listener.listen(0)
        self.fillers = []
        for _ in range(4):  # the kernel takes one or two more than it was told
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(self.listener.getsockname())
            self.fillers.append(filler)
            self.addCleanup(filler.close)

    def serve(self):
        """From now on the listener answers each line with PONG."""
        def answer(peer):
            with peer:
                while peer.recv(1000):
                    peer.sendall(b"+PONG\r\n")

        def accept():
            while True:
                try:
                    peer, _ = self.listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(peer,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()

    def test_a_dropped_request_is_made_again_in_time(self):
        url = "redis://127.0.0.1:%d" % self.listener.getsockname()[1]
        with Spillway(url, ready=False, backend={"connect_timeout": "2s"}) as spillway:
            deadline = time.monotonic() + 10
            while True:
                try:
                    wire = Wire(spillway.endpoint)
                    break
                except ConnectionRefusedError:
                    self.assertLess(time.monotonic(), deadline)
            with wire.socket:
                began = time.monotonic()
                wire.send(b"PING\r\n")
                threading.Timer(0.2, self.serve).start()
                self.assertEqual(wire.reply(), "PONG")
                # The kernel alone would ask again after a full second.
                self.assertLess(time.monotonic() - began, 0.95)


if __name__ == "__main__":
    unittest.main()
