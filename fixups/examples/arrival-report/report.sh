#!/bin/sh
# Runs once in the guest, at its first boot on the new machine. Status 0 ends it for good.
set -eu
{
    echo "Arrived on $(cat /sys/class/dmi/id/sys_vendor 2>/dev/null || echo unknown), kernel $(uname -r)"
    echo "== addresses"
    ip -brief address 2>/dev/null || ip address
    echo "== file systems"
    df -h
} >"$REFIT_PARAM_FILE.part"
mv "$REFIT_PARAM_FILE.part" "$REFIT_PARAM_FILE"
