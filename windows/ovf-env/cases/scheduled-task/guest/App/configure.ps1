# RPCTOOL.exe "info-get guestinfo.old"
$rpc = 'C:\Program Files\VMware\VMware Tools\rpctool.exe'
[xml]$environment = & $rpc 'info-get guestinfo.ovfEnv'
