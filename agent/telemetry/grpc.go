package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"netatmo-agent/agent/config"
)

// newGRPC returns the SDK's exporter over a connection of ours, so that the
// environment has no say in it.
func newGRPC(ctx context.Context, p config.Push, h *headers, o ExporterOptions) (Exporter, error) {
	tls, err := newTLSFiles(p, o.Logger)
	if err != nil {
		return nil, err
	}
	last := &lastConn{TransportCredentials: insecure.NewCredentials()}
	if tls != nil {
		last.TransportCredentials = &tlsCredentials{credentials.NewTLS(tls.config()), tls}
	}
	i := &grpcInterceptor{headers: h, judge: &judge{log: o.Logger}, conn: last}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(last),
		grpc.WithUnaryInterceptor(i.intercept),
		grpc.WithUserAgent(o.UserAgent),
		grpc.WithDisableServiceConfig(), // no DNS look-ups for one
		// A backend that comes back is found at the next push.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: time.Second, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: p.Timeout,
		}),
		// Pings only while a request waits; the timeout is also that of TCP,
		// so that a connection to a machine that vanished is given up.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 5 * time.Minute, Timeout: 20 * time.Second}),
	}
	if o.Dial != nil {
		options = append(options, grpc.WithContextDialer(o.Dial))
	}
	if p.Gzip {
		options = append(options, grpc.WithDefaultCallOptions(grpc.UseCompressor(gzip.Name)))
	}
	// With the scheme: hosts can be called dns or unix, too.
	target := url.URL{Scheme: "dns", Path: "/" + p.URL.Host}
	conn, err := grpc.NewClient(target.String(), options...)
	if err != nil {
		return nil, fmt.Errorf("endpoint %s: %w", p.URL.Host, err)
	}
	e, err := otlpmetricgrpc.New(ctx,
		otlpmetricgrpc.WithGRPCConn(conn),
		otlpmetricgrpc.WithHeaders(map[string]string{}),
		otlpmetricgrpc.WithTimeout(p.Timeout),
		otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{}),
	)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &grpcExporter{Exporter: e, conn: conn}, nil
}

// grpcExporter closes the connection that the SDK, which did not open it,
// leaves open.
type grpcExporter struct {
	Exporter
	conn *grpc.ClientConn
}

func (e *grpcExporter) Shutdown(ctx context.Context) error {
	return errors.Join(e.Exporter.Shutdown(ctx), e.conn.Close())
}

// tlsCredentials make each connection with the certificates of the moment.
type tlsCredentials struct {
	credentials.TransportCredentials
	files *tlsFiles
}

func (c *tlsCredentials) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return credentials.NewTLS(c.files.config()).ClientHandshake(ctx, authority, raw)
}

// lastConn remembers the connection in use, so that a request that times out
// can take it along: gRPC would go on using it, dead or not, until a ping tells,
// and servers allow one in five minutes.
type lastConn struct {
	credentials.TransportCredentials

	mu   sync.Mutex
	conn net.Conn
}

func (l *lastConn) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	l.mu.Lock()
	l.conn = raw
	l.mu.Unlock()
	return l.TransportCredentials.ClientHandshake(ctx, authority, raw)
}

func (l *lastConn) Clone() credentials.TransportCredentials { return l }

func (l *lastConn) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		_ = l.conn.Close()
	}
}

// grpcInterceptor adds the headers of the moment to a request and turns what
// the server answers into a *Failure.
type grpcInterceptor struct {
	headers *headers
	judge   *judge
	conn    *lastConn
}

func (i *grpcInterceptor) intercept(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	sent := i.headers.current()
	var pairs []string
	for name, value := range sent {
		pairs = append(pairs, name, value.Reveal())
	}
	ctx = metadata.AppendToOutgoingContext(ctx, pairs...)
	if err := invoke(ctx, method, request, reply, conn, options...); err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			i.conn.drop()
		}
		return fromStatus(err, sent)
	}
	if answer, ok := reply.(*colmetricpb.ExportMetricsServiceResponse); ok {
		if f := i.judge.partial(answer.GetPartialSuccess(), sent); f != nil {
			return f
		}
		answer.PartialSuccess = nil // the SDK would make an error of a remark
	}
	return nil
}

func fromStatus(err error, sent map[string]config.Secret) *Failure {
	s := status.Convert(err)
	detail := s.Code().String()
	if message := hide(s.Message(), sent); message != "" {
		detail += ": " + message
	}
	after, asked := retryInfo(s)
	f := newFailure(grpcReason(s, asked), detail, err)
	f.RetryAfter = after
	return f
}

func grpcReason(s *status.Status, askedToWait bool) Reason {
	switch s.Code() {
	case codes.Unauthenticated, codes.PermissionDenied:
		return reasonAuth
	case codes.ResourceExhausted:
		if strings.Contains(s.Message(), "larger than max") {
			return reasonTooLarge
		}
		return reasonThrottled
	case codes.DeadlineExceeded:
		return reasonTimeout
	case codes.Unimplemented:
		return reasonNotOTLP
	case codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange, codes.AlreadyExists, codes.NotFound:
		return reasonRefused
	case codes.Unavailable:
		if askedToWait {
			return reasonThrottled
		}
		return reasonUnreachable
	case codes.Internal, codes.Unknown, codes.Aborted, codes.DataLoss:
		return reasonUnavailable
	}
	return reasonOther
}

// retryInfo returns how long the server asks to wait, and whether it does.
func retryInfo(s *status.Status) (time.Duration, bool) {
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			return max(info.GetRetryDelay().AsDuration(), 0), true
		}
	}
	return 0, false
}
