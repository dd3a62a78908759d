"""`python -m kdlab` prints the doctor's report and exits non-zero where the lesson could not run.

The examination itself is in doctor.py.
"""

from kdlab.doctor import main

raise SystemExit(main())
