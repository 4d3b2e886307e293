package netatmo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"netatmo-agent/agent/redact"
)

// DefaultURL is the address of Netatmo's API.
const DefaultURL = "https://api.netatmo.com"

// advice describes a failure between this machine and Netatmo more precisely than
// its class.
type advice struct{ what, remedy string }

const (
	setClock = "set this machine's clock, or let NTP set it (timedatectl set-ntp true)"
	hotspot  = "a router or hotspot answers instead of Netatmo: log in to it with a browser, or use another network"
)

// way is the way from this machine to the API at base.
type way struct {
	base  string
	proxy func(*http.Request) (*url.URL, error) // nil: none
}

func (c *Client) way() way {
	transport, ok := c.http.Transport.(*http.Transport)
	if c.http.Transport == nil {
		transport, ok = http.DefaultTransport.(*http.Transport)
	}
	if !ok {
		return way{base: c.o.BaseURL}
	}
	return way{base: c.o.BaseURL, proxy: transport.Proxy}
}

// Explain says what is wrong between this machine and the API at base, and what
// to do about it, in the words of an *Error. It is for requests that a Client does
// not make: err is why req failed or, if it is nil, resp is the answer. It returns
// nothing if these say enough. It assumes the proxy of the environment.
func Explain(base string, req *http.Request, resp *http.Response, err error) (what, remedy string) {
	w := way{base: base, proxy: http.ProxyFromEnvironment}
	var a advice
	switch {
	case err != nil:
		a = w.unconnected(req, err)
		if op, ok := errors.AsType[*net.OpError](err); a == (advice{}) && ok && op.Op == "dial" {
			a = advice{fmt.Sprintf("%s (%v)", classes[ClassNetwork].what, op), classes[ClassNetwork].remedy}
		}
	case resp != nil:
		if a = w.misdirected(req, resp.StatusCode, resp.Header); a.what != "" {
			a.what += " (HTTP " + strconv.Itoa(resp.StatusCode) + ")"
		}
	}
	return a.what, a.remedy
}

// real reports whether the way leads to Netatmo's own address, which users do not
// set.
func (w way) real() bool { return strings.TrimSuffix(w.base, "/") == DefaultURL }

// impostor is the remedy if something other than Netatmo answers.
func (w way) impostor() string {
	if !w.real() {
		return "set NETATMO_API_URL to the address of Netatmo's API"
	}
	return hotspot
}

// unconnected returns the advice for a request that got no answer. It is empty
// if err says enough.
func (w way) unconnected(req *http.Request, err error) advice {
	text := strings.ToLower(err.Error())
	proxy := w.proxyFor(req)
	op, isOp := errors.AsType[*net.OpError](err)
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	unknown, isUnknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, otherName := errors.AsType[x509.HostnameError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	name, isName := errors.AsType[*net.DNSError](err)
	switch {
	case isOp && op.Op == "proxyconnect":
		return advice{"the proxy " + proxy + " cannot be reached", "check HTTPS_PROXY and HTTP_PROXY, and that the proxy runs"}
	case strings.Contains(text, "proxy authentication required"):
		return needsCredentials(proxy)
	case isInvalid && invalid.Reason == x509.Expired && time.Now().Before(invalid.Cert.NotBefore):
		return advice{"Netatmo's certificate is not valid yet", setClock}
	case isInvalid && invalid.Reason == x509.Expired:
		return advice{"Netatmo's certificate has expired", "check this machine's clock; if it is right, " + w.impostor()}
	case isUnknown && unknown.Cert != nil:
		return advice{"Netatmo's certificate is signed by an unknown authority, " + strconv.Quote(short(unknown.Cert.Issuer.String())),
			"if a firewall inspects TLS, set SSL_CERT_FILE to a file with its CA certificate; if the system's CA certificates are missing, install them; otherwise " + w.impostor()}
	case otherName:
		return advice{"the certificate is not Netatmo's", w.impostor()}
	case noTLS, strings.Contains(text, "server gave http response to https client"):
		return advice{"the server does not use TLS", w.impostor()}
	case strings.Contains(text, `malformed http response "\x15\x03`):
		return advice{"the server requires TLS", "begin NETATMO_API_URL with https://"}
	case isName && name.IsNotFound:
		return advice{"the host name " + name.Name + " does not exist", "check the network and the DNS server"}
	case proxy != "":
		return advice{"no answer from Netatmo through the proxy " + proxy, "check that the proxy allows connections to " + req.URL.Host}
	}
	return advice{}
}

// misdirected returns the advice for an answer that cannot be from Netatmo. It is
// empty for others.
func (w way) misdirected(req *http.Request, status int, header http.Header) advice {
	switch {
	case status == http.StatusNetworkAuthenticationRequired:
		return advice{"the network requires a login", hotspot}
	case status == http.StatusProxyAuthRequired:
		return needsCredentials(w.proxyFor(req))
	case status/100 == 3:
		what := "a redirect instead of an answer from Netatmo"
		if target, err := req.URL.Parse(header.Get("Location")); err == nil && header.Get("Location") != "" {
			what = "a redirect to " + redact.Line(target.Scheme+"://"+target.Host) + " instead of an answer from Netatmo"
		}
		return advice{what, w.impostor()}
	case status == http.StatusBadRequest && req.URL.Scheme == "http" && !strings.Contains(header.Get("Content-Type"), "json"):
		// As a TLS port answers plain HTTP.
		return advice{"the server does not answer as Netatmo does", "begin NETATMO_API_URL with https:// if the server requires TLS; if not, set it to the address of Netatmo's API"}
	}
	return advice{}
}

func needsCredentials(proxy string) advice {
	if proxy != "" {
		proxy = " " + proxy
	}
	return advice{"the proxy" + proxy + " requires credentials", "add them to HTTPS_PROXY or HTTP_PROXY: http://user:password@proxy:port"}
}

// proxyFor returns the address of the proxy for req without credentials, or nothing.
func (w way) proxyFor(req *http.Request) string {
	if w.proxy == nil {
		return ""
	}
	proxy, err := w.proxy(req)
	if err != nil || proxy == nil {
		return ""
	}
	return (&url.URL{Scheme: proxy.Scheme, Host: proxy.Host}).String()
}

// Time requests the time from Netatmo, which needs no token. It returns the
// HTTP status, the time in the answer (zero if it has none) and the local time
// at that moment. It does not wait at the Gate. The error is an *Error.
func (c *Client) Time(ctx context.Context) (status int, sent, local time.Time, err error) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r := request{}
	req, err := http.NewRequestWithContext(c.countRepeats(limited, Live), http.MethodGet, strings.TrimSuffix(c.o.BaseURL, "/")+"/", nil)
	if err != nil {
		return 0, sent, local, r.failed(ClassNetwork, bare(err))
	}
	if c.o.UserAgent != "" {
		req.Header.Set("User-Agent", c.o.UserAgent)
	}
	start := time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		fail := r.unanswered(ctx, err)
		fail.advice, fail.real = c.way().unconnected(req, err), c.way().real()
		return 0, sent, local, fail
	}
	defer resp.Body.Close()
	local = start.Add(time.Since(start) / 2)
	_, _ = io.CopyN(io.Discard, resp.Body, 4096)
	if a := c.way().misdirected(req, resp.StatusCode, resp.Header); a != (advice{}) {
		return resp.StatusCode, sent, local, &Error{Class: ClassServer, Code: NoCode, Status: resp.StatusCode, advice: a}
	}
	if sent, err = http.ParseTime(resp.Header.Get("Date")); err == nil {
		c.o.OnDate(sent, local)
		sent = sent.Add(time.Second / 2) // the header has whole seconds
	}
	return resp.StatusCode, sent, local, nil
}
