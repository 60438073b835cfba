"""Has regipy replay transaction logs: HIVE FIRST-LOG SECOND-LOG OUT, the logs in the order of their entries.

regipy applies the log that it is given as the second before the first, whatever their sequence numbers are.
"""

import sys

from regipy.recovery import apply_transaction_logs

hive, first, second, out = sys.argv[1:]
apply_transaction_logs(hive, second, secondary_log_path=first, restored_hive_path=out)
