# rtc-janitor in a container:
#
#     docker build -t rtc-janitor .
#     docker run -v ./config:/config:ro -v janitor-data:/data rtc-janitor
#
# Settings are read from /config/config.toml when it is there; without it, all of them can come from
# the environment. Secrets are never copied in: mount them and name them by the `_file` keys.

# The image brings the C compiler that the built-in SQLite and TLS need.
FROM rust:1.95-slim-bookworm AS base
WORKDIR /build

# The manifests with hollow sources: the same from one commit to the next until a dependency or the
# list of files changes, so that the layer with the dependencies below can be taken from the cache.
FROM base AS manifests
COPY . .
RUN echo 'fn main() {}' > /hollow.rs \
    && find . -type f ! -name '*.rs' ! -name Cargo.toml ! -name Cargo.lock -delete \
    && find . -name '*.rs' -exec cp /hollow.rs {} \;

FROM base AS builder
COPY --from=manifests /build .
RUN cargo build --release --locked --package rtc-janitor --bin rtc-janitor
COPY . .
# Cargo goes by modification times, and what was copied may be older than what was just built.
RUN find . -path ./target -prune -o -name '*.rs' -exec touch {} + \
    && cargo build --release --locked --package rtc-janitor --bin rtc-janitor


FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
# A fixed id, so that the files of a volume keep their owner over updates.
RUN groupadd --system --gid 10991 janitor \
    && useradd --system --uid 10991 --gid janitor --home-dir /data --no-create-home --shell /usr/sbin/nologin janitor \
    && install --directory --owner=janitor --group=janitor --mode=0700 /data \
    && install --directory /config
COPY --from=builder /build/target/release/rtc-janitor /usr/local/bin/rtc-janitor

# The default file is config.toml of the working directory. RTC_JANITOR_CONFIG is not set on purpose:
# a file that is named must be there, and then a container could not be set up by its environment alone.
WORKDIR /config
# Wins over store.path of a file: what has to last belongs to the volume.
ENV RTC_JANITOR__STORE__PATH=/data
VOLUME /data
USER 10991:10991
# Finishes the write in flight and ends within 5 s.
STOPSIGNAL SIGTERM
# Says nothing of the homeserver: a container is not to be restarted because that is away. Docker knows 0 and 1 alone.
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s \
    CMD ["/bin/sh", "-c", "rtc-janitor healthcheck || exit 1"]
ENTRYPOINT ["/usr/local/bin/rtc-janitor"]
CMD ["run"]
