#!/bin/bash
# Asks for everything once.
vmtoolsd --cmd "info-get guestinfo.ovfEnv" >/tmp/ovf_env.xml
HOSTNAME=$(grep 'guestinfo.hostname' /tmp/ovf_env.xml | awk -F'oe:value="' '{print $2}' | awk -F'"' '{print $1}')
hostnamectl set-hostname "$HOSTNAME"
vmtoolsd --cmd 'info-set guestinfo.ovfEnv NULL'
