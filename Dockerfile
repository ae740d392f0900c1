# syntax=docker/dockerfile:1
# The image of the cluster: Ray head, Ray workers, the bootstrap Job and the command line are all this one.
# Built from what is locked and what is committed; nothing is compiled or downloaded when it runs.

FROM python:3.11-slim AS dependencies
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir uv==0.13.9
COPY pyproject.toml requirements.lock ./
# What the cluster needs, without the developers' tools, at the versions of the lock; a file whose hash is not in it is
# refused. Wheels only, but for nkeys (pure Python), which has none: what builds it is locked as well.
RUN uv venv /opt/stillwatch \
 && uv pip install --python /opt/stillwatch/bin/python --require-hashes --only-binary :all: --no-binary nkeys \
    --build-constraint requirements.lock -r pyproject.toml --extra cluster --constraint requirements.lock

FROM python:3.11-slim AS runtime
LABEL org.opencontainers.image.title="stillwatch" \
      org.opencontainers.image.description="Finds model distillation campaigns in the traffic of an inference API" \
      org.opencontainers.image.licenses="Apache-2.0"
# KubeRay starts Ray with /bin/bash and finds `ray` on the PATH. The id is a number, so that runAsNonRoot can be checked.
RUN useradd --uid 10001 --user-group --home-dir /tmp --no-create-home --shell /usr/sbin/nologin stillwatch \
 && install -d -o 10001 -g 10001 /var/lib/stillwatch
COPY --from=dependencies /opt/stillwatch /opt/stillwatch
WORKDIR /app
COPY stillwatch stillwatch
COPY actors actors
COPY serve serve
COPY streams streams
COPY launch launch
COPY configs configs
COPY console console
COPY LICENSE .
RUN /opt/stillwatch/bin/python -m compileall -q stillwatch actors serve streams launch
ENV PATH=/opt/stillwatch/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    RAY_USAGE_STATS_ENABLED=0
USER 10001:10001
# The API, and Ray's metrics.
EXPOSE 8000 8080
ENTRYPOINT ["python", "-m", "launch"]
