@echo off
rem Opens Timbre Studio; the first start installs it. `launch.bat test` runs the tests, `launch.bat COMMAND` a command.
rem Finds a Python 3.11 or newer and hands over to cli\bootstrap.py, which launch.sh shares.
setlocal DisableDelayedExpansion
chcp 65001 >nul 2>&1
set "CHECK=import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
set "PY="
if defined TIMBRE_LAUNCH_PYTHON call :try "%TIMBRE_LAUNCH_PYTHON%"
for %%V in (3.13 3.12 3.11 3.14) do if not defined PY call :try py -%%V
for %%P in (python python3) do if not defined PY call :try %%P
if not defined PY goto none

%PY% -X utf8 "%~dp0cli\bootstrap.py" %*
set "CODE=%errorlevel%"
rem A double click opens a window of its own: keep it open so that the reason can be read.
if not "%CODE%"=="0" if "%~1"=="" pause
exit /b %CODE%

:none
echo Timbre Studio needs Python 3.11 or newer, and none was found.
echo Install it from python.org (tick "Add python.exe to PATH") or with: winget install Python.Python.3.12
if "%~1"=="" pause
exit /b 1

:try
%* -c "%CHECK%" >nul 2>&1
if not errorlevel 1 set PY=%*
exit /b 0
