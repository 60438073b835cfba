#!/bin/sh
# Runs in the guest's root, on a throw-away copy: what it changes there is what refit proposes.
set -eu
name=$REFIT_PARAM_NAME
if [ ! -e /etc/passwd ]; then
    echo "the guest has no /etc/passwd"
    exit 100
fi
if ! grep -q "^$name:" /etc/passwd; then
    if command -v useradd >/dev/null; then
        useradd --system --create-home --home-dir "/var/lib/$name" --shell /bin/sh "$name"
    else
        adduser -S -D -h "/var/lib/$name" -s /bin/sh "$name"
    fi
fi
keys=/var/lib/$name/.ssh/authorized_keys
# Only what differs is touched: run again, the script changes nothing.
if [ "$(cat "$keys" 2>/dev/null)" != "$REFIT_PARAM_KEY" ]; then
    mkdir -p "${keys%/*}"
    echo "$REFIT_PARAM_KEY" >"$keys"
    chmod 700 "${keys%/*}"
    chmod 600 "$keys"
    chown -R "$name" "${keys%/*}"
fi
