# One image for every process of the suite. Two targets: `core` (embedded edition, SQLite) and
# `suite` (the same with the clients of Kafka, PostgreSQL and S3, and the programs that back PostgreSQL
# up). Runs as an ordinary user and needs no writable place but /data and /tmp.

FROM python:3.11-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PATH=/opt/smallprint/bin:$PATH

FROM base AS build
RUN python -m venv /opt/smallprint
COPY requirements /src/requirements
RUN pip install --no-cache-dir --require-hashes \
    -r /src/requirements/build.txt -r /src/requirements/run.txt
COPY pyproject.toml setup.py README.md LICENSE NOTICE /src/
COPY services /src/services
COPY shared /src/shared
COPY models /src/models
RUN pip install --no-cache-dir --no-deps --no-build-isolation /src

FROM build AS build-suite
RUN pip install --no-cache-dir --require-hashes \
    -r /src/requirements/kafka.txt -r /src/requirements/s3.txt

# pg_dump reads servers up to its own version: it comes from the image of the server in
# docker-compose.yml, with the libpq that it needs.
FROM postgres:17.6-bookworm AS postgres
RUN set -eux; cd /usr/lib/postgresql/17/bin; \
    install -D -t /client/bin pg_dump pg_restore psql; \
    install -D -m 644 -t /client/lib "$(ldd pg_dump | awk '$1 == "libpq.so.5" {print $3}')"

FROM base AS runtime
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin smallprint \
    && install -d -o smallprint -g smallprint /data
WORKDIR /app
ENV SMALLPRINT_DATA=/data SMALLPRINT_HOST=0.0.0.0 HOME=/tmp
USER 10001:10001
VOLUME /data
EXPOSE 8400
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s --retries=6 \
    CMD ["python", "-m", "services.proxy.healthcheck", "8400"]

FROM runtime AS core
COPY --from=build /opt/smallprint /opt/smallprint
CMD ["smallprint", "serve", "--port", "8400", "--data", "/data"]

FROM runtime AS suite
USER root
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends \
        libgssapi-krb5-2 libldap-2.5-0 liblz4-1 libreadline8 libssl3 libzstd1 zlib1g \
    && rm -rf /var/lib/apt/lists/*
COPY --from=postgres /client/ /usr/local/
RUN ldconfig && pg_dump --version && pg_restore --version && psql --version \
    && install -d -o smallprint -g smallprint /backups
USER 10001:10001
COPY --from=build-suite /opt/smallprint /opt/smallprint
CMD ["python", "-m", "services.proxy"]
