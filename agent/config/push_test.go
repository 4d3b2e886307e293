package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPushValues(t *testing.T) {
	for _, test := range []struct {
		env map[string]string
		ok  func(Push) bool
	}{
		{set("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"), func(p Push) bool { return p.Gzip }},
		{set("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "none"), func(p Push) bool { return !p.Gzip }},
		{set("OTEL_EXPORTER_OTLP_TIMEOUT", "5000"), func(p Push) bool { return p.Timeout == 5*time.Second }},
		{set("OTEL_EXPORTER_OTLP_TIMEOUT", "5000", "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "7000"), func(p Push) bool { return p.Timeout == 7*time.Second }},
		{set("OTEL_METRIC_EXPORT_INTERVAL", "30000"), func(p Push) bool { return p.Interval == 30*time.Second }},
		{set("OTEL_METRIC_EXPORT_TIMEOUT", "20000"), func(p Push) bool { return p.ExportTimeout == 20*time.Second }},
		{set("OTEL_METRICS_EXPORTER", "console"), func(p Push) bool { return p.Exporter == Console }},
		{set("OTEL_METRICS_EXPORTER", "OTLP"), func(p Push) bool { return p.Exporter == OTLP }},
		{set("OTEL_SDK_DISABLED", "false"), func(p Push) bool { return p.Exporter == OTLP }},
	} {
		c, problems := loadEnv(t, test.env, nil, Need{Push: true})
		if problems != nil || c.Warnings != nil || !test.ok(c.Push) {
			t.Errorf("%v: problems %v, warnings %q, %+v", test.env, problems, c.Warnings, c.Push)
		}
	}
}

func TestPushValuesRefused(t *testing.T) {
	for _, test := range []struct{ variable, value, what, remedy string }{
		{"OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", `"zstd" is not a valid value`, "gzip or none"},
		{"OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "snappy", "not a valid value", "gzip or none"},
		{"OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "must be a number of milliseconds", "10000"},
		{"OTEL_METRIC_EXPORT_INTERVAL", "1m", "must be a number of milliseconds", "60000"},
		{"OTEL_METRIC_EXPORT_INTERVAL", "0", "leaves no time between pushes", "60000"},
		{"OTEL_METRIC_EXPORT_INTERVAL", "-1", "must be a number of milliseconds", "60000"},
		{"OTEL_METRIC_EXPORT_TIMEOUT", "long", "must be a number of milliseconds", "30000"},
		{"OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "1.5", "must be a number of milliseconds", "10000"},
		{"OTEL_METRICS_EXPORTER", "none", "all that the agent does", "otlp"},
		{"OTEL_METRICS_EXPORTER", "prometheus", "no endpoint to scrape", "/api/v1/otlp"},
		{"OTEL_METRICS_EXPORTER", "otlp,console", "not a valid value", "otlp, or console"},
		{"OTEL_SDK_DISABLED", "true", "all that the agent does", "unset"},
	} {
		_, problems := loadEnv(t, set(test.variable, test.value), nil, Need{Push: true})
		if len(problems) != 1 || problems[0].Setting != test.variable ||
			!strings.Contains(problems[0].What, test.what) || !strings.Contains(problems[0].Remedy, test.remedy) {
			t.Errorf("%s=%s: %v", test.variable, test.value, problems)
		}
	}
}

func TestPushValuesWithWarnings(t *testing.T) {
	c, problems := loadEnv(t, set("OTEL_EXPORTER_OTLP_TIMEOUT", "10", "OTEL_METRIC_EXPORT_INTERVAL", "600000"), nil, Need{Push: true})
	if problems != nil || c.Push.Timeout != 10*time.Millisecond || c.Push.Interval != 10*time.Minute {
		t.Errorf("%v, %+v", problems, c.Push)
	}
	mention(t, texts(c.Warnings), "OTEL_EXPORTER_OTLP_TIMEOUT is 10 milliseconds", "not seconds")
	mention(t, texts(c.Warnings), "OTEL_METRIC_EXPORT_INTERVAL is more than 5 minutes", "gaps")
}

func TestResource(t *testing.T) {
	const attributes, service = "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME"
	c, problems := loadEnv(t, set(
		attributes, " service.name=low , service.namespace=home,service.instance.id=cellar, room=living%20room,place=caf%C3%A9,eq=a=b,quoted=\"x\",",
		service, "high"), nil, Need{Push: true})
	if problems != nil {
		t.Fatal(problems)
	}
	p := c.Push
	if p.ServiceName != "high" || p.ServiceNamespace != "home" || p.InstanceID != "cellar" {
		t.Errorf("service %q, namespace %q, instance %q", p.ServiceName, p.ServiceNamespace, p.InstanceID)
	}
	if want := map[string]string{"room": "living room", "place": "café", "eq": "a=b", "quoted": "x"}; !maps.Equal(p.Attributes, want) {
		t.Errorf("attributes %v, want %v", p.Attributes, want)
	}
	if c, _ := loadEnv(t, set(attributes, "service.name=low"), nil, Need{Push: true}); c.Push.ServiceName != "low" {
		t.Errorf("service name %q, want that of the attributes", c.Push.ServiceName)
	}
	for _, test := range []struct{ variable, value, what, remedy string }{
		{attributes, "a=b,c", "not name=value (number 2)", "%2C"},
		{attributes, "=b", "not name=value (number 1)", "name=value"},
		{attributes, "a=100%", "a % that is not part of an escape", "%25"},
		{attributes, `a=say "no`, "a quote", "%22"},
		{attributes, "a=%ff", "not UTF-8", "UTF-8"},
		{service, "caf\xe9", "not UTF-8", "UTF-8"},
	} {
		_, problems := loadEnv(t, set(test.variable, test.value), nil, Need{Push: true})
		if len(problems) != 1 || problems[0].Setting != test.variable ||
			!strings.Contains(problems[0].What, test.what) || !strings.Contains(problems[0].Remedy, test.remedy) {
			t.Errorf("%s=%s: %v", test.variable, test.value, problems)
		}
	}
}

// pair writes a certificate and its key in PEM form.
func pair(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	return cert, key
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCertificates(t *testing.T) {
	const (
		ca, clientCert, clientKey = "OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY"
		metricsKey                = "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY"
	)
	cert, key := pair(t)
	_, otherKey := pair(t)
	text := filepath.Join(t.TempDir(), "text")
	write(t, text, "no certificate")
	https := func(more ...string) map[string]string { return set(append(more, endpoint, "https://h:4317")...) }

	c, problems := loadEnv(t, https(ca, cert, clientCert, cert, clientKey, otherKey, metricsKey, key), nil, Need{Push: true})
	if p := c.Push; problems != nil || c.Warnings != nil || p.CAFile != cert || p.CertFile != cert || p.KeyFile != key {
		t.Errorf("%v, warnings %q, %+v", problems, c.Warnings, p)
	}
	for _, test := range []struct {
		env                   map[string]string
		setting, what, remedy string
	}{
		{https(ca, "/none/ca.pem"), ca, "no such file", "path"},
		{https(ca, t.TempDir()), ca, "is a directory", "file"},
		{https(ca, text), ca, "without a PEM certificate", "-----BEGIN CERTIFICATE-----"},
		{https(ca, key), ca, "without a PEM certificate", "-----BEGIN CERTIFICATE-----"},
		{https(clientCert, cert), clientCert, "its private key is not", "set " + clientKey},
		{https(clientKey, key), clientKey, "its certificate is not", "set " + clientCert},
		{https(clientCert, cert, clientKey, "/none/key.pem"), clientKey, "no such file", "path"},
		{https(clientCert, cert, clientKey, "-----BEGIN PRIVATE KEY-----\nhush-hush"), clientKey, "cannot be read", "path"},
		{https(clientCert, cert, clientKey, otherKey), clientCert, "cannot be used as a pair", "private key"},
		{https(clientCert, cert, clientKey, text), clientCert, "cannot be used as a pair", "PEM"},
	} {
		_, problems := loadEnv(t, test.env, nil, Need{Push: true})
		if len(problems) != 1 || problems[0].Setting != test.setting ||
			!strings.Contains(problems[0].What, test.what) || !strings.Contains(problems[0].Remedy, test.remedy) {
			t.Errorf("%v: %v", test.env, problems)
		}
		if strings.Contains(problems.Error(), hush) {
			t.Errorf("shows the key: %v", problems)
		}
	}
	c, problems = loadEnv(t, set(endpoint, "http://localhost:4317", ca, cert), nil, Need{Push: true})
	if problems != nil {
		t.Error(problems)
	}
	mention(t, texts(c.Warnings), ca+" has no effect", "plain http")
}

// Headers for one vendor are not sent to another.
func TestHeadersOfAnotherHost(t *testing.T) {
	for _, test := range []struct {
		general, metrics string
		sent             bool
	}{
		{"https://api.vendor.example", "https://otlp.other.example/v1/metrics", false},
		{"https://api.vendor.example", "https://API.vendor.example:4318/v1/metrics", true},
		{"", "https://otlp.other.example/v1/metrics", true},
		{"https://api.vendor.example", "", true},
	} {
		c, problems := loadEnv(t, set(endpoint, test.general, metricsEndpoint, test.metrics,
			headers, "api-key=hush-hush", metricsForm(headers), "x-scope-orgid=home"), nil, Need{Push: true})
		if problems != nil {
			t.Errorf("%+v: %v", test, problems)
			continue
		}
		if _, sent := c.Push.Headers["api-key"]; sent != test.sent || c.Push.Headers["x-scope-orgid"] != "home" {
			t.Errorf("%+v: sent %t", test, sent)
		}
		if warned := strings.Contains(strings.Join(texts(c.Warnings), "\n"), "is not sent"); warned == test.sent {
			t.Errorf("%+v: warnings %q", test, c.Warnings)
		}
	}
}

func TestTemporality(t *testing.T) {
	const variable = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
	for value, delta := range map[string]bool{"": false, "cumulative": false, "Delta": true, "LOWMEMORY": true} {
		if c, problems := loadEnv(t, set(variable, value), nil, Need{Push: true}); problems != nil || c.Push.Delta != delta {
			t.Errorf("%q: %v, problems %v", value, c.Push.Delta, problems)
		}
	}
	if _, problems := loadEnv(t, set(variable, "sometimes"), nil, Need{Push: true}); problems == nil {
		t.Error("a value that is unknown is accepted")
	}
}
