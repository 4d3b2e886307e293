package netatmo

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"netatmo-agent/agent/redact"
)

// Class is the kind of a request's failure. The set is bounded, so that a class
// can be an attribute of a metric.
type Class string

// The classes. The table byCode says which code belongs to which.
const (
	ClassAuth      Class = "auth"      // the access token was refused, also after a renewal
	ClassScope     Class = "scope"     // the login lacks a scope
	ClassQuota     Class = "quota"     // the request limit of the user or the app is reached
	ClassBusy      Class = "busy"      // load shedding, or a gateway in front of the API
	ClassNotFound  Class = "not_found" // the account has no such device or product
	ClassInvalid   Class = "invalid"   // the arguments are refused permanently
	ClassApp       Class = "app"       // the registered app, or its user, is refused
	ClassServer    Class = "server"    // a fault on Netatmo's side
	ClassNetwork   Class = "network"   // no answer, or an incomplete one
	ClassMalformed Class = "malformed" // an answer that is not the JSON it should be
	ClassLogin     Class = "login"     // the TokenSource had no token; no request was made
	ClassCanceled  Class = "canceled"  // the caller's context ended
)

// NoCode is Error.Code if the answer has no error.code. Zero is a code: with it
// the API passes on raw texts of its backends (observed).
const NoCode = -1

// Error is the failure of one request. Error() says what happened, to what, and
// what to do; it never contains a token.
type Error struct {
	Class      Class
	Code       int           // Netatmo's error.code, or NoCode
	Status     int           // HTTP status, 0 without an answer
	Endpoint   string        // such as "getstationsdata"
	Subject    string        // the home, room or module that the request is about, or empty
	Message    string        // Netatmo's words or a description of the answer
	RetryAfter time.Duration // how long the Gate now holds every caller back, 0 if it does not
	Err        error         // the cause, if there is one

	advice advice // replaces what the class says, if it is not empty
	real   bool   // the request was for Netatmo's own address, not for one that the user set
}

// byCode gives the class of an error.code (documented by Netatmo's SDK,
// meanings as observed). It overrides the HTTP status: 403 alone can mean expired
// tokens, missing scopes, quotas and gateways.
var byCode = map[int]Class{
	0: ClassServer, 4: ClassServer, 41: ClassServer, 404: ClassServer, 500: ClassServer,
	1: ClassAuth, 2: ClassAuth, 3: ClassAuth, 30: ClassAuth,
	5: ClassApp, 22: ClassApp, 23: ClassApp,
	9: ClassNotFound, 31: ClassNotFound,
	10: ClassInvalid, 21: ClassInvalid, 24: ClassInvalid, 25: ClassInvalid, 40: ClassInvalid,
	11: ClassBusy, 35: ClassBusy, 39: ClassBusy,
	13: ClassScope,
	26: ClassQuota,
}

func classify(code, status int) Class {
	if class, ok := byCode[code]; ok {
		return class
	}
	switch {
	case status >= 500:
		return ClassServer
	case status == 401, status == 403, status == 408, status == 429:
		return ClassBusy
	case status >= 400 && code != NoCode:
		return ClassInvalid
	}
	return ClassServer
}

// rejectedToken reports whether code means that another access token might
// work.
func rejectedToken(code int) bool { return 1 <= code && code <= 3 }

// classes says what happened, and what a user can do about it. The caller adds
// what the program does, such as retrying.
var classes = map[Class]struct{ what, remedy string }{
	ClassAuth:      {"Netatmo refused the access token, also after renewing it", "if this lasts, log in again"},
	ClassScope:     {"the login does not include a scope that this needs", "log in again and grant it"},
	ClassQuota:     {"Netatmo's request limit is reached", "wait an hour; other programs that use this account or app count too"},
	ClassBusy:      {"Netatmo turned the request away", "wait a minute: this is not the quota, and usually temporary"},
	ClassNotFound:  {"Netatmo knows no such device in this account", "nothing to do if the account has none"},
	ClassInvalid:   {"Netatmo refused the arguments", "Netatmo does not answer for a home or device that is only shared with the account; if it is not shared, report this"},
	ClassApp:       {"Netatmo refused the registered app or its user", "look at the app at https://dev.netatmo.com, or register a new one"},
	ClassServer:    {"Netatmo failed", "wait; if this lasts, check NETATMO_API_URL"},
	ClassNetwork:   {"no complete answer from Netatmo", "check network, DNS, proxy and firewall"},
	ClassMalformed: {"the answer was not understood", "check whether a proxy or hotspot answers instead of Netatmo, and check NETATMO_API_URL"},
	ClassLogin:     {"not requested, because there is no access token", ""},
	ClassCanceled:  {"given up because the caller stopped", ""},
}

// scopes names the scopes that each endpoint needs (documented by Netatmo).
var scopes = map[string]string{
	stationsEndpoint:    Weather.scope(),
	coachesEndpoint:     HomeCoach.scope(),
	homesEndpoint:       inHomes,
	statusEndpoint:      inHomes,
	roomMeasureEndpoint: Energy.scope(),
	measureEndpoint:     fmt.Sprintf("%s, %s or %s, depending on the device", Weather.scope(), HomeCoach.scope(), Energy.scope()),
}

// inHomes names those that the families in homes need.
var inHomes = fmt.Sprintf("%s, %s or %s, depending on NETATMO_DEVICES", Energy.scope(), Control.scope(), Security.scope())

// Unwrap returns the cause, such as the TokenSource's error or the context's.
func (e *Error) Unwrap() error { return e.Err }

func (e *Error) Error() string {
	text := e.What()
	if remedy := e.Remedy(); remedy != "" {
		text += "; " + remedy
	}
	if e.RetryAfter > 0 {
		text += fmt.Sprintf("; no request for %s", e.RetryAfter.Round(time.Second))
	}
	return text
}

// Remedy is what a user can do about the failure. It is empty if the cause says
// that.
func (e *Error) Remedy() string {
	remedy := classes[e.Class].remedy
	switch {
	case e.advice.remedy != "":
		remedy = e.advice.remedy
	case e.Class == ClassScope:
		remedy += ": " + scopes[e.Endpoint]
	case e.real && e.Class == ClassMalformed:
		remedy = "check whether a proxy or hotspot answers instead of Netatmo; if not, and if this lasts, report it"
	case e.real && e.Class == ClassServer && !e.foreign():
		remedy = "wait; this is usually temporary"
	case e.real && e.foreign():
		remedy = "check whether a proxy or hotspot answers instead of Netatmo"
	case e.foreign():
		remedy = "check NETATMO_API_URL: this does not look like the API"
	}
	return remedy
}

// foreign reports whether the answer does not look like Netatmo's.
func (e *Error) foreign() bool {
	return e.Class == ClassServer && (e.Code == NoCode || e.Code == 404) && e.Status >= 300 && e.Status < 500
}

// What says what happened, and to what.
func (e *Error) What() string {
	text := ""
	if e.Endpoint != "" {
		text = e.Endpoint
		if e.Subject != "" {
			text += " of " + e.Subject
		}
		text += ": "
	}
	text += cmp.Or(e.advice.what, classes[e.Class].what)
	var details []string
	if e.Status != 0 {
		details = append(details, "HTTP "+strconv.Itoa(e.Status))
	}
	if e.Code != NoCode && e.Status != 0 {
		details = append(details, "code "+strconv.Itoa(e.Code))
	}
	if e.Message != "" {
		details = append(details, e.Message)
	}
	if e.Err != nil {
		details = append(details, e.Err.Error())
	}
	if len(details) > 0 {
		text += " (" + strings.Join(details, ", ") + ")"
	}
	return text
}

// without removes the token, which the server may have quoted, from e.
func (e *Error) without(token string) *Error {
	e.Message = redact.Line(e.Message, token)
	if e.Err != nil {
		e.Err = redact.Error(e.Err, token)
	}
	return e
}

// ItemError is one module, room or station about which an answer says nothing
// usable. The others in the answer are not affected.
type ItemError struct {
	ID     string // of the module, else of its station; empty if the answer has neither
	Place  string // without an id: which module of the station or of the answer, such as "module 3"
	Code   int    // of body.errors, whose numbering is not that of Error.Code; 0 otherwise
	Absent bool   // a home declares the module, but the answer lacks it
	Reason string
}

func (e ItemError) Error() string {
	what := e.ID
	if e.Place != "" {
		what = e.Place + " of " + cmp.Or(e.ID, "the answer")
	}
	if e.Code != 0 {
		return fmt.Sprintf("%s: %s (device code %d)", what, e.Reason, e.Code)
	}
	return what + ": " + e.Reason
}
