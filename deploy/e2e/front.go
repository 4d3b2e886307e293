package e2e

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
)

// Front is a proxy between the browser and the agent's pages.
type Front struct {
	Prefix string // of the path below which the pages are, such as /netatmo
	Strip  bool   // the prefix is removed, else the agent sees it
	Tell   bool   // X-Forwarded-… headers, as Traefik and Caddy send them
	TLS    bool   // https to the browser
	Rename bool   // the Host header becomes the agent's address, as nginx does
}

// Start starts the front for an address, and returns the address at which a
// browser finds the pages, under the given name and a separate port. A front
// without options is a mapped port.
func (f Front) Start(t testing.TB, name, addr string) string {
	t.Helper()
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { f.rewrite(r, addr) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
	mux := http.NewServeMux()
	mux.Handle(f.Prefix+"/", buffered(forward))
	if f.Prefix != "" {
		mux.Handle(f.Prefix, buffered(forward))
	}
	server := httptest.NewUnstartedServer(mux)
	if f.TLS {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	at.Host, at.Path = name+":"+at.Port(), f.Prefix
	return at.String()
}

// buffered forwards a request after it has arrived completely, as nginx does.
// Go's server stops reading a request when the answer begins, and a
// ReverseProxy that has not seen its end by then cuts off the answer.
func buffered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

func (f Front) rewrite(r *httputil.ProxyRequest, addr string) {
	r.Out.URL.Scheme, r.Out.URL.Host = "http", addr
	if f.Rename {
		r.Out.Host = addr
	}
	if f.Strip {
		r.Out.URL.Path = "/" + strings.TrimPrefix(strings.TrimPrefix(r.In.URL.Path, f.Prefix), "/")
	}
	if f.Tell {
		r.SetXForwarded()
		if f.Strip && f.Prefix != "" {
			r.Out.Header.Set("X-Forwarded-Prefix", f.Prefix)
		}
	}
}
