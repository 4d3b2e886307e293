package simcloud

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const userID = "5a1b2c3d4e5f60718293a4b5"

// reply is an answer before it is sent.
type reply struct {
	status      int
	contentType string
	body        []byte
}

func (p reply) write(w http.ResponseWriter) {
	if p.contentType != "" {
		w.Header().Set("Content-Type", p.contentType)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(p.body)))
	w.WriteHeader(p.status)
	w.Write(p.body)
}

// apiError is an error as the API reports it.
type apiError struct {
	status, code int
	message      string
}

func (e *apiError) reply() reply {
	body, _ := json.Marshal(object{"error": object{"code": e.code, "message": e.message}})
	if e.code == 26 {
		body = pretty(body) // as observed since 2025
	}
	return jsonReply(e.status, body)
}

func jsonReply(status int, body []byte) reply {
	return reply{status, "application/json; charset=utf-8", body}
}

func htmlReply(status int) reply {
	title := strconv.Itoa(status) + " " + http.StatusText(status)
	return reply{status, "text/html; charset=utf-8",
		[]byte("<html>\r\n<head><title>" + title + "</title></head>\r\n<body><center><h1>" + title + "</h1></center><hr><center>nginx</center></body>\r\n</html>\r\n")}
}

var unavailable = htmlReply(http.StatusServiceUnavailable)

// pretty breaks JSON into lines that end with CRLF.
func pretty(body []byte) []byte {
	var b bytes.Buffer
	if json.Indent(&b, body, "", "  ") != nil {
		return body
	}
	return bytes.ReplaceAll(b.Bytes(), []byte("\n"), []byte("\r\n"))
}

// endpoint is one path below /api/. Endpoints without a scope check the scope
// themselves, because it depends on the device.
type endpoint struct {
	scope    string
	answer   func(*Cloud, query) (any, *apiError)
	timeless bool // no time_exec in the envelope
}

var endpoints = map[string]endpoint{
	"getstationsdata":   {scope: "read_station", answer: (*Cloud).getstationsdata},
	"gethomecoachsdata": {scope: "read_homecoach", answer: (*Cloud).gethomecoachsdata},
	"homesdata":         {scope: ScopesInHomes, answer: (*Cloud).homesdata},
	"homestatus":        {scope: ScopesInHomes, answer: (*Cloud).homestatus, timeless: true},
	"getmeasure":        {answer: (*Cloud).getmeasure},
	"getroommeasure":    {scope: "read_thermostat", answer: (*Cloud).getroommeasure},
}

// query is an accepted request.
type query struct {
	url.Values
	at     time.Time // the state of the cloud that the answer shows
	scopes []string
}

// permit refuses a token that has none of the scopes, which spaces separate.
func (q query) permit(scopes string) *apiError {
	granted := slices.ContainsFunc(strings.Fields(scopes), func(s string) bool { return slices.Contains(q.scopes, s) })
	if scopes != "" && !granted {
		return &apiError{403, 13, "Application does not have the good scope rights"}
	}
	return nil
}

func (q query) flag(key string, otherwise bool) (bool, *apiError) {
	switch strings.ToLower(q.Get(key)) {
	case "":
		return otherwise, nil
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return false, &apiError{400, 21, "Invalid " + key}
}

func (q query) number(key string, otherwise int64) (int64, *apiError) {
	if q.Get(key) == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(q.Get(key), 10, 64)
	if err != nil {
		return 0, &apiError{400, 21, "Invalid " + key}
	}
	return n, nil
}

// reply answers a request without a fault.
func (c *Cloud) reply(name string, r *http.Request, badForm bool) reply {
	e, known := endpoints[name]
	switch {
	case !known || r.Method != http.MethodGet && r.Method != http.MethodPost:
		return (&apiError{404, 404, "Not Found"}).reply()
	case badForm:
		return (&apiError{400, 10, "Missing parameters"}).reply()
	}
	q, refused := c.admit(r)
	if refused == nil {
		refused = q.permit(e.scope)
	}
	if refused != nil {
		return refused.reply()
	}
	body, canned, failed := c.build(name, q)
	switch {
	case failed != nil:
		return failed.reply()
	case canned != nil:
		return jsonReply(200, canned)
	}
	envelope := object{"status": "ok", "time_server": c.now().Unix(), "body": body}
	if !e.timeless {
		envelope["time_exec"] = 0.05125
	}
	text, err := json.Marshal(envelope)
	if err != nil {
		panic(err) // it has only numbers, strings and lists
	}
	return jsonReply(200, text)
}

// admit checks the token and the quota.
func (c *Cloud) admit(r *http.Request) (query, *apiError) {
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer {
		token = r.Form.Get("access_token")
	}
	verdict := c.auth.Check(token)
	switch {
	case token == "":
		return query{}, &apiError{403, 1, "Access token is missing"}
	case verdict.Expired:
		return query{}, &apiError{403, 3, "Access token expired"}
	case !verdict.Valid:
		return query{}, &apiError{403, 2, "Invalid access token"}
	}
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.quota.take(verdict.User, now) {
		return query{}, quotaReached
	}
	return query{r.Form, c.asOf(now), verdict.Scopes}, nil
}

// build returns the body of an answer, or the one set by Answer.
func (c *Cloud) build(name string, q query) (body any, canned []byte, failed *apiError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if canned := c.answers[name]; canned != nil {
		return nil, canned, nil
	}
	body, failed = endpoints[name].answer(c, q)
	return body, nil, failed
}

// asOf returns the time whose state is served at t: t, unless data are frozen.
func (c *Cloud) asOf(t time.Time) time.Time {
	if ice, frozen := c.frozen.at(t); frozen {
		return ice.from
	}
	return t
}
