# The zoo of planted incidents and healthy look-alikes, on Valkey.
import unittest

import test_zoo
from harness import VALKEY, OnValkey, is_newer


class Incidents(OnValkey, test_zoo.Incidents):
    @unittest.skipIf(is_newer(VALKEY), "replies refer to the value there: they take no room")
    def test_client_output_buffers(self):
        super().test_client_output_buffers()


class Healthy(OnValkey, test_zoo.Healthy):
    pass


if __name__ == "__main__":
    unittest.main()
