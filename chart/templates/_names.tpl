{{/* The objects' name: the release's, as there is one gateway in a release. */}}
{{- define "gateway.name" -}}
{{- .Values.fullnameOverride | default .Release.Name | replace "." "-" | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "gateway.selector" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "gateway.labels" -}}
{{ include "gateway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: toolforge
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "gateway.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "gateway.replicas" -}}
{{- if hasKey .Values "replicas" -}}
{{ int .Values.replicas }}
{{- else -}}
{{ dig "replicas" 3 (.Values.nginx | default dict) | int }}
{{- end -}}
{{- end }}

{{- define "gateway.clusterDomain" -}}
{{ .Values.clusterDomain | default .Values.certificates.internalClusterDomain | default "cluster.local" }}
{{- end }}

{{- define "gateway.serverSecret" -}}
{{ .Values.certificates.server.secretName | default (printf "%s-server" (include "gateway.name" .)) }}
{{- end }}

{{- define "gateway.upstreamSecret" -}}
{{ .Values.certificates.upstream.secretName | default (printf "%s-upstream" (include "gateway.name" .)) }}
{{- end }}

{{/* Where things are in the container. */}}
{{- define "gateway.home" -}}/etc/toolforge-gateway{{- end }}
{{- define "gateway.file" -}}{{ include "gateway.home" . }}/config/gateway.yaml{{- end }}
{{- define "gateway.backendCA" -}}
{{- if .Values.clientCAs.backend -}}
{{ include "gateway.home" . }}/tls/backend/ca.crt
{{- else -}}
{{ include "gateway.home" . }}/tls/upstream/ca.crt
{{- end -}}
{{- end }}
