package otlp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
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
	"netatmo-agent/agent/redact"
)

// newGRPC returns the SDK's exporter over our own connection, which the
// environment does not influence.
func newGRPC(ctx context.Context, p config.Push, h *headers, o Options) (Exporter, error) {
	tls, err := newTLSFiles(p, o.Logger)
	if err != nil {
		return nil, err
	}
	current := &currentConn{TransportCredentials: insecure.NewCredentials()}
	if tls != nil {
		current.TransportCredentials = &tlsCredentials{credentials.NewTLS(tls.config()), tls}
	}
	i := &grpcInterceptor{headers: h, remarks: &remarks{log: o.Logger}, conn: current, onDate: o.OnDate}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(current),
		grpc.WithUnaryInterceptor(i.intercept),
		grpc.WithUserAgent(o.UserAgent),
		grpc.WithDisableServiceConfig(), // no DNS look-ups for one
		grpc.WithMaxHeaderListSize(maxHead),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		// A backend that is up again is found at the next push.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: time.Second, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: p.Timeout,
		}),
		// Pings only while a request waits. The timeout is TCP's, too, so that a
		// connection to a machine that vanished is closed.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 5 * time.Minute, Timeout: 20 * time.Second}),
	}
	// With the scheme, because a host can be called dns or unix, too.
	named := url.URL{Scheme: "dns", Path: "/" + p.URL.Host}
	target := cmp.Or(p.Target, named.String())
	through, err := proxyFor(p.URL, true)
	if err != nil {
		return nil, err
	}
	i.plain = tls == nil && through == nil
	switch {
	case o.Dial != nil:
		options = append(options, grpc.WithContextDialer(o.Dial))
	case through != nil:
		named.Scheme = "passthrough" // the proxy looks the name up
		target = named.String()
		options = append(options, grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return dialProxy(ctx, through, addr)
		}))
	default:
		options = append(options, grpc.WithNoProxy())
	}
	if p.Gzip {
		options = append(options, grpc.WithDefaultCallOptions(grpc.UseCompressor(gzip.Name)))
	}
	conn, err := grpc.NewClient(target, options...)
	if err != nil {
		return nil, fmt.Errorf("endpoint %s: %w", target, err)
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

// grpcExporter closes the connection, which the SDK leaves open because it did not
// open it.
type grpcExporter struct {
	Exporter
	conn *grpc.ClientConn
}

func (e *grpcExporter) Shutdown(ctx context.Context) error {
	return errors.Join(e.Exporter.Shutdown(ctx), e.conn.Close())
}

// tlsCredentials make each connection with the current certificates.
type tlsCredentials struct {
	credentials.TransportCredentials
	files *tlsFiles
}

func (c *tlsCredentials) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return credentials.NewTLS(c.files.config()).ClientHandshake(ctx, authority, raw)
}

// currentConn remembers the connection in use, so that a request that times out
// can close it: gRPC would keep using it, dead or not, until a ping fails, and
// servers allow one ping in five minutes.
type currentConn struct {
	credentials.TransportCredentials

	mu   sync.Mutex
	conn net.Conn
}

func (c *currentConn) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c.mu.Lock()
	c.conn = raw
	c.mu.Unlock()
	return c.TransportCredentials.ClientHandshake(ctx, authority, raw)
}

// addr returns the address of the server, nil before the first connection.
func (c *currentConn) addr() net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return nil
	}
	return c.conn.RemoteAddr()
}

func (c *currentConn) Clone() credentials.TransportCredentials { return c }

func (c *currentConn) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		_ = c.conn.Close()
	}
}

// grpcInterceptor adds the headers to a request and turns the server's answer into
// a *Failure.
type grpcInterceptor struct {
	headers *headers
	remarks *remarks
	conn    *currentConn
	plain   bool // not encrypted, and not through a proxy
	onDate  func(server, local time.Time)
}

func (i *grpcInterceptor) intercept(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	sent, secret := i.headers.current()
	pairs := make([]string, 0, 2*len(sent))
	for name, value := range sent {
		pairs = append(pairs, name, value.Reveal())
	}
	ctx = metadata.AppendToOutgoingContext(ctx, pairs...)
	var head metadata.MD
	options = append(options, grpc.Header(&head))
	err := invoke(ctx, method, request, reply, conn, options...)
	if lostConnection(err) {
		// The server had closed an idle connection. The same points with the
		// same times may arrive twice.
		err = invoke(ctx, method, request, reply, conn, options...)
	}
	for _, date := range head.Get("date") { // of a proxy
		if sent, err := http.ParseTime(date); err == nil {
			i.onDate(sent, time.Now())
		}
	}
	if err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			i.conn.drop()
		}
		if addr := i.conn.addr(); i.plain && addr != nil && unestablished(err) {
			s := status.Convert(err)
			if f := wrongPort(ctx, addr, s.Code().String()+": "+redact.Text(s.Message(), secret...), err); f != nil && f.Reason == TLS {
				return f
			}
		}
		return fromStatus(err, secret)
	}
	if answer, ok := reply.(*colmetricpb.ExportMetricsServiceResponse); ok {
		if f := i.remarks.partial(answer.GetPartialSuccess(), secret); f != nil {
			return f
		}
		answer.PartialSuccess = nil // the SDK would turn a remark into an error
	}
	return nil
}

// lostConnection reports whether an existing connection broke, according to
// gRPC's error text.
func lostConnection(err error) bool {
	return status.Code(err) == codes.Unavailable && strings.Contains(status.Convert(err).Message(), "error reading from server")
}

// unestablished reports whether a connection was made but gRPC was not agreed
// on, or the connection broke, according to gRPC's error text.
func unestablished(err error) bool {
	s := status.Convert(err)
	said := func(words string) bool { return strings.Contains(s.Message(), words) }
	return s.Code() == codes.Unavailable && !said("while dialing") &&
		(said("connection error: desc") || said("connection reset") || said("broken pipe"))
}

func fromStatus(err error, secret []string) *Failure {
	s := status.Convert(err)
	detail := s.Code().String()
	if message := redact.Text(s.Message(), secret...); message != "" {
		detail += ": " + message
	}
	after, asked := retryInfo(s)
	f := NewFailure(grpcReason(s, asked), detail, err)
	f.RetryAfter = after
	return f
}

func grpcReason(s *status.Status, askedToWait bool) Reason {
	switch s.Code() {
	case codes.Unauthenticated, codes.PermissionDenied:
		return Auth
	case codes.ResourceExhausted:
		if found, _ := diagnose(s.Message()); found == TooLarge {
			return TooLarge
		}
		return Throttled
	case codes.DeadlineExceeded:
		return Timeout
	case codes.Unimplemented:
		return NotOTLP
	case codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange, codes.AlreadyExists, codes.NotFound:
		return Refused
	case codes.Unavailable:
		if askedToWait {
			return Throttled
		}
		return Unreachable
	case codes.Internal, codes.Unknown, codes.Aborted, codes.DataLoss:
		return Unavailable
	}
	return Other
}

// retryInfo returns how long the server asks to wait, and whether it does, with a
// code for which the specification allows it.
func retryInfo(s *status.Status) (time.Duration, bool) {
	switch s.Code() {
	case codes.ResourceExhausted, codes.Unavailable, codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.DataLoss:
	default:
		return 0, false
	}
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			return min(max(info.GetRetryDelay().AsDuration(), 0), maxWait), true
		}
	}
	return 0, false
}
