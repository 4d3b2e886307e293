package telemetry

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
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

	"netatmo-agent/agent/config"
)

// maxAnswer is how much of an answer is read. Most have a few hundred bytes; one
// that says why of each point can have a hundred kilobytes.
const maxAnswer = 1 << 20

// judge judges what backends answer. Safe for concurrent use.
type judge struct {
	log *slog.Logger

	mu   sync.Mutex
	last string // the last note without a rejection
}

// partial returns the failure that an OTLP answer holds, nil if there is none.
// A message without rejected points is a note to the sender and no failure; it
// is logged when it changes.
func (j *judge) partial(p *colmetricpb.ExportMetricsPartialSuccess, sent map[string]config.Secret) *Failure {
	message := hide(p.GetErrorMessage(), sent)
	if n := p.GetRejectedDataPoints(); n > 0 {
		f := newFailure(reasonPartial, fmt.Sprintf("%d points: %s", n, message), nil)
		f.Rejected = n
		return f
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if message != j.last && message != "" {
		j.log.Warn("the backend accepted the points and has a remark", "message", shorten(message))
	}
	j.last = message
	return nil
}

// http returns the failure that an HTTP answer stands for, nil for success:
// a status of 2xx with an empty body, as Prometheus and VictoriaMetrics send
// it, or with one that decodes as an OTLP answer without a rejection.
func (j *judge) http(resp *http.Response, body []byte, sent map[string]config.Secret) *Failure {
	if resp.StatusCode/100 == 2 {
		return j.success(resp, body, sent)
	}
	status := statusLine(resp, sent)
	said := func(reason Reason) *Failure {
		detail := status
		if text := hide(errorText(resp, body), sent); text != "" {
			detail += ": " + text
		}
		f := newFailure(reason, detail, nil)
		f.RetryAfter = retryAfter(resp.Header.Get("Retry-After"))
		return f
	}
	switch code := resp.StatusCode; {
	case code >= 300 && code <= 399:
		to := "nowhere"
		if u, err := resp.Location(); err == nil {
			u.User, u.RawQuery, u.Fragment = nil, "", ""
			to = u.String()
		}
		return newFailure(reasonRedirect, fmt.Sprintf("%s to %s", status, hide(to, sent)), nil)
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return said(reasonAuth)
	case code == http.StatusProxyAuthRequired:
		return said(reasonUnreachable)
	case code == http.StatusNotFound, code == http.StatusMethodNotAllowed, code == http.StatusUnsupportedMediaType:
		return said(reasonNotOTLP)
	case code == http.StatusRequestTimeout, code == http.StatusGatewayTimeout:
		return said(reasonTimeout)
	case code == http.StatusRequestEntityTooLarge:
		return said(reasonTooLarge)
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "":
		return said(reasonThrottled)
	case code >= 500:
		return said(reasonUnavailable)
	}
	return said(reasonRefused)
}

func (j *judge) success(resp *http.Response, body []byte, sent map[string]config.Secret) *Failure {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	var answer colmetricpb.ExportMetricsServiceResponse
	var err error
	switch mediaType(resp) {
	case "application/json":
		err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(body, &answer)
	default:
		err = proto.Unmarshal(body, &answer)
	}
	if err != nil || isHTML(resp, body) {
		what := "something else than an OTLP answer"
		if isHTML(resp, body) {
			what = "an HTML page"
		}
		return newFailure(reasonNotOTLP, fmt.Sprintf("%s with %s", statusLine(resp, sent), what), err)
	}
	return j.partial(answer.GetPartialSuccess(), sent)
}

// statusLine returns the status as the server words it.
func statusLine(resp *http.Response, sent map[string]config.Secret) string {
	return hide(cmp.Or(resp.Status, strconv.Itoa(resp.StatusCode)), sent)
}

// errorText returns the message of an answer that is an error: OTLP servers
// send a google.rpc.Status, as protobuf or JSON, others text.
func errorText(resp *http.Response, body []byte) string {
	switch media := mediaType(resp); {
	case isHTML(resp, body):
		return ""
	case media == "application/x-protobuf":
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
	return string(body)
}

func isHTML(resp *http.Response, body []byte) bool {
	return mediaType(resp) == "text/html" || strings.HasPrefix(http.DetectContentType(body), "text/html")
}

func mediaType(resp *http.Response) string {
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return media
}

// retryAfter reads the header of that name: seconds or a date.
func retryAfter(header string) time.Duration {
	if s, err := strconv.ParseInt(header, 10, 32); err == nil && s > 0 {
		return time.Duration(s) * time.Second
	}
	if t, err := http.ParseTime(header); err == nil {
		return max(time.Until(t), 0)
	}
	return 0
}

func readAnswer(r io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(r, maxAnswer)) }
