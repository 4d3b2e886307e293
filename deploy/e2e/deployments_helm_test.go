package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	klabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

// kubeVersion is the version of Kubernetes that the chart is rendered for.
const kubeVersion = "1.33.0"

// Separate, because the first run builds Helm, which takes minutes.
func TestToolsHelm(t *testing.T) {
	if out := run(t, Helm(t), "version", "--short"); !strings.HasPrefix(helmVersion, out) {
		t.Errorf("version %s, want %s", out, helmVersion)
	}
}

// chart is what helm install would create, by kind and name.
type chart struct {
	stateful map[string]*appsv1.StatefulSet
	services map[string]*corev1.Service
	secrets  map[string]*corev1.Secret
	configs  map[string]*corev1.ConfigMap
	ingress  map[string]*networkingv1.Ingress
	rules    *unstructured.Unstructured
}

// renderChart renders the chart with Helm as the release "rel" and decodes the
// result as a strict API server does.
func renderChart(t *testing.T, values string) (*chart, error) {
	t.Helper()
	file := t.TempDir() + "/values.yaml"
	if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(Helm(t), "template", "rel", Source(t, "deploy", "helm"), "--values", file, "--kube-version", kubeVersion)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, &stderr)
	}
	return decodeChart(out)
}

func decodeChart(manifests []byte) (*chart, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(appsv1.AddToScheme(scheme), corev1.AddToScheme(scheme), networkingv1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	c := &chart{map[string]*appsv1.StatefulSet{}, map[string]*corev1.Service{}, map[string]*corev1.Secret{}, map[string]*corev1.ConfigMap{}, map[string]*networkingv1.Ingress{}, nil}
	for documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifests))); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return c, nil
		} else if err != nil {
			return nil, err
		}
		if bytes.Contains(document, []byte("kind: PrometheusRule")) { // from an operator, not Kubernetes
			c.rules = &unstructured.Unstructured{}
			if err := yaml.UnmarshalStrict(document, &c.rules.Object); err != nil {
				return nil, err
			}
			continue
		}
		object, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			return nil, fmt.Errorf("%w\n%s", err, document)
		}
		if err := c.add(object); err != nil {
			return nil, err
		}
	}
}

func (c *chart) add(object runtime.Object) error {
	switch o := object.(type) {
	case *appsv1.StatefulSet:
		c.stateful[o.Name] = o
	case *corev1.Service:
		c.services[o.Name] = o
	case *corev1.Secret:
		c.secrets[o.Name] = o
	case *corev1.ConfigMap:
		c.configs[o.Name] = o
	case *networkingv1.Ingress:
		c.ingress[o.Name] = o
	default:
		return fmt.Errorf("%T is not expected", o)
	}
	return nil
}

// account returns one account of a chart as the type that the kustomization
// has.
func (c *chart) account(t *testing.T, name string) *cluster {
	t.Helper()
	one := &cluster{c.stateful[name], c.services[name], c.secrets[name], c.configs[name]}
	if err := one.complete(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for key, value := range one.secret.StringData { // as the API server does
		if one.secret.Data == nil {
			one.secret.Data = map[string][]byte{}
		}
		one.secret.Data[key] = []byte(value)
	}
	return one
}

func mustRender(t *testing.T, values string) *chart {
	t.Helper()
	c, err := renderChart(t, values)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const oneAccount = "accounts: {home: {clientID: " + ClientID + ", clientSecret: " + ClientSecret + "}}\n"

const wholeChart = `
accounts:
  home: {clientID: id, clientSecret: secret, externalURL: "https://netatmo.example.org/home", settings: {NETATMO_DEVICES: "weather,energy"}}
  cabin: {existingSecret: netatmo-cabin}
settings: {NETATMO_DEVICES: weather, NETATMO_FAVORITES: true}
image: {repository: registry.example.org/netatmo-agent, tag: 1.2.3, pullSecrets: [registry]}
otlp: {endpoint: "https://otlp-gateway-prod-eu-west-2.grafana.net/otlp", headers: "Authorization: Basic MTIzNDU2OmdsY19zZWNyZXQ="}
storage: {size: 32Mi, storageClass: fast}
ingress: {enabled: true, className: nginx, annotations: {a: b}, tlsSecret: netatmo-tls}
prometheusRule: {enabled: true, labels: {release: prometheus}}
dashboard: {enabled: true}
`

func TestHelmLintIsSilent(t *testing.T) {
	for name, values := range map[string]string{"one account": oneAccount, "everything": wholeChart} {
		file := t.TempDir() + "/values.yaml"
		if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(Helm(t), "lint", "--strict", "--quiet", "--kube-version", kubeVersion, Source(t, "deploy", "helm"), "--values", file).CombinedOutput()
		if err != nil || strings.Contains(string(out), "[WARNING]") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// An account of the chart equals what the kustomization creates, except for
// names and labels.
func TestHelmAndKustomizeAreTheSame(t *testing.T) {
	plain, helm := applied(t), mustRender(t, oneAccount).account(t, "rel-home")
	want, got := plain.stateful.Spec, helm.stateful.Spec
	for _, spec := range []*appsv1.StatefulSetSpec{&want, &got} {
		container := &spec.Template.Spec.Containers[0]
		if container.EnvFrom[0].ConfigMapRef == nil || container.EnvFrom[1].SecretRef == nil {
			t.Fatalf("environment from %+v", container.EnvFrom)
		}
		container.EnvFrom = nil // their names
		spec.Selector, spec.ServiceName = nil, ""
		spec.Template.Labels, spec.Template.Annotations = nil, nil
	}
	if !reflect.DeepEqual(want, got) {
		a, _ := yaml.Marshal(want)
		b, _ := yaml.Marshal(got)
		t.Errorf("the chart has\n%s\nthe kustomization\n%s", b, a)
	}
	if !reflect.DeepEqual(plain.config.Data, helm.config.Data) || !reflect.DeepEqual(plain.secret.Data, helm.secret.Data) {
		t.Errorf("settings %v, the kustomization has %v", helm.config.Data, plain.config.Data)
	}
	want2, got2 := plain.service.Spec, helm.service.Spec
	want2.Selector, got2.Selector = nil, nil
	if !reflect.DeepEqual(want2, got2) {
		t.Errorf("service %+v, the kustomization has %+v", got2, want2)
	}
}

// The accounts are independent, and the objects of each match.
func TestHelmAccountsAreApart(t *testing.T) {
	c := mustRender(t, wholeChart)
	if len(c.stateful) != 2 || len(c.services) != 2 || len(c.configs) != 3 || len(c.secrets) != 2 {
		t.Errorf("%d StatefulSets, %d Services, %d ConfigMaps, %d Secrets", len(c.stateful), len(c.services), len(c.configs), len(c.secrets))
	}
	for name, s := range c.stateful {
		pod := s.Spec.Template
		for other, service := range c.services {
			if selects := klabels.SelectorFromSet(service.Spec.Selector).Matches(klabels.Set(pod.Labels)); selects != (name == other) {
				t.Errorf("the service %s selects the pod of %s: %v", other, name, selects)
			}
		}
		if s.Spec.ServiceName != name || pod.Spec.Containers[0].EnvFrom[0].ConfigMapRef.Name != name {
			t.Errorf("%s has the service %s and settings from %+v", name, s.Spec.ServiceName, pod.Spec.Containers[0].EnvFrom)
		}
		if got := pod.Spec.Containers[0].Image; got != "registry.example.org/netatmo-agent:1.2.3" {
			t.Errorf("image %s", got)
		}
		evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
		if err != nil {
			t.Fatal(err)
		}
		verdict := policy.AggregateCheckResults(evaluator.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &pod.ObjectMeta, &pod.Spec))
		if !verdict.Allowed {
			t.Errorf("%s is forbidden: %s", name, verdict.ForbiddenDetail())
		}
	}
	if got := c.stateful["rel-cabin"].Spec.Template.Spec.Containers[0].EnvFrom[1].SecretRef.Name; got != "netatmo-cabin" {
		t.Errorf("the cabin's app comes from %s", got)
	}
	home, cabin := c.configs["rel-home"].Data, c.configs["rel-cabin"].Data
	if home["NETATMO_DEVICES"] != "weather,energy" || cabin["NETATMO_DEVICES"] != "weather" || cabin["NETATMO_FAVORITES"] != "true" {
		t.Errorf("settings %v and %v", home, cabin)
	}
}

// The agent accepts the settings and the header that the chart passes.
func TestHelmSettings(t *testing.T) {
	c := mustRender(t, wholeChart)
	one := c.account(t, "rel-home")
	headers := t.TempDir() + "/headers"
	if err := os.WriteFile(headers, []byte(c.secrets["rel-otlp"].StringData["headers"]), 0o600); err != nil {
		t.Fatal(err)
	}
	mounted := false
	for _, m := range one.stateful.Spec.Template.Spec.Containers[0].VolumeMounts {
		mounted = mounted || m.MountPath+"/headers" == one.config.Data["OTEL_EXPORTER_OTLP_HEADERS_FILE"]
	}
	if !mounted {
		t.Error("the file with the headers is not mounted where the settings name it")
	}
	env := Env{}.With(one.config.Data)
	for name, value := range one.secret.Data {
		env[name] = string(value)
	}
	env["OTEL_EXPORTER_OTLP_HEADERS_FILE"] = headers
	if got := NewAgent(t, env).Command("check", "--offline"); got.Code != 3 || !strings.Contains(got.Output, "https://netatmo.example.org/home/auth/callback") {
		t.Errorf("check ends with %d, want 3 for the missing login:\n%s", got.Code, got.Output)
	}
}

func TestHelmExtras(t *testing.T) {
	c := mustRender(t, wholeChart)
	in, ok := c.ingress["rel-home"]
	if !ok || len(c.ingress) != 1 {
		t.Fatalf("ingresses %v, want one for the account with an external URL", c.ingress)
	}
	rule := in.Spec.Rules[0]
	path := rule.HTTP.Paths[0]
	if rule.Host != "netatmo.example.org" || path.Path != "/home" || path.Backend.Service.Name != "rel-home" ||
		*in.Spec.IngressClassName != "nginx" || !slices.Equal(in.Spec.TLS[0].Hosts, []string{"netatmo.example.org"}) {
		t.Errorf("ingress %+v", in.Spec)
	}
	var alerts map[string]any
	strictYAML(t, Source(t, "deploy", "alerts.yaml"), &alerts)
	if c.rules == nil || !reflect.DeepEqual(c.rules.Object["spec"], any(alerts)) {
		t.Error("the PrometheusRule does not contain the rules of alerts.yaml; run: cp deploy/alerts.yaml deploy/helm/files/")
	}
	dashboard, err := os.ReadFile(Source(t, "deploy", "grafana", "netatmo.json"))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.configs["rel-dashboard"].Data["netatmo.json"]; strings.TrimSpace(got) != strings.TrimSpace(string(dashboard)) {
		t.Error("the ConfigMap does not contain the dashboard; run: cp deploy/grafana/netatmo.json deploy/helm/files/")
	}
	if plain := mustRender(t, oneAccount); len(plain.ingress) != 0 || plain.rules != nil || len(plain.configs) != 1 {
		t.Error("an object exists that was not enabled")
	}
}

// A changed setting or secret restarts the pod.
func TestHelmRestartsForAChange(t *testing.T) {
	sum := func(values string) string {
		return mustRender(t, values).stateful["rel-home"].Spec.Template.Annotations["checksum/settings"]
	}
	first := sum(oneAccount)
	for _, changed := range []string{oneAccount + "settings: {NETATMO_DEVICES: energy}\n", strings.Replace(oneAccount, ClientSecret, "another", 1)} {
		if sum(changed) == first {
			t.Errorf("no restart for\n%s", changed)
		}
	}
}

func TestHelmRefusesMistakes(t *testing.T) {
	for name, tt := range map[string]struct{ values, want string }{
		"no account":              {"", "no accounts"},
		"account without an app":  {"accounts: {home: {}}", "accounts"},
		"half an app":             {"accounts: {home: {clientID: id}}", "accounts"},
		"app and Secret":          {"accounts: {home: {clientID: id, clientSecret: s, existingSecret: x}}", "accounts"},
		"account with a bad name": {"accounts: {My_Home: {existingSecret: x}}", "My_Home"},
		"unknown key":             {oneAccount + "replicas: 2", "replicas"},
		"secret among settings":   {oneAccount + "settings: {NETATMO_CLIENT_SECRET: s}", "NETATMO_CLIENT_SECRET"},
		"setting of another":      {oneAccount + "settings: {HTTP_PORT: 1}", "HTTP_PORT"},
		"URL without a scheme":    {"accounts: {home: {existingSecret: x, externalURL: example.org}}", "externalURL"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := renderChart(t, tt.values); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one that names %q", err, tt.want)
			}
		})
	}
}
