# The image of netatmo-agent: one static binary and what it needs from outside.
#
#   docker build -t netatmo-agent .
#
# For another platform, or several: docker buildx build --platform
# linux/amd64,linux/arm64,linux/arm/v7,linux/arm/v6 . The compiler runs on the
# building machine in any case.
FROM --platform=$BUILDPLATFORM golang:1.26.11 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod \
    go mod download
COPY . .
ARG TARGETOS TARGETARCH TARGETVARIANT
# Without cgo the binary links nothing at run time. With timetzdata it contains
# the time zones.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH GOARM=${TARGETVARIANT#v} \
    go build -trimpath -tags timetzdata -ldflags "-s -w" -o /out/netatmo-agent ./agent
RUN mkdir -p -m 1777 /out/root/tmp && mkdir -p -m 0700 /out/lib/netatmo-agent && mkdir -p /out/root/usr/share/doc/netatmo-agent
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    cd deploy/release && go run . -licenses /out/netatmo-agent ../.. >/out/root/usr/share/doc/netatmo-agent/THIRD-PARTY.txt && \
    cp ../../LICENSE /out/root/usr/share/doc/netatmo-agent/

FROM scratch
LABEL org.opencontainers.image.title="netatmo-agent" \
      org.opencontainers.image.description="Netatmo readings as OpenTelemetry metrics" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65534:65534 /out/root/ /
COPY --from=build --chown=65534:65534 /out/lib/ /var/lib/
COPY --from=build /out/netatmo-agent /netatmo-agent
# Nothing else is set, so that every variable of the user wins. The pages are
# reached through a published port, so they listen on all addresses.
ENV NETATMO_EXPORTER_ADDR=0.0.0.0:9210 \
    XDG_STATE_HOME=/var/lib
USER 65534:65534
VOLUME /var/lib/netatmo-agent
EXPOSE 9210
HEALTHCHECK --interval=1m --timeout=10s --start-period=1m CMD ["/netatmo-agent", "check", "--live"]
ENTRYPOINT ["/netatmo-agent"]
