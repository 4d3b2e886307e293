package otlp

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"golang.org/x/net/proxy"
)

// proxyFor returns the proxy for connections to an endpoint, nil for none.
// HTTPS_PROXY and NO_PROXY decide for gRPC, encrypted or not; for HTTP without TLS
// it is HTTP_PROXY.
func proxyFor(endpoint *url.URL, grpc bool) (*url.URL, error) {
	if endpoint.Host == "" { // a socket
		return nil, nil //nolint:nilnil // no proxy is not an error
	}
	u := &url.URL{Scheme: endpoint.Scheme, Host: endpoint.Host}
	if grpc {
		u.Scheme = "https"
	}
	return http.ProxyFromEnvironment(&http.Request{URL: u})
}

// dialProxy opens a connection to addr through a proxy. gRPC's own
// implementation reads whatever the proxy answers into memory, and does not
// support SOCKS.
func dialProxy(ctx context.Context, through *url.URL, addr string) (net.Conn, error) {
	switch through.Scheme {
	case "socks5", "socks5h":
		d, err := proxy.FromURL(through, &net.Dialer{})
		if err != nil {
			return nil, fmt.Errorf("proxyconnect: %w", err)
		}
		conn, err := d.(proxy.ContextDialer).DialContext(ctx, "tcp", addr) //nolint:errcheck // it is one
		if err != nil {
			return nil, fmt.Errorf("proxyconnect: %w", err)
		}
		return conn, nil
	case "http", "https":
	default:
		return nil, fmt.Errorf("proxyconnect: the scheme of the proxy is %q: use http, https or socks5", through.Scheme)
	}
	conn, err := dialWith(ctx, through)
	if err != nil {
		return nil, fmt.Errorf("proxyconnect: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	connected, err := connect(conn, through, addr)
	if !stop() || err != nil {
		_ = conn.Close()
		return nil, cmp.Or(ctx.Err(), err)
	}
	return connected, nil
}

func dialWith(ctx context.Context, through *url.URL) (net.Conn, error) {
	port := through.Port()
	if through.Scheme == "https" {
		if port == "" {
			port = "443"
		}
		return new(tls.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(through.Hostname(), port))
	}
	if port == "" {
		port = "80"
	}
	return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(through.Hostname(), port))
}

// connect asks the proxy at the end of conn for a connection to addr.
func connect(conn net.Conn, through *url.URL, addr string) (net.Conn, error) {
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: http.Header{}}
	if u := through.User; u != nil {
		password, _ := u.Password()
		request.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)))
	}
	if err := request.Write(conn); err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: conn, N: maxHead}
	answers := bufio.NewReader(limited)
	answer, err := http.ReadResponse(answers, request) //nolint:bodyclose // the body of a CONNECT is the connection
	if err != nil {
		return nil, fmt.Errorf("the proxy does not answer like a proxy: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the proxy answers %s", answer.Status)
	}
	limited.N = 1 << 62
	return &proxied{conn, answers}, nil
}

// proxied reads what arrived with the proxy's answer first.
type proxied struct {
	net.Conn
	r io.Reader
}

func (c *proxied) Read(b []byte) (int, error) { return c.r.Read(b) }
