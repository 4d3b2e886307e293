package telemetry

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/redact"
)

// newHTTP returns the SDK's exporter over a transport of ours. Whatever the
// environment could tell the exporter is told here, so that it cannot.
func newHTTP(ctx context.Context, p config.Push, h *headers, o ExporterOptions) (Exporter, error) {
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
		judge:     &judge{log: o.Logger},
		tls:       tls,
		// A transport with a TLS configuration of its own keeps to HTTP/1.1.
		// That is wanted: a request that times out takes its connection with
		// it, where HTTP/2 would go on using a dead one.
		base: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: p.Timeout}).DialContext,
			TLSClientConfig:     tls.config(),
			TLSHandshakeTimeout: p.Timeout,
			MaxIdleConns:        2,
			IdleConnTimeout:     90 * time.Second,
		},
	}
	return otlpmetrichttp.New(ctx,
		otlpmetrichttp.WithEndpointURL(p.URL.String()),
		otlpmetrichttp.WithHTTPClient(&http.Client{Transport: transport, Timeout: p.Timeout}),
		otlpmetrichttp.WithHeaders(map[string]string{}),
		otlpmetrichttp.WithCompression(compression),
		otlpmetrichttp.WithTLSClientConfig(nil),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{}),
	)
}

// httpTransport sends requests to its URL with the headers of the moment, and
// lets through an empty 200 or an error: what the SDK makes of redirects, HTML
// and content types does not matter then.
type httpTransport struct {
	url       *url.URL
	headers   *headers
	userAgent string
	judge     *judge
	tls       *tlsFiles // nil: not encrypted

	mu   sync.Mutex
	base *http.Transport
}

// RoundTrip implements http.RoundTripper. A failure that the server told is
// returned as *Failure.
func (t *httpTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.URL, req.Host = t.url, t.url.Host
	req.Header.Set("User-Agent", t.userAgent)
	sent := t.headers.current()
	for name, value := range sent {
		req.Header.Set(name, value.Reveal())
	}
	resp, err := t.connections().RoundTrip(req)
	if err != nil {
		return nil, redact.Error(err, logins(sent)...)
	}
	defer resp.Body.Close()
	body, err := readAnswer(resp.Body)
	if err != nil {
		return nil, redact.Error(err, logins(sent)...)
	}
	if f := t.judge.http(resp, body, sent); f != nil {
		return nil, f
	}
	return &http.Response{
		Status: resp.Status, StatusCode: http.StatusOK,
		Proto: resp.Proto, ProtoMajor: resp.ProtoMajor, ProtoMinor: resp.ProtoMinor,
		Header: http.Header{}, Body: http.NoBody, Request: req,
	}, nil
}

// connections returns those that were, or will be, checked against the
// authorities of the moment.
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
