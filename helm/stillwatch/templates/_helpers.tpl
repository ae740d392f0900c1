{{/* Names. 40 characters leave room for what KubeRay and the chart append: RayService names end at 47. */}}
{{- define "stillwatch.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "stillwatch.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "stillwatch.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "stillwatch.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "stillwatch.labels" -}}
{{ include "stillwatch.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: stillwatch
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Of pods: nothing that changes with the chart's version, or every new chart would start a second Ray cluster. */}}
{{- define "stillwatch.podLabels" -}}
{{ include "stillwatch.selectorLabels" .root }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: stillwatch
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "stillwatch.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end }}

{{- define "stillwatch.natsUrls" -}}
{{- if .Values.nats.enabled -}}
{{- $namespace := default .Release.Namespace .Values.nats.namespace -}}
{{- list (printf "nats://%s.%s.svc:%d" .Values.nats.service $namespace (int .Values.nats.port)) | toJson -}}
{{- else -}}
{{- .Values.externalNats.urls | toJson -}}
{{- end -}}
{{- end }}

{{- define "stillwatch.serveReplicas" -}}
{{- ternary .Values.worker.replicas .Values.serve.replicas (kindIs "invalid" .Values.serve.replicas) | int -}}
{{- end }}

{{/* The configuration: what `settings` says, and over it what only the chart can know. */}}
{{- define "stillwatch.config" -}}
{{- $auth := .Values.natsAuth -}}
{{- $secret := not (empty $auth.existingSecret) -}}
{{- $nats := dict "urls" (include "stillwatch.natsUrls" . | fromJsonArray) -}}
{{- if and $secret $auth.credentialsKey (not $auth.urlsKey) -}}
{{- $_ := set $nats "credentials_file" "/etc/stillwatch-secrets/nats/nats.creds" -}}
{{- end -}}
{{- if and $secret $auth.caKey -}}
{{- $_ := set $nats "tls_ca_file" "/etc/stillwatch-secrets/nats/ca.crt" -}}
{{- end -}}
{{- if and $secret $auth.certKey -}}
{{- $_ := set $nats "tls_cert_file" "/etc/stillwatch-secrets/nats/client.crt" -}}
{{- $_ := set $nats "tls_key_file" "/etc/stillwatch-secrets/nats/client.key" -}}
{{- end -}}
{{- if and $secret $auth.apiCredentialsKey (not $auth.apiUrlsKey) -}}
{{- $_ := set $nats "api" (dict "credentials_file" "/etc/stillwatch-secrets/nats/nats-api.creds") -}}
{{- end -}}
{{- $serve := dict "host" "0.0.0.0" "port" 8000 "replicas" (include "stillwatch.serveReplicas" . | int) "haproxy" .Values.serve.haproxy -}}
{{- if .Values.apiKeys.existingSecret -}}
{{- $_ := set $serve "api_keys_file" "/etc/stillwatch-secrets/api/api-keys.yaml" -}}
{{- end -}}
{{- $telemetry := dict -}}
{{- with .Values.otel.endpoint -}}
{{- $_ := set $telemetry "otlp_endpoint" . -}}
{{- end -}}
{{- $snapshots := dict -}}
{{- if .Values.snapshotKey.existingSecret -}}
{{- $_ := set $snapshots "key_file" "/etc/stillwatch-secrets/snapshots/snapshot.key" -}}
{{- end -}}
{{- $owned := dict
  "deployment" (default (include "stillwatch.fullname" .) .Values.deployment)
  "partitions" (int .Values.partitions)
  "shards" (int .Values.shards)
  "data_dir" "/var/lib/stillwatch"
  "policy_file" "/etc/stillwatch/policy.yaml"
  "nats" $nats "serve" $serve "snapshots" $snapshots "telemetry" $telemetry -}}
{{- mergeOverwrite (deepCopy .Values.settings) $owned | toYaml -}}
{{- end }}

{{- define "stillwatch.policy" -}}
{{- mergeOverwrite (.Files.Get "files/policy.yaml" | fromYaml) (deepCopy .Values.policy) | toYaml -}}
{{- end }}

{{- define "stillwatch.configData" -}}
stillwatch.yaml: |
  {{- include "stillwatch.config" . | nindent 2 }}
policy.yaml: |
  {{- include "stillwatch.policy" . | nindent 2 }}
{{- end }}

{{/* Environment for whatever runs the image; `urlsKey` differs between the scorer and the bootstrap Job. */}}
{{- define "stillwatch.env" -}}
{{- $root := .root -}}
- name: STILLWATCH_CONFIG
  value: /etc/stillwatch/stillwatch.yaml
{{- if and $root.Values.natsAuth.existingSecret .urlsKey }}
- name: STILLWATCH_NATS__URLS
  valueFrom:
    secretKeyRef: {name: {{ $root.Values.natsAuth.existingSecret }}, key: {{ .urlsKey }}}
{{- end }}
{{- if and $root.Values.natsAuth.existingSecret .apiUrlsKey }}
- name: STILLWATCH_NATS__API__URLS
  valueFrom:
    secretKeyRef: {name: {{ $root.Values.natsAuth.existingSecret }}, key: {{ .apiUrlsKey }}}
{{- end }}
{{- with .inboxPrefix }}
- name: STILLWATCH_NATS__INBOX_PREFIX
  value: {{ . }}
{{- end }}
- name: HOME
  value: /tmp
{{- with $root.Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Where secrets and configuration are found; the same paths in every pod. */}}
{{- define "stillwatch.volumeMounts" -}}
- {name: config, mountPath: /etc/stillwatch, readOnly: true}
{{- if include "stillwatch.natsSecretItems" . }}
- {name: nats-auth, mountPath: /etc/stillwatch-secrets/nats, readOnly: true}
{{- end }}
- {name: data, mountPath: /var/lib/stillwatch}
- {name: tmp, mountPath: /tmp}
{{- end }}

{{/* Only the keys that this pod needs are mounted: the scorer never sees the bootstrap user's credentials. */}}
{{- define "stillwatch.natsSecretItems" -}}
{{- $auth := .root.Values.natsAuth -}}
{{- if $auth.existingSecret -}}
{{- if and .credentialsKey (not .urlsKey) }}
- {key: {{ .credentialsKey }}, path: nats.creds}
{{- end }}
{{- if and .apiCredentialsKey (not .apiUrlsKey) }}
- {key: {{ .apiCredentialsKey }}, path: nats-api.creds}
{{- end }}
{{- if $auth.caKey }}
- {key: {{ $auth.caKey }}, path: ca.crt}
{{- end }}
{{- if $auth.certKey }}
- {key: {{ $auth.certKey }}, path: client.crt}
- {key: {{ $auth.keyKey }}, path: client.key}
{{- end }}
{{- end -}}
{{- end }}

{{- define "stillwatch.volumes" -}}
- name: config
  configMap: {name: {{ .configMap }}}
{{- with include "stillwatch.natsSecretItems" . }}
- name: nats-auth
  secret:
    secretName: {{ $.root.Values.natsAuth.existingSecret }}
    defaultMode: 0440
    items:
      {{- . | nindent 6 }}
{{- end }}
- name: data
  emptyDir: {}
- name: tmp
  emptyDir: {sizeLimit: {{ .root.Values.ray.tmpSize }}}
{{- end }}

{{/* A port out of a URL, for the network policy. */}}
{{- define "stillwatch.port" -}}
{{- $port := regexFind ":[0-9]+" (regexReplaceAll "^[a-z]+://" .url "") | trimPrefix ":" -}}
{{- default .default $port -}}
{{- end }}

{{/* The pods of every Ray cluster of this release, as peers of a policy. */}}
{{- define "stillwatch.rayNodes" -}}
matchLabels:
  {{- include "stillwatch.selectorLabels" . | nindent 2 }}
matchExpressions:
  - {key: app.kubernetes.io/component, operator: In, values: [head, worker]}
{{- end }}

{{/* Egress that every pod of the chart needs: names, NATS. */}}
{{- define "stillwatch.egress" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
- ports:
    {{- $ports := list }}
    {{- range include "stillwatch.natsUrls" . | fromJsonArray }}
    {{- $ports = append $ports (include "stillwatch.port" (dict "url" . "default" "4222")) }}
    {{- end }}
    {{- range uniq $ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with .Values.networkPolicy.natsTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
