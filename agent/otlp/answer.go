package otlp

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"netatmo-agent/agent/outage"
	"netatmo-agent/agent/redact"
)

// maxAnswer is how many bytes of an answer are read. Most have a few hundred;
// one that explains each point can have a hundred kilobytes.
const maxAnswer = 1 << 20

// maxHead is how many bytes of status line and headers are read.
const maxHead = 64 << 10

// maxWait is how long a backend may ask the agent to wait. The agent may grant less.
const maxWait = 24 * time.Hour

// remarks logs what backends say about points that they accept, when it
// changes. It is safe for concurrent use.
type remarks struct {
	log *slog.Logger

	mu   sync.Mutex
	last string
}

// partial returns the failure in an OTLP answer, nil if there is none. A
// message without rejected points is a remark and not a failure, unless it is
// about times: Mimir up to 3.0 counts 0 if it rejects points that are too old.
func (r *remarks) partial(p *colmetricpb.ExportMetricsPartialSuccess, secret []string) *Failure {
	message := redact.Text(p.GetErrorMessage(), secret...)
	if n := p.GetRejectedDataPoints(); n > 0 {
		f := NewFailure(Partial, fmt.Sprintf("%d points: %s", n, message), nil)
		f.Rejected = n
		return f
	}
	if reason, _ := diagnose(message); reason == TooOld || reason == OutOfOrder || reason == Clock {
		return NewFailure(reason, message, nil)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if message != r.last && message != "" {
		r.log.Warn("the backend accepted the points with a remark", "message", redact.Line(message))
	}
	r.last = message
	return nil
}

// fromHTTP returns the failure in an HTTP answer, nil for success.
func (r *remarks) fromHTTP(resp *http.Response, body []byte, secret []string) *Failure {
	if resp.StatusCode/100 == 2 {
		return r.success(resp, body, secret)
	}
	status := statusLine(resp, secret)
	fail := func(reason Reason) *Failure {
		detail := status
		if text := redact.Text(errorText(resp, body), secret...); text != "" {
			detail += ": " + text
		}
		f := NewFailure(reason, detail, nil)
		if code := resp.StatusCode; code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable {
			f.RetryAfter = outage.RetryAfter(resp.Header, maxWait)
		}
		return f
	}
	switch code := resp.StatusCode; {
	case code >= 300 && code <= 399:
		to := "nowhere"
		if u, err := resp.Location(); err == nil {
			u.User, u.RawQuery, u.Fragment = nil, "", ""
			to = u.String()
		}
		return NewFailure(Redirect, fmt.Sprintf("%s to %s", status, redact.Text(to, secret...)), nil)
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return fail(Auth)
	case code == http.StatusProxyAuthRequired:
		return fail(Unreachable)
	case code == http.StatusUnsupportedMediaType && resp.Request.Header.Get("Content-Encoding") != "":
		f := fail(NotOTLP)
		f.Remedy = noGzip
		return f
	case code == http.StatusNotFound:
		f := fail(NotOTLP)
		f.Remedy += "; a Collector also answers 404 if its otlp receiver is in no metrics pipeline"
		return f
	case code == http.StatusMethodNotAllowed, code == http.StatusUnsupportedMediaType:
		return fail(NotOTLP)
	case code == http.StatusRequestTimeout, code == http.StatusGatewayTimeout:
		return fail(Timeout)
	case code == http.StatusRequestEntityTooLarge:
		return fail(TooLarge)
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "":
		return fail(Throttled)
	case code >= 500:
		return fail(Unavailable)
	}
	f := fail(Refused)
	if f.Reason == Refused && resp.Request.Header.Get("Content-Encoding") != "" && f.Remedy == meanings[Refused].remedy {
		f.Remedy += "; if it does not understand gzip, set OTEL_EXPORTER_OTLP_COMPRESSION=none"
	}
	return f
}

// success finds the failure in an answer with a status of 2xx. Gateways that
// have passed the points on answer "OK", "success" or their own JSON. A web
// page, or something that claims to be protobuf and is not, comes from another
// server.
func (r *remarks) success(resp *http.Response, body []byte, secret []string) *Failure {
	var answer colmetricpb.ExportMetricsServiceResponse
	media := mediaType(resp)
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return nil
	case isHTML(media, body):
		return NewFailure(NotOTLP, statusLine(resp, secret)+" with an HTML page", nil)
	case media == "application/json":
		if (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, &answer) != nil {
			return nil //nolint:nilerr // a gateway's own JSON
		}
	default:
		if err := proto.Unmarshal(body, &answer); err != nil && media == "application/x-protobuf" {
			return NewFailure(NotOTLP, statusLine(resp, secret)+" with something other than an OTLP answer", err)
		} else if err != nil {
			return nil //nolint:nilerr // a gateway's own text
		}
	}
	return r.partial(answer.GetPartialSuccess(), secret)
}

// statusLine returns the status in the server's words.
func statusLine(resp *http.Response, secret []string) string {
	return redact.Text(cmp.Or(resp.Status, strconv.Itoa(resp.StatusCode)), secret...)
}

// errorText returns the message of an error: OTLP servers send a
// google.rpc.Status, as protobuf or JSON, others text.
func errorText(resp *http.Response, body []byte) string {
	switch media := mediaType(resp); {
	case isHTML(media, body):
		return asksForTLS(body)
	case media == "application/x-protobuf", media == "application/octet-stream":
		var s spb.Status
		if proto.Unmarshal(body, &s) == nil {
			return s.GetMessage()
		}
	case media == "application/json":
		var s struct{ Message, Error string }
		if json.Unmarshal(body, &s) == nil && s.Message+s.Error != "" {
			return strings.TrimSpace(s.Message + " " + s.Error)
		}
	}
	if !utf8.Valid(body) {
		return ""
	}
	return string(body[:min(len(body), 2*redact.MaxText)])
}

func isHTML(media string, body []byte) bool {
	return media == "text/html" || strings.HasPrefix(http.DetectContentType(body), "text/html")
}

func mediaType(resp *http.Response) string {
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return media
}
