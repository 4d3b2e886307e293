package auth_test

import (
	"strings"
	"testing"

	"netatmo-agent/auth"
)

const (
	aCode  = "0123456789abcdef0123456789abcdef"
	aToken = "5a1b2c3d4e5f60718293a4b5|" + aCode
)

func TestParsePasted(t *testing.T) {
	code := auth.Pasted{Code: aCode}
	both := auth.Pasted{Code: aCode, State: "s1"}
	token := auth.Pasted{RefreshToken: aToken}
	for name, test := range map[string]struct {
		in   string
		want auth.Pasted
	}{
		"code":               {aCode, code},
		"code with blanks":   {"  " + aCode + "\r\n", code},
		"code in quotes":     {`"` + aCode + `"`, code},
		"token":              {aToken, token},
		"token from a form":  {strings.Replace(aToken, "|", "%7C", 1), token},
		"token, wrapped":     {aToken[:30] + "\n" + aToken[30:], token},
		"address":            {"http://localhost:9210/auth/callback?state=s1&code=" + aCode, both},
		"address, wrapped":   {"http://localhost:9210/auth/callback?state=s1\n  &code=" + aCode, both},
		"address, no scheme": {"localhost:9210/auth/callback?code=" + aCode + "&state=s1", both},
		"address, fragment":  {"https://home.test/netatmo/auth/callback?state=s1&code=" + aCode + "#_=_", both},
		"query":              {"?state=s1&code=" + aCode, both},
		"end of an address":  {"code=" + aCode + "&state=s1", both},
		"address in <>":      {"<http://localhost:9210/auth/callback?code=" + aCode + ">", code},
	} {
		if got, err := auth.ParsePasted(test.in); err != nil || got != test.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestParsePastedRefuses(t *testing.T) {
	for name, test := range map[string]struct{ in, says string }{
		"nothing":       {" \n", "nothing was pasted"},
		"words":         {"what is this?", "no code"},
		"short":         {"abc", "is not a refresh token"},
		"markup":        {"<b>" + aCode + "</b>", "is not a refresh token"},
		"only a bar":    {"|" + aCode, "is not a refresh token"},
		"other page":    {"https://dev.netatmo.com/apps/", "no code"},
		"consent page":  {"https://api.netatmo.com/oauth2/authorize?client_id=1&response_type=code&state=s1", "no code"},
		"damaged":       {"http://localhost:9210/auth/callback?code=%zz", "damaged"},
		"access denied": {"http://localhost:9210/auth/callback?error=access_denied&state=s1", "Access was not granted"},
		"redirect URI":  {"http://localhost:9210/auth/callback?error=redirect_uri_mismatch", "redirect URI"},
		"a whole file":  {strings.Repeat("x", 5000), "too long"},
	} {
		got, err := auth.ParsePasted(test.in)
		if err == nil || !strings.Contains(err.Error(), test.says) || got != (auth.Pasted{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func FuzzParsePasted(f *testing.F) {
	for _, seed := range []string{
		aCode, aToken, "http://localhost:9210/auth/callback?state=s1&code=" + aCode, "?error=access_denied", "code=%zz", "a|b", "é|ü", "\x00", "<>", "?", "#", "&&&=",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := auth.ParsePasted(s)
		if err != nil {
			if got != (auth.Pasted{}) {
				t.Errorf("%+v beside an error", got)
			}
			return
		}
		if (got.Code == "") == (got.RefreshToken == "") || got.State != "" && got.Code == "" {
			t.Errorf("%q: %+v is not one thing", s, got)
		}
		if strings.ContainsAny(got.Code+got.RefreshToken, " \t\r\n\x00\"<>") {
			t.Errorf("%q: %+v is not clean", s, got)
		}
	})
}
