"""`python -m kdlab` prints the doctor's report and exits non-zero where the lesson could not run.

The examination itself is in doctor.py.
"""

import sys

from kdlab import doctor

sys.stdout.reconfigure(errors="replace")  # a console without ✓ still shows the words
sys.exit(doctor.report())
