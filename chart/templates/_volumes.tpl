{{/* A volume of one authority's certificate, whatever it is called where it comes from. */}}
{{- define "gateway.authority" -}}
{{- $items := list (dict "key" (.key | default "ca.crt") "path" "ca.crt") -}}
{{- if .configMap -}}
configMap: {name: {{ .configMap }}, items: {{ toJson $items }}, defaultMode: 0444}
{{- else -}}
secret: {secretName: {{ .secret }}, items: {{ toJson $items }}, defaultMode: 0440}
{{- end -}}
{{- end }}
