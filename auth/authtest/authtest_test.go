package authtest_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/auth/authtest"
)

const callback = "http://agent.test/auth/callback"

var app = authtest.Options{ClientID: "app", ClientSecret: "secret"}

// far is a server with a client that connects to it over loopback and follows
// no redirect.
type far struct {
	*authtest.Server
	url    string
	client *http.Client
}

func start(t *testing.T, opts authtest.Options) *far {
	t.Helper()
	s := authtest.New(opts)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	client := server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &far{s, server.URL, client}
}

// reply is an answer of the token endpoint.
type reply struct {
	Status  int
	Body    string
	Access  string   `json:"access_token"`
	Refresh string   `json:"refresh_token"`
	Scope   []string `json:"scope"`
	Expires int      `json:"expires_in"`
	Expire  int      `json:"expire_in"`
	Error   string   `json:"error"`
}

func (f *far) token(form url.Values) (reply, error) {
	for name, value := range map[string]string{"client_id": "app", "client_secret": "secret"} {
		if !form.Has(name) {
			form.Set(name, value)
		}
	}
	resp, err := f.client.PostForm(f.url+"/oauth2/token", form)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	r := reply{Status: resp.StatusCode, Body: string(body)}
	_ = json.Unmarshal(body, &r) // not all answers are JSON
	return r, err
}

func (f *far) refresh(token string) (reply, error) {
	return f.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

func (f *far) exchange(code string) (reply, error) {
	return f.token(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}})
}

// authorize asks for consent and returns the query that the callback gets.
func (f *far) authorize(t *testing.T, values url.Values) url.Values {
	t.Helper()
	query := url.Values{"client_id": {"app"}, "redirect_uri": {callback}, "state": {"s1"}, "response_type": {"code"}, "scope": {"read_station read_homecoach"}}
	maps.Copy(query, values)
	resp, err := f.client.PostForm(f.url+"/oauth2/authorize", query)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	location, err := resp.Location()
	if err != nil {
		t.Fatalf("status %d: %v", resp.StatusCode, err)
	}
	if !strings.HasPrefix(location.String(), callback+"?") {
		t.Fatalf("sent to %s", location)
	}
	return location.Query()
}

func TestLoginAndRefresh(t *testing.T) {
	f := start(t, app)
	query := f.authorize(t, url.Values{"answer": {"accept"}})
	if query.Get("state") != "s1" || query.Has("error") {
		t.Fatalf("callback query %v", query)
	}
	first, _ := f.exchange(query.Get("code"))
	if want := regexp.MustCompile(`^[0-9a-f]{24}\|[0-9a-f]{32}$`); !want.MatchString(first.Access) || !want.MatchString(first.Refresh) {
		t.Errorf("tokens do not look like Netatmo's: %s", first.Body)
	}
	if first.Expires != 10800 || first.Expire != 10800 || strings.Contains(first.Body, "token_type") {
		t.Errorf("answer %s", first.Body)
	}
	if want := []string{"read_station", "read_homecoach"}; !slices.Equal(first.Scope, want) {
		t.Errorf("scope %v, want %v", first.Scope, want)
	}
	if v := f.Check(first.Access); !v.Valid || !slices.Equal(v.Scopes, first.Scope) || !strings.HasPrefix(first.Access, v.User+"|") {
		t.Errorf("verdict %+v", v)
	}
	if again, _ := f.exchange(query.Get("code")); again.Error != "invalid_grant" {
		t.Errorf("second use of a code: %s", again.Body)
	}

	second, _ := f.refresh(first.Refresh)
	if second.Access == first.Access || second.Refresh == first.Refresh {
		t.Error("a refresh kept a token")
	}
	if v := f.Check(first.Access); v.Valid || v.Expired {
		t.Errorf("the old access token after a refresh: %+v, want unknown", v)
	}
	if old, _ := f.refresh(first.Refresh); old.Status != 400 || old.Error != "invalid_grant" {
		t.Errorf("the old refresh token: %d %s", old.Status, old.Body)
	}
	if current := f.Current(); current.Refresh != second.Refresh || current.Access != second.Access {
		t.Error("Current is not the last pair")
	}

	f.Revoke()
	if v := f.Check(second.Access); v.Valid || v.Expired {
		t.Errorf("access token after revocation: %+v", v)
	}
	if revoked, _ := f.refresh(second.Refresh); revoked.Error != "invalid_grant" {
		t.Errorf("refresh after revocation: %s", revoked.Body)
	}
}

func TestTokenRequestsRefused(t *testing.T) {
	f := start(t, app)
	pair := f.Grant()
	refresh := func(more url.Values) url.Values {
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {pair.Refresh}}
		maps.Copy(form, more)
		return form
	}
	code := f.authorize(t, url.Values{"answer": {"accept"}}).Get("code")
	for name, test := range map[string]struct {
		form url.Values
		want string
	}{
		"wrong secret":       {refresh(url.Values{"client_secret": {"other"}}), "invalid_client"},
		"no client":          {refresh(url.Values{"client_id": {""}}), "invalid_client"},
		"no token":           {refresh(url.Values{"refresh_token": {""}}), "invalid_request"},
		"access as refresh":  {refresh(url.Values{"refresh_token": {pair.Access}}), "invalid_grant"},
		"password":           {refresh(url.Values{"grant_type": {"password"}}), "unauthorized_client"},
		"unknown grant":      {refresh(url.Values{"grant_type": {"device"}}), "invalid_request"},
		"no grant":           {refresh(url.Values{"grant_type": {""}}), "invalid_request"},
		"other redirect URI": {url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"http://other/"}}, "invalid_grant"},
	} {
		if r, err := f.token(test.form); err != nil || r.Status != 400 || r.Error != test.want {
			t.Errorf("%s: %d %s %v, want 400 %s", name, r.Status, r.Body, err, test.want)
		}
	}

	form := refresh(nil)
	req, _ := http.NewRequest("POST", f.url+"/oauth2/token", strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("app", "secret")
	resp, err := f.client.Do(req)
	if err != nil || resp.StatusCode != 400 {
		t.Errorf("credentials in the header: %v %v", resp.Status, err)
	}
	resp.Body.Close()
	if f.Current() != pair {
		t.Error("a refused request changed the pair")
	}
}

func TestConsent(t *testing.T) {
	opts := app
	opts.RedirectURIs = []string{callback}
	f := start(t, opts)
	if q := f.authorize(t, url.Values{"answer": {"refuse"}}); q.Get("error") != "access_denied" || q.Get("state") != "s1" || q.Has("code") {
		t.Errorf("refused: %v", q)
	}
	query := url.Values{"client_id": {"app"}, "redirect_uri": {callback}, "state": {`"><b>`}}
	resp, err := f.client.Get(f.url + "/oauth2/authorize?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	for _, want := range []string{"Accept", "Refuse", `value="&#34;&gt;&lt;b&gt;"`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("the consent page lacks %s:\n%s", want, body)
		}
	}

	query.Set("redirect_uri", "http://elsewhere.test/cb?x=1")
	resp, err = f.client.Get(f.url + "/oauth2/authorize?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if location, err := resp.Location(); err != nil || location.Host != "elsewhere.test" || location.Query().Get("error") != "redirect_uri_mismatch" || location.Query().Get("x") != "1" {
		t.Errorf("a redirect URI that is not registered: %v %v", location, err)
	}

	opts.AutoConsent = true
	if q := start(t, opts).authorize(t, nil); !q.Has("code") {
		t.Errorf("AutoConsent: %v", q)
	}
}

func TestFaults(t *testing.T) {
	for name, test := range map[string]struct {
		fault      authtest.FaultKind
		status     int // 0: no answer
		err        string
		tookEffect bool
	}{
		"refuse":       {authtest.Refuse, 403, "", false},
		"403":          {authtest.HTML403, 403, "", false},
		"429":          {authtest.HTML429, 429, "", false},
		"500":          {authtest.HTML500, 500, "", false},
		"502":          {authtest.HTML502, 502, "", false},
		"503":          {authtest.HTML503, 503, "", false},
		"504":          {authtest.HTML504, 504, "", false},
		"hang up":      {authtest.HangUp, 0, "", false},
		"lost answer":  {authtest.LostAnswer, 0, "", true},
		"truncated":    {authtest.Truncated, 200, "", true},
		"grant":        {authtest.InvalidGrant, 400, "invalid_grant", false},
		"request":      {authtest.InvalidRequest, 400, "invalid_request", false},
		"client":       {authtest.InvalidClient, 400, "invalid_client", false},
		"connections":  {authtest.TooManyConnections, 400, "too_many_connections", false},
		"more scopes":  {authtest.ScopeSuperset, 200, "", true},
		"slow, but ok": {authtest.Slow, 200, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, app)
			pair := f.Grant("read_station")
			f.Inject(authtest.Fault{Kind: test.fault})
			r, err := f.refresh(pair.Refresh)
			if (err != nil) != (test.status == 0) || r.Status != test.status || r.Error != test.err {
				t.Errorf("got %d %q, error %v", r.Status, r.Body, err)
			}
			if got := f.Current() != pair; got != test.tookEffect {
				t.Errorf("took effect: %v, want %v", got, test.tookEffect)
			}
			if _, err := f.refresh(f.Current().Refresh); err != nil {
				t.Errorf("the request after the fault: %v", err)
			}
			want := 1
			if test.tookEffect {
				want++
			}
			if got := f.Stats().Refreshes(); got != want {
				t.Errorf("%d refreshes took effect, want %d", got, want)
			}
		})
	}
}

func TestFaultQueue(t *testing.T) {
	f := start(t, app)
	refresh := f.Grant().Refresh
	f.Inject(authtest.Fault{Kind: authtest.Refuse, Times: 2})
	f.Inject(authtest.Fault{Kind: authtest.HTML503, Times: -1})
	var got []int
	for range 5 {
		r, _ := f.refresh(refresh)
		got = append(got, r.Status)
	}
	f.Heal()
	r, _ := f.refresh(refresh)
	if got = append(got, r.Status); !slices.Equal(got, []int{403, 403, 503, 503, 503, 200}) {
		t.Errorf("statuses %v", got)
	}
	stats := f.Stats()
	if stats.Requests[authtest.Request{Grant: "refresh_token", Outcome: "503"}] != 3 || stats.MaxConcurrent != 1 || len(stats.Issued) != 2 {
		t.Errorf("stats %+v", stats)
	}
}

func TestAnsweredPairs(t *testing.T) {
	f := start(t, app)
	f.Inject(authtest.Fault{Kind: authtest.LostAnswer})
	if _, err := f.refresh(f.Grant().Refresh); err == nil {
		t.Error("the lost answer came")
	}
	if _, err := f.refresh(f.Current().Refresh); err != nil {
		t.Error(err)
	}
	var answered []bool
	for _, pair := range f.Stats().Issued {
		answered = append(answered, pair.Answered)
	}
	if want := []bool{true, false, true}; !slices.Equal(answered, want) {
		t.Errorf("answered %v, want %v", answered, want)
	}
}

func TestScopes(t *testing.T) {
	f := start(t, app)
	pair := f.Grant("read_homecoach")
	f.Inject(authtest.Fault{Kind: authtest.ScopeSuperset})
	if r, _ := f.refresh(pair.Refresh); !slices.Contains(r.Scope, "read_homecoach") || len(r.Scope) < 2 {
		t.Errorf("superset %v", r.Scope)
	}
	opts := app
	opts.GrantScopes = []string{"read_station"}
	f = start(t, opts)
	if r, _ := f.exchange(f.authorize(t, url.Values{"answer": {"accept"}}).Get("code")); !slices.Equal(r.Scope, opts.GrantScopes) {
		t.Errorf("GrantScopes: %v", r.Scope)
	}
}

// serve answers without a network, for tests with a fake clock.
func serve(s http.Handler, form url.Values) *httptest.ResponseRecorder {
	form.Set("client_id", "app")
	form.Set("client_secret", "secret")
	r := httptest.NewRequest("POST", "/oauth2/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := authtest.New(app)
		pair := s.Grant()
		time.Sleep(3*time.Hour - time.Second)
		if v := s.Check(pair.Access); !v.Valid {
			t.Errorf("before the expiry: %+v", v)
		}
		time.Sleep(time.Second)
		if v := s.Check(pair.Access); v.Valid || !v.Expired {
			t.Errorf("at the expiry: %+v", v)
		}

		begun := time.Now()
		s.Inject(authtest.Fault{Kind: authtest.Slow, Delay: 20 * time.Second})
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { serve(s, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {pair.Refresh}}) })
		}
		synctest.Wait()
		if s.Current() == pair {
			t.Error("a slow answer came before the refresh took effect")
		}
		wg.Wait()
		if took := time.Since(begun); took != 20*time.Second {
			t.Errorf("a slow answer took %v", took)
		}
		stats := s.Stats()
		if stats.MaxConcurrent != 2 || stats.Requests[authtest.Request{Grant: "refresh_token", Outcome: "invalid_grant"}] != 1 {
			t.Errorf("two refreshes of one pair: %+v", stats)
		}
	})
}

func TestNoRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := app
		opts.NoRotation = true
		s := authtest.New(opts)
		pair := s.Grant()
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {pair.Refresh}}
		time.Sleep(time.Hour)
		serve(s, form)
		if got := s.Current(); got.Access != pair.Access || got.Refresh != pair.Refresh || got.Expiry.Sub(pair.Expiry) != time.Hour {
			t.Errorf("refreshed while valid: %v", got.Expiry)
		}
		time.Sleep(4 * time.Hour)
		serve(s, form)
		if got := s.Current(); got.Access == pair.Access || got.Refresh != pair.Refresh {
			t.Error("refreshed after the expiry: want a new access token and the old refresh token")
		}
	})
}
