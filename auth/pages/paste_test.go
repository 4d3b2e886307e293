package pages_test

import (
	"net/url"
	"strings"
	"testing"
)

const (
	aCode  = "0123456789abcdef0123456789abcdef"
	aToken = "5a1b2c3d4e5f60718293a4b5|" + aCode
)

func TestPaste(t *testing.T) {
	for name, paste := range map[string]func(w *world, back string) string{
		"refresh token": func(w *world, _ string) string { return " " + w.cloud.Grant("read_station").Refresh + "\n" },
		"code":          func(_ *world, back string) string { return strings.Split(strings.Split(back, "code=")[1], "&")[0] },
		"address":       func(_ *world, back string) string { return back },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, agentURL)
			b := w.browser()
			page := b.open(w.pages.LoginURL())
			text := paste(w, b.consent(page, "accept"))
			b.press(page, "auth/token", url.Values{"token": {text}}).want(t, 200, "You are logged in")
			w.loggedIn()
			b.press(page, "auth/token", url.Values{"token": {text}}).want(t, 409)
		})
	}
}

func TestPasteRefused(t *testing.T) {
	for name, test := range map[string]struct {
		token, says string
		status      int
	}{
		"nothing":        {"", "Nothing was pasted", 400},
		"spent token":    {aToken, "did not accept the refresh token", 400},
		"spent code":     {aCode, "did not accept the code", 400},
		"refused":        {agentURL + "/auth/callback?error=access_denied", "Access was not granted", 400},
		"too long":       {strings.Repeat("x", 5000), "too long", 400},
		"a whole book":   {strings.Repeat("x", 50000), "too long", 413},
		"no such thing":  {"<script>alert(1)</script>", "is not a refresh token", 400},
		"other address":  {"https://dev.netatmo.com/apps/5f0c", "no code", 400},
		"damaged, quote": {`http://x/?code="%zz`, "damaged", 400},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, agentURL)
			b := w.browser()
			page := b.open(w.pages.LoginURL())
			p := b.press(page, "auth/token", url.Values{"token": {test.token}})
			p.want(t, test.status, test.says)
			if test.token != "" && strings.Contains(p.body, test.token) {
				t.Error("the page repeats what was pasted")
			}
			if strings.Contains(w.log.String(), aToken) || strings.Contains(w.log.String(), aCode) {
				t.Error("the log repeats what was pasted")
			}
			b.press(page, "auth/token", url.Values{"token": {w.cloud.Grant().Refresh}}).want(t, 200, "You are logged in")
			w.loggedIn()
		})
	}
}
