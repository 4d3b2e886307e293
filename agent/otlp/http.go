package otlp

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/redact"
)

// newHTTP returns the SDK's exporter over our own transport. It sets all
// options, so that the environment does not.
func newHTTP(ctx context.Context, p config.Push, h *headers, o Options) (Exporter, error) {
	tls, err := newTLSFiles(p, o.Logger)
	if err != nil {
		return nil, err
	}
	compression := otlpmetrichttp.NoCompression
	if p.Gzip {
		compression = otlpmetrichttp.GzipCompression
	}
	transport := &httpTransport{
		url:       p.URL,
		headers:   h,
		userAgent: o.UserAgent,
		remarks:   &remarks{log: o.Logger},
		tls:       tls,
		onDate:    o.OnDate,
		// With its own TLS configuration, a transport uses HTTP/1.1 only. That
		// is intended: a request that times out closes its connection, while
		// HTTP/2 would keep using a dead one.
		base: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: p.Timeout}).DialContext,
			TLSClientConfig:        tls.config(),
			TLSHandshakeTimeout:    p.Timeout,
			MaxIdleConns:           2,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: maxHead,
		},
	}
	exporter, err := otlpmetrichttp.New(ctx,
		otlpmetrichttp.WithEndpointURL(p.URL.String()),
		otlpmetrichttp.WithHTTPClient(&http.Client{Transport: transport, Timeout: p.Timeout}),
		otlpmetrichttp.WithHeaders(map[string]string{}),
		otlpmetrichttp.WithCompression(compression),
		otlpmetrichttp.WithTLSClientConfig(nil),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{}),
	)
	if err != nil {
		return nil, err
	}
	return &httpExporter{exporter, transport}, nil
}

// httpExporter closes the idle connections, which the SDK leaves open because it
// did not open them. One that is still being opened is closed when it is ready.
type httpExporter struct {
	Exporter
	transport *httpTransport
}

func (e *httpExporter) Shutdown(ctx context.Context) error {
	err := e.Exporter.Shutdown(ctx)
	e.transport.connections().CloseIdleConnections()
	return err
}

// httpTransport sends requests to its URL with the current headers, and returns
// only an empty 200 or an error, so that the SDK never sees redirects, HTML or
// content types.
type httpTransport struct {
	url       *url.URL
	headers   *headers
	userAgent string
	remarks   *remarks
	tls       *tlsFiles // nil: not encrypted
	onDate    func(server, local time.Time)

	mu   sync.Mutex
	base *http.Transport
}

// RoundTrip implements http.RoundTripper. A failure that the server reports is
// returned as *Failure.
func (t *httpTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.URL, req.Host = t.url, t.url.Host
	req.Header.Set("User-Agent", t.userAgent)
	sent, secret := t.headers.current()
	for name, value := range sent {
		req.Header.Set(name, value.Reveal())
	}
	resp, addr, err := t.roundTrip(req)
	failed := func(err error) error {
		if addr != nil && broken(err) {
			if f := wrongPort(req.Context(), addr, redact.Text(err.Error(), secret...), err); f != nil {
				return f
			}
		}
		return redact.Error(err, secret...)
	}
	if err != nil {
		return nil, failed(err)
	}
	defer resp.Body.Close()
	if sent, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		t.onDate(sent, time.Now())
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, failed(err)
	}
	if f := t.remarks.fromHTTP(resp, body, secret); f != nil {
		return nil, f
	}
	return &http.Response{
		Status: resp.Status, StatusCode: http.StatusOK,
		Proto: resp.Proto, ProtoMajor: resp.ProtoMajor, ProtoMinor: resp.ProtoMinor,
		Header: http.Header{}, Body: http.NoBody, Request: req,
	}, nil
}

// roundTrip repeats a request, on a new connection, if it found one that the
// server had closed while it was idle. The same points with the same times may
// arrive twice. addr is the server's address, if it was sent plain text
// directly.
func (t *httpTransport) roundTrip(req *http.Request) (resp *http.Response, addr net.Addr, err error) {
	reused := false
	proxy, err := http.ProxyFromEnvironment(req)
	direct := err == nil && proxy == nil && t.tls == nil
	traced := req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if reused = info.Reused; direct {
				addr = info.Conn.RemoteAddr()
			}
		},
	}))
	connections := t.connections()
	resp, err = connections.RoundTrip(traced)
	if n, ok := errors.AsType[net.Error](err); err == nil || !reused || ok && n.Timeout() || req.GetBody == nil || req.Context().Err() != nil {
		return resp, addr, err
	}
	again := req.Clone(req.Context())
	if again.Body, err = req.GetBody(); err != nil {
		return nil, addr, err
	}
	connections.CloseIdleConnections()
	resp, err = connections.RoundTrip(again)
	return resp, addr, err
}

// connections returns those that are verified with the current CA certificates.
func (t *httpTransport) connections() *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := t.tls.config(); now != nil && !now.RootCAs.Equal(t.base.TLSClientConfig.RootCAs) {
		t.base.CloseIdleConnections()
		t.base = t.base.Clone()
		t.base.TLSClientConfig = now
	}
	return t.base
}
