package auth

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Token requests use HTTP/1.1, which sends a request once, even if the endpoint
// offers HTTP/2.
func TestTokenEndpointThatOffersHTTP2(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Proto", r.Proto)
		w.Write([]byte(`{"access_token":"a","refresh_token":"b","expires_in":10800}`))
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()

	client := newTokenClient(Config{})
	own := client.Transport.(*onceTransport).base.(*http.Transport)
	own.TLSClientConfig.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	resp, err := client.Post(server.URL, "application/x-www-form-urlencoded", strings.NewReader("grant_type=refresh_token"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("X-Proto"); got != "HTTP/1.1" {
		t.Errorf("asked by %s, want HTTP/1.1", got)
	}
}
