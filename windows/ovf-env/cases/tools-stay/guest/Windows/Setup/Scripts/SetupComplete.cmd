@echo off
rem the name comes from the deployment
for /f "delims=" %%i in ('"%ProgramFiles%\VMware\VMware Tools\vmtoolsd.exe" --cmd "info-get guestinfo.hostname"') do set NAME=%%i
