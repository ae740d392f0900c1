{{/*
The pod template of a Ray node. `group` is head or worker. KubeRay puts `ray start` in front as the command, adds an
init container that waits for the head with the same environment and mounts, and sets the RAY_* addresses.
*/}}
{{- define "stillwatch.rayPod" -}}
{{- $root := .root -}}
{{- $group := index $root.Values .group -}}
{{- $auth := $root.Values.natsAuth -}}
{{- $nats := dict "root" $root "credentialsKey" $auth.credentialsKey "urlsKey" $auth.urlsKey "apiCredentialsKey" $auth.apiCredentialsKey "apiUrlsKey" $auth.apiUrlsKey "configMap" (include "stillwatch.fullname" $root) -}}
metadata:
  labels:
    {{- include "stillwatch.podLabels" (dict "root" $root "component" .group) | nindent 4 }}
  annotations:
    # A new configuration is a new cluster: files that change under running actors would be seen by some of them only.
    checksum/config: {{ include "stillwatch.configData" $root | sha256sum }}
    {{- with $group.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "stillwatch.serviceAccountName" $root }}
  automountServiceAccountToken: false
  # Kubernetes would add STILLWATCH_..._SERVICE_HOST and its kin, and our settings read STILLWATCH_*.
  enableServiceLinks: false
  # Drain, then three steps of Ray's stop, then five seconds for the kubelet.
  terminationGracePeriodSeconds: {{ add $root.Values.shutdown.endpointDrainSeconds (mul 3 $root.Values.shutdown.stepSeconds) 5 }}
  securityContext:
    {{- toYaml $root.Values.podSecurityContext | nindent 4 }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $group.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $group.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $group.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $group.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $group.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- $labels := merge (dict "app.kubernetes.io/component" "worker") (include "stillwatch.selectorLabels" $root | fromYaml) }}
    {{- range . }}
    - {{ merge (deepCopy .) (dict "labelSelector" (dict "matchLabels" $labels)) | toYaml | nindent 6 | trim }}
    {{- end }}
  {{- end }}
  containers:
    - name: ray-{{ .group }}
      image: {{ include "stillwatch.image" $root | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      securityContext:
        {{- toYaml $root.Values.containerSecurityContext | nindent 8 }}
      ports:
        {{- if eq .group "head" }}
        - {name: gcs-server, containerPort: 6379}
        - {name: dashboard, containerPort: 8265}
        {{- end }}
        - {name: metrics, containerPort: 8080}
        # On the head too: KubeRay takes the port of the serve Service from there.
        - {name: serve, containerPort: 8000}
      env:
        {{- include "stillwatch.env" $nats | nindent 8 }}
        - name: RAY_USAGE_STATS_ENABLED
          value: "0"
        - name: RAY_SERVE_ENABLE_HA_PROXY
          value: {{ ternary "1" "0" $root.Values.serve.haproxy | quote }}
        # As serve/proxy.py sets them where it starts Ray itself.
        - name: RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S
          value: "40"
        {{- if $root.Values.serve.haproxy }}
        - name: RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S
          value: "3"
        {{- end }}
        {{- if $root.Values.ray.auth.enabled }}
        # KubeRay adds the token. Set here as well, so that an operator too old to know better cannot start it open.
        - name: RAY_AUTH_MODE
          value: token
        {{- end }}
        {{- with $root.Values.otel.endpoint }}
        - name: POD_NAME
          valueFrom:
            fieldRef: {fieldPath: metadata.name}
        - name: OTEL_SERVICE_NAME
          value: stillwatch
        - name: OTEL_EXPORTER_OTLP_ENDPOINT
          value: {{ . | quote }}
        - name: OTEL_RESOURCE_ATTRIBUTES
          value: {{ include "stillwatch.resourceAttributes" $root | quote }}
        {{- end }}
      volumeMounts:
        {{- include "stillwatch.volumeMounts" $nats | nindent 8 }}
        {{- if $root.Values.apiKeys.existingSecret }}
        - {name: api-keys, mountPath: /etc/stillwatch-secrets/api, readOnly: true}
        {{- end }}
        {{- if $root.Values.snapshotKey.existingSecret }}
        - {name: snapshot-key, mountPath: /etc/stillwatch-secrets/snapshots, readOnly: true}
        {{- end }}
        - {name: shared-mem, mountPath: /dev/shm}
      resources:
        {{- toYaml $group.resources | nindent 8 }}
      # Asked over HTTP by the kubelet: public paths under token authentication, and no shell or wget in the image.
      # Liveness waits ten minutes: a node daemon that lost the head retries by itself, and a restart costs a replay.
      livenessProbe:
        httpGet: {path: /api/local_raylet_healthz, port: 52365}
        initialDelaySeconds: 30
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 60
      readinessProbe:
        {{- if eq .group "head" }}
        httpGet: {path: /api/gcs_healthz, port: dashboard}
        {{- else }}
        # The proxy's own answer: ready as soon as it knows a replica, so that the Service sends nothing into the void.
        httpGet: {path: /-/healthz, port: serve}
        {{- end }}
        initialDelaySeconds: 10
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 2
      lifecycle:
        preStop:
          exec:
            # First out of the Service, then Ray's own stop, with a time limit, whatever process 1 does with signals.
            # `ray stop` shares its time among its three steps.
            command:
              - /bin/sh
              - -c
              - sleep {{ $root.Values.shutdown.endpointDrainSeconds }}; ray stop --grace-period {{ mul 3 $root.Values.shutdown.stepSeconds }}
  volumes:
    {{- include "stillwatch.volumes" $nats | nindent 4 }}
    {{- with $root.Values.apiKeys.existingSecret }}
    - name: api-keys
      secret:
        secretName: {{ . }}
        defaultMode: 0440
        items:
          - {key: {{ $root.Values.apiKeys.key }}, path: api-keys.yaml}
    {{- end }}
    {{- with $root.Values.snapshotKey.existingSecret }}
    - name: snapshot-key
      secret:
        secretName: {{ . }}
        defaultMode: 0440
        items:
          - {key: {{ $root.Values.snapshotKey.key }}, path: snapshot.key}
    {{- end }}
    - name: shared-mem
      emptyDir: {medium: Memory, sizeLimit: {{ $root.Values.ray.sharedMemory }}}
{{- end }}

{{- define "stillwatch.resourceAttributes" -}}
{{- $attributes := merge (deepCopy .Values.otel.resourceAttributes) (dict "service.version" .Chart.AppVersion "k8s.namespace.name" .Release.Namespace "k8s.pod.name" "$(POD_NAME)") -}}
{{- $pairs := list -}}
{{- range $key, $value := $attributes -}}
{{- $pairs = append $pairs (printf "%s=%s" $key $value) -}}
{{- end -}}
{{- join "," $pairs -}}
{{- end }}
