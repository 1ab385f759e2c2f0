# rtc-janitor in a container:
#
#     docker build -t rtc-janitor .
#     docker run -v ./config:/config:ro -v janitor-data:/data rtc-janitor
#
# Settings are read from /config/config.toml when it is there; without it, all of them can come from
# the environment. Secrets are never copied in: mount them and name them by the `_file` keys.
#
# It runs under any user id, needs no capability, and writes nowhere but in /data:
#
#     docker run --user 12345 --read-only --cap-drop ALL --security-opt no-new-privileges ... rtc-janitor
#
# Podman and Buildah keep HEALTHCHECK only with `--format docker`.

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

# What the program needs of Debian, and nothing else: the libraries it is linked to and the CA certificates it trusts.
# There is no shell and no package manager to keep up to date; beside the program the image has under 4 MB.
FROM debian:bookworm-slim AS system
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libgcc-s1 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=builder /build/target/release/rtc-janitor /image/usr/local/bin/rtc-janitor
RUN cd /image \
    && ldd usr/local/bin/rtc-janitor | grep -o '/[^ ]*' | xargs cp --parents --dereference --target-directory=. \
    && cp --parents --dereference /etc/ssl/certs/ca-certificates.crt /etc/os-release . \
    && echo 'hosts: files dns' >etc/nsswitch.conf \
    # A fixed id, so that the files of a volume keep their owner over updates.
    && echo 'janitor:x:10991:10991::/data:/sbin/nologin' >etc/passwd \
    && echo 'janitor:x:10991:' >etc/group \
    # What scanners for vulnerabilities look at.
    && mkdir --parents var/lib/dpkg/status.d \
    && for package in libc6 libgcc-s1 ca-certificates; do \
        dpkg --status "$package" >"var/lib/dpkg/status.d/$package" || exit 1; \
    done \
    && mkdir config data \
    # A new volume takes this over, so that any user id can write there. What the program writes is readable by itself
    # alone.
    && chmod 0777 data

FROM scratch
COPY --from=system /image /
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.title="rtc-janitor" \
    org.opencontainers.image.description="Clears stuck Matrix call memberships" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.base.name="scratch"

# The default file is config.toml of the working directory. RTC_JANITOR_CONFIG is not set on purpose:
# a file that is named must be there, and then a container could not be set up by its environment alone.
WORKDIR /config
# The first wins over store.path of a file: what has to last belongs to the volume. The second is where SQLite puts
# what does not fit into memory: nowhere else can be written.
ENV PATH=/usr/local/bin RTC_JANITOR__STORE__PATH=/data SQLITE_TMPDIR=/data
VOLUME /data
USER 10991:10991
# Finishes the write in flight and ends within 5 s.
STOPSIGNAL SIGTERM
# Says nothing of the homeserver: a container is not to be restarted because that is away.
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s CMD ["rtc-janitor", "healthcheck"]
ENTRYPOINT ["rtc-janitor"]
CMD ["run"]
