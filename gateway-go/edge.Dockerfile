# The edge's image. The build context is the root of the repository.
FROM golang:1.26-bookworm AS build
WORKDIR /src
ENV CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOWORK=off GOCACHE=/go/build-cache
COPY contract/go/go.mod contract/go/go.sum contract/go/
COPY gateway-go/go.mod gateway-go/go.sum gateway-go/
RUN --mount=type=cache,target=/go/pkg/mod cd gateway-go && go mod download
COPY contract/go contract/go
COPY gateway-go gateway-go
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/go/build-cache \
    cd gateway-go && go build -trimpath -ldflags "-s -w" -o /bimetal-edge ./cmd/edge

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /bimetal-edge /bimetal-edge
# Readiness by the program itself: the image has no shell. It asks the address in BIMETAL_ADMIN_LISTEN.
HEALTHCHECK --interval=1s --timeout=3s --start-period=30s --retries=3 CMD ["/bimetal-edge", "healthcheck"]
ENTRYPOINT ["/bimetal-edge"]
