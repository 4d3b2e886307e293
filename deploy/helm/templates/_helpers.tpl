{{/* The name of an account's objects: the release's, then the account's. */}}
{{- define "netatmo-agent.name" -}}
{{- printf "%s-%s" (.root.Release.Name | trunc 30 | trimSuffix "-") .account -}}
{{- end -}}

{{- define "netatmo-agent.selector" -}}
app.kubernetes.io/name: netatmo-agent
app.kubernetes.io/instance: {{ .root.Release.Name }}
netatmo-agent/account: {{ .account }}
{{- end -}}

{{- define "netatmo-agent.labels" -}}
{{ include "netatmo-agent.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}
