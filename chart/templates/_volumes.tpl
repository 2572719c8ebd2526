{{/* A volume of one authority's certificate, whatever it is called where it comes from; by
     default of the cluster itself, which is in every namespace. */}}
{{- define "gateway.authority" -}}
{{- $items := list (dict "key" (.key | default "ca.crt") "path" "ca.crt") -}}
{{- if or .configMap (not .secret) -}}
configMap: {name: {{ .configMap | default "kube-root-ca.crt" | quote }}, items: {{ toJson $items }}, defaultMode: 0444}
{{- else -}}
secret: {secretName: {{ .secret | quote }}, items: {{ toJson $items }}, defaultMode: 0440}
{{- end -}}
{{- end }}
