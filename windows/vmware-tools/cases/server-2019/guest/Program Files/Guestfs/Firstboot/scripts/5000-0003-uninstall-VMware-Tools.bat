@echo off

echo uninstalling VMware Tools
rem ERROR_SUCCESS_REBOOT_REQUIRED (3010) is OK too
MsiExec.exe /x{5E4B6D1E-6D3C-4B52-8E1B-3B1F5D2A7C11} /quiet /norestart
if errorlevel 3010 exit /b 0
