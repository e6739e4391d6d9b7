"""``python -m fuzz`` is ``fuzz.run``."""

import sys

from fuzz.run import main

sys.exit(main())
