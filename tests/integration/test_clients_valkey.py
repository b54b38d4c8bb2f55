# The client programs again before Valkey, each compared with a direct connection to it.
import unittest

import test_clients
from harness import OnValkey


class Programs(OnValkey, test_clients.Programs):
    pass


class RedisCli(OnValkey, test_clients.RedisCli):
    pass


class RedisBenchmark(OnValkey, test_clients.RedisBenchmark):
    pass


if __name__ == "__main__":
    unittest.main()
