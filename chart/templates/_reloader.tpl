{{/* A shell that waits for another ConfigMap, or another file of `extraVolumes`: the kubelet renames
     a link over `..data`, and that is all that there is to see. The first reload is for a change
     that came before it watched. */}}
{{- define "gateway.reloader" -}}
{{- $socket := (include "gateway.document" . | fromYaml).control.socket -}}
{{- $links := list (printf "%s/config/..data" (include "gateway.home" .)) -}}
{{- range .Values.extraVolumeMounts -}}
{{- $links = append $links (printf "%s/..data" (trimSuffix "/" .mountPath) | squote) -}}
{{- end -}}
trap 'exit 0' TERM
seen=
while :; do
  now=$(readlink {{ join " " $links }})
  if [ "$now" != "$seen" ]; then
    toolforge-gateway reload --socket {{ $socket }}
    # 2: nobody there yet, so once more. 1: it is no good, and was told; another one may be.
    [ $? -eq 2 ] || seen=$now
  fi
  sleep 5 &
  wait $!
done
{{- end }}
