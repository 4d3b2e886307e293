package otlp

import (
	"context"
	"errors"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"netatmo-agent/agent/redact"
)

// Reason is why a push failed: one of a bounded set, used as an attribute and to
// keep logs quiet.
type Reason string

// The reasons.
const (
	Auth        Reason = "auth"         // the credentials are missing or wrong
	TLS         Reason = "tls"          // no agreement on encryption or certificates
	Refused     Reason = "refused"      // the backend rejects this request
	Throttled   Reason = "throttled"    // the backend asks the agent to wait
	TooLarge    Reason = "too_large"    // the backend does not accept requests of this size
	Unreachable Reason = "unreachable"  // no connection
	Unavailable Reason = "unavailable"  // a fault at the backend or in front of it
	Redirect    Reason = "redirect"     // the address has moved
	NotOTLP     Reason = "not_otlp"     // something answers, but it is not an OTLP receiver
	TooOld      Reason = "too_old"      // points older than the backend accepts
	OutOfOrder  Reason = "out_of_order" // points older than what the backend has in their series
	Partial     Reason = "partial"      // some points were accepted and some rejected
	Timeout     Reason = "timeout"      // no answer in time; the points may have been accepted
	Clock       Reason = "clock"        // this machine's clock is wrong, or the one that it is compared with
	Other       Reason = "other"
)

// fate is what a failure means for the points of its request, for the next
// request, and for the marks of what is delivered.
type fate int

const (
	// later: nothing is known to be wrong with the points. They are pushed
	// again, the next request is unlikely to succeed now, and no mark moves.
	later fate = iota
	// smaller: the points are pushed again in smaller requests, at once. Marks move
	// as those are accepted.
	smaller
	// final: the backend never accepts some of these points. The request is
	// divided to find them; they are dropped and counted, and marks move past
	// them. Other requests continue.
	final
)

// meaning is what a reason means and how to say it.
type meaning struct {
	fate         fate
	what, remedy string
}

// AdmitHistory is how to make a backend accept old points.
const AdmitHistory = "to keep history, set storage.tsdb.out_of_order_time_window in Prometheus, or " +
	"out_of_order_time_window in Mimir or Grafana Cloud, to at least the length of the gap"

var meanings = map[Reason]meaning{
	Auth: {later, "the backend rejects the credentials",
		"check the header with the credentials, such as Authorization, in OTEL_EXPORTER_OTLP_HEADERS or in the file that OTEL_EXPORTER_OTLP_HEADERS_FILE names, and that they are for this endpoint"},
	TLS:         {later, "no TLS connection to the backend", "check the scheme of the endpoint and the certificates"},
	Refused:     {final, "the backend rejects the request", "see the backend's message and its log"},
	Throttled:   {later, "the backend asks the agent to wait", "this is usually temporary; if it lasts, raise OTEL_METRIC_EXPORT_INTERVAL or the backend's limit"},
	TooLarge:    {smaller, "the request is too large for the backend", "the agent sends smaller ones; raising the backend's limit to 1 MiB saves requests"},
	Unreachable: {later, "the backend cannot be reached", "check OTEL_EXPORTER_OTLP_ENDPOINT, and that the backend runs"},
	Unavailable: {later, "the backend has a fault", "this is usually temporary; if it lasts, see the backend's log"},
	Redirect:    {later, "the endpoint redirects elsewhere", "set OTEL_EXPORTER_OTLP_ENDPOINT to the address it redirects to"},
	NotOTLP:     {later, "the endpoint is not an OTLP receiver", "check path and port of OTEL_EXPORTER_OTLP_ENDPOINT"},
	TooOld:      {final, "the backend rejects points this old", AdmitHistory},
	OutOfOrder:  {final, "the backend rejects points older than what it has", AdmitHistory},
	Partial:     {final, "the backend rejects some of the points", "see its message"},
	Timeout:     {later, "the backend does not answer in time", "check the network, or raise OTEL_EXPORTER_OTLP_TIMEOUT and OTEL_METRIC_EXPORT_TIMEOUT"},
	Clock:       {later, "this machine's clock may be wrong", "set up time synchronization (NTP) here and at the backend"},
	Other:       {later, "the push failed", "see the message"},
}

// Failure is a push that failed. Its text quotes the backend, cut to a readable
// length and without secrets.
type Failure struct {
	Reason     Reason
	What       string        // what happened
	Remedy     string        // what to do about it
	RetryAfter time.Duration // how long the backend asks to wait; 0 if it does not say
	Rejected   int64         // points that were rejected, if the answer counts them
	Err        error         // nil if there is only the backend's answer
}

func (f *Failure) Error() string { return f.What + ": " + f.Remedy }

// Unwrap returns the transport's error, if any.
func (f *Failure) Unwrap() error { return f.Err }

// OfContent reports whether the fault lies in the points of one request or their
// number, so that the next request may well succeed.
func (f *Failure) OfContent() bool { return meanings[f.Reason].fate != later }

// MayBeOfSize reports whether a smaller request might have succeeded: servers,
// gateways and slow lines fail for size in many ways, most of which do not
// mention it.
func (f *Failure) MayBeOfSize() bool {
	switch f.Reason {
	case TooLarge, Refused, Unreachable, Unavailable, NotOTLP, Timeout, Other:
		return true
	}
	return false
}

// OfTime reports whether the fault lies in the times of the points.
func (f *Failure) OfTime() bool { return f.Reason == TooOld || f.Reason == OutOfOrder }

// NewFailure returns the Failure for a reason or, if the detail (the text of a
// server or a library) suggests a more precise one, for that.
func NewFailure(reason Reason, detail string, err error) *Failure {
	found, remedy := diagnose(detail)
	switch reason {
	case Refused, Unavailable, Unreachable, Other:
		if found != "" && found != Partial {
			reason = found
		}
	case Partial:
		if found == TooOld || found == OutOfOrder || found == Clock {
			remedy = meanings[found].remedy
		} else if found != Partial {
			remedy = ""
		}
	default:
		if found != reason {
			remedy = ""
		}
	}
	v := meanings[reason]
	if remedy == "" {
		remedy = v.remedy
	}
	if detail = readable(reason, detail); detail != "" {
		detail = " (" + detail + ")"
	}
	return &Failure{Reason: reason, What: v.what + detail, Remedy: remedy, Err: err}
}

// manyNames are the names after the fifth that a certificate is valid for. Some
// certificates have hundreds.
var manyNames = regexp.MustCompile(`(certificate is valid for (?:[^,]+, ){5})(?:[^,]+, )+not `)

// readable returns the text of a server or a library as one line, cut to a
// readable length. Text about a certificate stays whole.
func readable(reason Reason, detail string) string {
	detail = unwrapped(redact.Text(detail))
	if reason != TLS {
		return redact.Line(detail)
	}
	return redact.WholeLine(manyNames.ReplaceAllString(detail, "${1}…, not "))
}

// unwrapped returns the text of the network or TLS, without gRPC's text around
// it.
func unwrapped(detail string) string {
	before, rest, wrapped := strings.Cut(detail, "connection error: desc = ")
	quoted, err := strconv.QuotedPrefix(rest)
	if !wrapped || err != nil {
		return detail
	}
	said, err := strconv.Unquote(quoted)
	if err != nil {
		return detail
	}
	for _, words := range []string{"transport: ", "authentication handshake failed: ", "Error while dialing: "} {
		said = strings.TrimPrefix(said, words)
	}
	return before + said + rest[len(quoted):]
}

// Classify explains why an export failed and what to do about it. It returns nil
// for nil.
func Classify(err error) *Failure {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	n, ofNetwork := errors.AsType[net.Error](err)
	if errors.Is(err, context.DeadlineExceeded) || ofNetwork && n.Timeout() {
		return NewFailure(Timeout, "", err)
	}
	detail, reason := err.Error(), Other
	if u, ok := errors.AsType[*url.Error](err); ok {
		detail = u.Err.Error()
	}
	if ofNetwork {
		reason = Unreachable
	}
	return NewFailure(reason, detail, err)
}
