#!/bin/sh
# Runs in the guest's root, on a throw-away copy: what it changes there is what refit proposes.
set -eu
account=$(grep "^$REFIT_PARAM_ACCOUNT:" /etc/passwd) || {
    echo "the guest has no account $REFIT_PARAM_ACCOUNT"
    exit 100
}
dir=$(echo "$account" | cut -d: -f6)/.ssh
owner=$(echo "$account" | cut -d: -f3,4)

# Look before you write: run again, the script must change nothing.
if ! grep -qxF "$REFIT_PARAM_KEY" "$dir/authorized_keys" 2>/dev/null; then
    umask 077
    mkdir -p "$dir"
    echo "$REFIT_PARAM_KEY" >>"$dir/authorized_keys"
    chown "$owner" "$dir" "$dir/authorized_keys"
fi
