# The differential tests again before Valkey, whose replies and states are its own: by the routes that differ most.
import unittest

import test_differential
from harness import OnValkey


class ProtectWhole(OnValkey, test_differential.ProtectWhole):
    pass


class ObserveRandomSplits(OnValkey, test_differential.ObserveRandomSplits):
    pass


class OffChopped(OnValkey, test_differential.OffChopped):
    pass


class Mixes(OnValkey, test_differential.Mixes):
    pass


class Mixtures(OnValkey, test_differential.Mixtures):
    pass


def tearDownModule():
    test_differential.tearDownModule()


if __name__ == "__main__":
    unittest.main()
