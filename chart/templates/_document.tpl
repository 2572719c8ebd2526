{{/*
gateway.yaml, from the values. Each of these gives YAML, for fromYaml or fromYamlArray: that is how
templates of Helm hand on anything but text.
*/}}

{{/* One mapping laid over another: mappings key by key, anything else as a whole, null takes away.
     (Sprig's mergeOverwrite passes over false, 0 and empty lists.) */}}
{{- define "gateway.overlay" -}}
{{- $result := deepCopy .under -}}
{{- range $key, $value := .over -}}
{{- $before := get $result $key -}}
{{- if and (kindIs "map" $before) (kindIs "map" $value) -}}
{{- $_ := set $result $key (include "gateway.overlay" (dict "under" $before "over" $value) | fromYaml) -}}
{{- else if kindIs "invalid" $value -}}
{{- $_ := unset $result $key -}}
{{- else -}}
{{- $_ := set $result $key $value -}}
{{- end -}}
{{- end -}}
{{- toYaml $result -}}
{{- end }}

{{- define "gateway.endpoint" -}}
{{- if .root.Values.ports.ipv6 -}}tcp6:{{ int .port }}{{- else -}}tcp:{{ int .port }}{{- end -}}
{{- end }}

{{/* The backends: as listed; a file that has only app.api_maps names them there. */}}
{{- define "gateway.backends" -}}
{{- $app := .Values.app | default dict -}}
{{- $flags := $app.openapi_docs | default dict -}}
{{- $given := .Values.backends | default .Values.gateway.backends | default list -}}
{{- if not $given -}}
{{- range $api, $url := $app.api_maps | default dict -}}
{{- $given = append $given (dict "name" (printf "%s-api" $api) "path" (printf "/%s" $api) "url" $url) -}}
{{- end -}}
{{- end -}}
{{- if not $given -}}
{{- fail "there is no backend to forward to: list them under `backends`, each with name, path and target; see the chart's README.md" -}}
{{- end -}}
{{- $backends := list -}}
{{- range $given -}}
{{- $backend := deepCopy . -}}
{{- $api := $backend.api | default (base $backend.path) -}}
{{- if and (not (hasKey $backend "openapi")) (hasKey $flags $api) -}}
{{- $_ := set $backend "openapi" (get $flags $api) -}}
{{- end -}}
{{- if not (hasKey $backend "slow_paths") -}}
{{- $_ := set $backend "slow_paths" $.Values.slowPaths -}}
{{- end -}}
{{- $backends = append $backends $backend -}}
{{- end -}}
{{- toYaml $backends -}}
{{- end }}

{{/* Who is asked who calls, in this order. */}}
{{- define "gateway.authenticators" -}}
{{- $app := .Values.app | default dict -}}
{{- $superusers := dict -}}
{{- if hasKey .Values "superusers" -}}
{{- $superusers = .Values.superusers -}}
{{- else if hasKey $app "superusers" -}}
{{- $superusers = $app.superusers -}}
{{- end -}}
{{- $prefixes := list -}}
{{- range include "gateway.backends" . | fromYamlArray -}}
{{- $prefixes = append $prefixes .path -}}
{{- end -}}
{{- $tokenPaths := list -}}
{{- range $path := .Values.deployTokenPaths -}}
{{- range $prefix := $prefixes -}}
{{- if contains (printf " %s/" $prefix) $path -}}
{{- $tokenPaths = append $tokenPaths $path -}}
{{- end -}}
{{- end -}}
{{- end -}}
- kind: kubernetes-certificate
  organizations: {tool: toolforge, admin: admins}
  admin_paths: {{ toJson .Values.adminPaths }}
- kind: superuser
  superusers: {{ toJson $superusers }}
{{- with $tokenPaths | uniq }}
- kind: deploy-token
  parameter: token
  paths: {{ toJson . }}
{{- end }}
{{- end }}

{{/* The Toolforge layout, and `gateway` laid over it. */}}
{{- define "gateway.document" -}}
{{- $home := include "gateway.home" . -}}
{{- $app := .Values.app | default dict -}}
{{- $tls := dict
      "certificate" (printf "%s/tls/server/tls.crt" $home)
      "private_key" (printf "%s/tls/server/tls.key" $home)
      "client_certificate" "optional"
      "client_cas" (list
        (dict "name" "kubernetes" "ca" (printf "%s/tls/kubernetes/ca.crt" $home) "identifies" (list "tool" "admin"))
        (dict "name" "backend" "ca" (include "gateway.backendCA" .) "identifies" (list "service"))) -}}
{{- $listener := dict
      "endpoint" (include "gateway.endpoint" (dict "root" . "port" .Values.ports.gateway))
      "tls" $tls -}}
{{- $listener = include "gateway.overlay" (dict "under" $listener "over" .Values.listener) | fromYaml -}}
{{- $document := dict
      "workers" 1
      "control" (dict "socket" "/run/toolforge-gateway/control.sock")
      "listen" (prepend .Values.listeners $listener)
      "operations" (dict "endpoint" (include "gateway.endpoint" (dict "root" . "port" .Values.ports.operations)))
      "upstream_tls" (dict
        "ca" (include "gateway.backendCA" .)
        "certificate" (printf "%s/tls/upstream/tls.crt" $home)
        "private_key" (printf "%s/tls/upstream/tls.key" $home))
      "cluster_domain" (include "gateway.clusterDomain" .)
      "backends" (include "gateway.backends" . | fromYamlArray)
      "authenticators" (include "gateway.authenticators" . | fromYamlArray)
      "timeouts" (dict "lame_duck" 25 "drain" 30)
      "limits" (dict "connections" 3000)
      "access_log" (dict "file" "-") -}}
{{- with ($app.openapi_docs | default dict).external_servers -}}
{{- $_ := set $document "openapi_docs" (dict "external_servers" .) -}}
{{- end -}}
{{- include "gateway.overlay" (dict "under" $document "over" .Values.gateway) -}}
{{- end }}

{{/* The text of the file, in the order of docs/configuration.md. */}}
{{- define "gateway.yaml" -}}
{{- $document := include "gateway.document" . | fromYaml -}}
{{- $order := list "workers" "control" "listen" "operations" "upstream_tls" "cluster_domain" "backends" "authenticators" "openapi_docs" "auth" "allowed_origins" "timeouts" "limits" "access_log" -}}
# Made by Helm from the values of the release {{ .Release.Name }}: change them, not this file.
{{- range concat $order (without (keys $document | sortAlpha) $order | uniq) | uniq }}
{{- if hasKey $document . }}

{{ toYaml (dict . (get $document .)) }}
{{- end }}
{{- end }}
{{- end }}

{{/* What the gateway calls this content of the file: the beginning of its SHA-256. */}}
{{- define "gateway.version" -}}
{{- printf "%s\n" (include "gateway.yaml" . | trimSuffix "\n") | sha256sum | trunc 12 -}}
{{- end }}

{{/* Seconds between SIGTERM and SIGKILL: the wait before it, both parts of the farewell, and some. */}}
{{- define "gateway.grace" -}}
{{- $timeouts := (include "gateway.document" . | fromYaml).timeouts | default dict -}}
{{- $drain := $timeouts.drain | default 30 -}}
{{- $lameDuck := $timeouts.lame_duck | default 0 -}}
{{- addf .Values.preStopSeconds $lameDuck $drain 10 | ceil | int -}}
{{- end }}
