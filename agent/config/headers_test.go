package config

import (
	"encoding/base64"
	"maps"
	"path/filepath"
	"strings"
	"testing"
)

func basic(login string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(login)) }

func TestHeaders(t *testing.T) {
	login := basic("123:hush-hush")
	for _, test := range []struct {
		env  map[string]string
		want map[string]Secret
	}{
		{set(), map[string]Secret{}},
		{set(headers, "Authorization="+login), map[string]Secret{"authorization": Secret(login)}},
		{set(headers, "Authorization="+strings.Replace(login, " ", "%20", 1)), map[string]Secret{"authorization": Secret(login)}},
		{set(headers, "Authorization: "+login), map[string]Secret{"authorization": Secret(login)}},
		{set(headers, "Authorization:"+basic("user1:password")), map[string]Secret{"authorization": Secret(basic("user1:password"))}},
		{set(headers, `"Authorization=`+login+`"`), map[string]Secret{"authorization": Secret(login)}},
		{set(headers, `Authorization="`+login+`"`), map[string]Secret{"authorization": Secret(login)}},
		{set(headers, `Authorization='`+login+`'`), map[string]Secret{"authorization": Secret(login)}},
		{set(headers, " X-Scope-OrgID = home , x-b = 2,,"), map[string]Secret{"x-scope-orgid": "home", "x-b": "2"}},
		{set(headers, "x-url=https://h/a=b%2Cc;d"), map[string]Secret{"x-url": "https://h/a=b,c;d"}},
		{set(headers, "x-plus=a+b/c=="), map[string]Secret{"x-plus": "a+b/c=="}},
		{set(headers, "Authorization="+login+",x-a=1", metricsHeaders, "X-A=2,x-b=3"), map[string]Secret{"authorization": Secret(login), "x-a": "2", "x-b": "3"}},
	} {
		c, problems := loadEnv(t, test.env, nil, Need{Push: true})
		if problems != nil || c.Warnings != nil || !maps.Equal(c.Push.Headers, test.want) {
			t.Errorf("%v: problems %v, warnings %q", test.env, problems, c.Warnings)
			for name, value := range c.Push.Headers {
				t.Logf("%s: %s", name, value.Reveal())
			}
		}
	}
}

func TestHeadersRefused(t *testing.T) {
	for _, test := range []struct{ variable, value, what, remedy string }{
		{headers, "Authorization=Basic hush-hush,hush-hush", "not name=value (number 2)", "%2C"},
		{metricsHeaders, "hush-hush", "not name=value (number 1)", "name=value"},
		{headers, "Authorization=Basic hush-hush%zz", "% that is not part of an escape, in entry number 1", "%25"},
		{headers, "x-a=1,x-b=hush-hush%", "% that is not part of an escape, in entry number 2", "%25"},
		{headers, `x-a=hush"hush-hush`, "a quote in entry number 1", "%22"},
		{headers, "x-a=", "without a value (number 1)", "give it one"},
		{headers, "x-a=%20", "without a value (number 1)", "give it one"},
		{headers, "x-a=hush-hush%0Ahush", "a header cannot contain", "one line"},
		{headers, "x-a=hush-hush\u00e9", "a header cannot contain", "ASCII"},
		{headers, "x a=hush-hush", "not name=value (number 1)", "name=value"},
	} {
		c, problems := loadEnv(t, set(test.variable, test.value), nil, Need{Push: true})
		if len(problems) != 1 || problems[0].Setting != test.variable ||
			!strings.Contains(problems[0].What, test.what) || !strings.Contains(problems[0].Remedy, test.remedy) {
			t.Errorf("%q: %v", test.value, problems)
		}
		if strings.Contains(problems.Error()+strings.Join(texts(c.Warnings), ""), hush) {
			t.Errorf("shows the secret: %v", problems)
		}
	}
}

func TestLoginOverPlainHTTP(t *testing.T) {
	login := "Authorization=" + basic("123:hush-hush")
	file := filepath.Join(t.TempDir(), "headers")
	write(t, file, "X-Api-Key: hush-hush\n")
	const plain = "http://collector:4318"
	for _, test := range []struct {
		env     map[string]string
		refused string // the header, if any
	}{
		{set(endpoint, plain, headers, login), "authorization"},
		{set(endpoint, "http://192.168.1.5:4317", headers, login), "authorization"},
		{set(endpoint, plain, headers, "api-key=hush-hush"), "api-key"},
		{set(endpoint, plain, metricsHeaders, "x-honeycomb-team=hush-hush"), "x-honeycomb-team"},
		{set(endpoint, plain, headersFile, file), "x-api-key"},
		{set(endpoint, plain, headers, login, insecure, "false"), "authorization"},
		{set(endpoint, plain, headers, login, insecure, "true", "OTEL_EXPORTER_OTLP_METRICS_INSECURE", "false"), "authorization"},
		{set(endpoint, plain, headers, login, insecure, "true"), ""},
		{set(endpoint, plain, headers, "X-Scope-OrgID=home"), ""},
		{set(endpoint, "https://collector:4318", headers, login), ""},
		{set(endpoint, "http://localhost:4318", headers, login), ""},
		{set(endpoint, "http://127.0.0.9:4318", headers, login), ""},
		{set(endpoint, "http://[::1]:4317", headers, login), ""},
		{set(headers, login), ""},
	} {
		_, problems := loadEnv(t, test.env, nil, Need{Push: true})
		if test.refused == "" {
			if problems != nil {
				t.Errorf("%v: %v", test.env, problems)
			}
			continue
		}
		if len(problems) != 1 {
			t.Errorf("%v: %d problems: %v", test.env, len(problems), problems)
		}
		mention(t, texts(problems), "has the header "+test.refused, "plain http", "https", "OTEL_EXPORTER_OTLP_INSECURE=true")
		if strings.Contains(problems.Error(), hush) {
			t.Errorf("shows the secret: %v", problems)
		}
	}
}

func TestExposes(t *testing.T) {
	c, _ := loadEnv(t, set(endpoint, "http://collector:4318"), nil, Need{Push: true})
	if !c.Push.Exposes("Authorization") || c.Push.Exposes("X-Scope-OrgID") {
		t.Error("later credentials would be sent unencrypted, or a tenant's header would not be sent")
	}
}

func TestLoginJudged(t *testing.T) {
	const grafana = "https://otlp-gateway-prod-eu-west-2.grafana.net/otlp"
	for _, test := range []struct{ endpoint, value, want string }{
		{"https://h", basic("123:hush-hush"), ""},
		{"https://h", "basic " + strings.TrimPrefix(basic("a:hush-hush"), "Basic "), ""},
		{"https://h", "Bearer hush-hush", ""},
		{"https://h", "hush-hush", "without a scheme"},
		{"https://h", "Basic", "without a scheme"},
		{"https://h", "Basic 123:hush-hush", "not encoded"},
		{"https://h", "Basic hush-hush", "not base64"},
		{"https://h", basic("hush-hush"), "without a colon"},
		{"https://h", basic(":hush-hush"), "empty user or password"},
		{"https://h", basic("123:"), "empty user or password"},
		{"https://h", basic("123:hush-hush\n"), "line break"},
		{"https://h", basic("123:hush-hush\x00"), "not ASCII"},
		{grafana, basic("123:hush-hush"), ""},
		{grafana, basic("ada:hush-hush"), "instance ID"},
	} {
		c, problems := loadEnv(t, set(endpoint, test.endpoint, headers, "Authorization="+strings.ReplaceAll(test.value, " ", "%20")), nil, Need{Push: true})
		if problems != nil {
			t.Errorf("%q: %v", test.value, problems)
		}
		if test.want == "" && c.Warnings != nil {
			t.Errorf("%q: warnings %q, want none", test.value, c.Warnings)
		}
		if test.want != "" {
			mention(t, texts(c.Warnings), headers+" has ", test.want)
		}
		if all := strings.Join(texts(c.Warnings), ""); strings.Contains(all, hush) {
			t.Errorf("shows the secret: %s", all)
		}
	}
}

func TestHeadersFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "headers")
	write(t, path, "\uFEFF# for Grafana\r\n\r\nAuthorization: Basic aHVzaDpodXNo%20==\r\n X-Scope-OrgID :home:1\n")
	c, problems := loadEnv(t, set(endpoint, "https://h", headersFile, path, headers, "x-a=1"), nil, Need{Push: true})
	if problems != nil || c.Push.HeadersFile != path || !maps.Equal(c.Push.Headers, map[string]Secret{"x-a": "1"}) {
		t.Errorf("%v, %+v", problems, c.Push)
	}
	mention(t, texts(c.Warnings), headersFile+" has Basic credentials that are not base64")

	write(t, path, "Authorization: "+basic("a:hush-hush")+"\n")
	_, problems = loadEnv(t, set(endpoint, "https://h", headersFile, path, headers, "authorization="+basic("b:hush-hush")), nil, Need{Push: true})
	mention(t, texts(problems), headersFile+" has the header authorization, which "+headers+" sets too", "keep one")

	for _, test := range []struct{ content, what string }{
		{"Authorization=hush-hush\n", "line 1 does not have the form Name: value"},
		{"X-A: 1\nhush-hush\n", "line 2 does not have the form Name: value"},
		{"X A: hush-hush\n", "line 1 does not have the form Name: value"},
		{"X-A:\n", "line 1 has a value that is empty"},
		{"X-A: \"hush-hush\"\n", "line 1 has a value"},
		{"X-A: hush-hush\u00e9\n", "line 1 has a value"},
		{"X-A: hush-hush\nx-a: hush-hush\n", "line 2 repeats a header"},
		{"\n# X-A: hush-hush\n", "contains no header"},
		{"", "contains no header"},
		{"X-A: " + strings.Repeat("hush-hush", 10_000), "too long"},
	} {
		write(t, path, test.content)
		_, problems := loadEnv(t, set(headersFile, path), nil, Need{Push: true})
		mention(t, texts(problems), headersFile+" names a file that cannot be used", test.what)
		if strings.Contains(problems.Error(), hush) {
			t.Errorf("shows the secret: %v", problems)
		}
	}
	_, problems = loadEnv(t, set(headersFile, "Authorization: Basic hush-hush"), nil, Need{Push: true})
	mention(t, texts(problems), headersFile, "cannot be read", "not to the content itself")
	if strings.Contains(problems.Error(), hush) {
		t.Errorf("shows the secret: %v", problems)
	}
}

func TestParseHeaderFile(t *testing.T) {
	got, err := ParseHeaderFile(strings.NewReader("Authorization: Bearer a%20b\nX-Scope-OrgID :home:1"))
	if want := map[string]Secret{"authorization": "Bearer a%20b", "x-scope-orgid": "home:1"}; err != nil || !maps.Equal(got, want) {
		t.Errorf("%d headers, %v", len(got), err)
	}
}
