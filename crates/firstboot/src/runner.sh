state=/var/lib/refit/firstboot/$id
log=/var/log/refit-firstboot-$id.log

# Ends it for good: a mark says how, and nothing of it is started again.
finish() {
    date >"$state.$1"
    rm -f "$state.tries"
    for path in $installed; do
        rm -f "$path"
    done
}

main() {
    umask 077
    mkdir -p /var/lib/refit/firstboot
    exec >>"$log" 2>&1 </dev/null
    tried=$(cat "$state.tries" 2>/dev/null)
    tried=${tried:-0}
    while [ "$tried" -lt "$attempts" ]; do
        tried=$((tried + 1))
        # Before the attempt: one that ends in a crash or a reboot counts, too.
        echo "$tried" >"$state.tries"
        echo "== $(date): attempt $tried of $attempts"
        (umask 022; exec "$script")
        status=$?
        echo "== $(date): ended with status $status"
        if [ "$status" -eq 0 ]; then
            finish done
            exit 0
        fi
        [ "$tried" -lt "$attempts" ] && sleep 10
    done
    finish failed
    exit 1
}

# A function is read as a whole: the script may be removed while it runs.
main
