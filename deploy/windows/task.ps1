# Runs netatmo-agent whenever this user is logged on, as a scheduled task:
#
#   Set-ExecutionPolicy -Scope Process Bypass
#   .\task.ps1
#
# The settings come from the user's environment: set NETATMO_CLIENT_ID,
# NETATMO_CLIENT_SECRET_FILE and OTEL_EXPORTER_OTLP_ENDPOINT there first, for
# example by setx. Stop-ScheduledTask netatmo-agent stops it,
# Unregister-ScheduledTask netatmo-agent removes it.
$ErrorActionPreference = 'Stop'
$program = Join-Path $PSScriptRoot 'netatmo-agent.exe'
$action = New-ScheduledTaskAction -Execute $program -Argument 'run' -WorkingDirectory $PSScriptRoot
$trigger = New-ScheduledTaskTrigger -AtLogOn -User "$env:USERDOMAIN\$env:USERNAME"
$settings = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries -StartWhenAvailable `
  -ExecutionTimeLimit ([TimeSpan]::Zero) -RestartCount 999 -RestartInterval (New-TimeSpan -Minutes 1) -MultipleInstances IgnoreNew
Register-ScheduledTask -TaskName 'netatmo-agent' -Action $action -Trigger $trigger -Settings $settings | Out-Null
Start-ScheduledTask -TaskName 'netatmo-agent'
Get-ScheduledTask -TaskName 'netatmo-agent'
