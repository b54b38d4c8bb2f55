# The zoo of planted incidents and healthy look-alikes, on Valkey.
import unittest

import test_zoo
from harness import OnValkey


class Incidents(OnValkey, test_zoo.Incidents):
    pass


class Healthy(OnValkey, test_zoo.Healthy):
    pass


if __name__ == "__main__":
    unittest.main()
