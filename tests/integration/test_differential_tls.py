# The differential tests again with TLS on the way: one Spillway accepts it, another before it speaks it.
import unittest

import test_differential
from differential import Route
from tls import Certificates


class OverTls(test_differential.Comparison):
    chopped, split = False, "whole"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.route = Route(split=cls.split, chopped=cls.chopped, certificates=Certificates())


class Whole(OverTls, test_differential.Differential, unittest.TestCase):
    pass


class RandomSplitsChopped(OverTls, unittest.TestCase):
    chopped, split = True, "random"
    test_framing = test_differential.Differential.test_framing
    test_session = test_differential.Differential.test_session
    test_pubsub = test_differential.Differential.test_pubsub
    test_transactions = test_differential.Differential.test_transactions
    test_endings = test_differential.Differential.test_endings


def tearDownModule():
    test_differential.tearDownModule()


if __name__ == "__main__":
    unittest.main()
