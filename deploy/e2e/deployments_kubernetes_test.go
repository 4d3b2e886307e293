package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	klabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// cluster is what kubectl apply -k would create.
type cluster struct {
	stateful *appsv1.StatefulSet
	service  *corev1.Service
	secret   *corev1.Secret
	config   *corev1.ConfigMap
}

// kustomize builds a folder with kustomize itself and decodes the result as a
// strict API server does: no unknown and no duplicate fields.
func kustomize(dir string) (*cluster, error) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, err
	}
	manifests, err := built.AsYaml()
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(appsv1.AddToScheme(scheme), corev1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	c := &cluster{}
	for documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifests))); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return c, c.complete()
		} else if err != nil {
			return nil, err
		}
		object, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			return nil, fmt.Errorf("%w\n%s", err, document)
		}
		switch o := object.(type) {
		case *appsv1.StatefulSet:
			c.stateful = o
		case *corev1.Service:
			c.service = o
		case *corev1.Secret:
			c.secret = o
		case *corev1.ConfigMap:
			c.config = o
		default:
			return nil, fmt.Errorf("%T is not expected", o)
		}
	}
}

func (c *cluster) complete() error {
	if c.stateful == nil || c.service == nil || c.secret == nil || c.config == nil {
		return errors.New("want a StatefulSet, a Service, a Secret and a ConfigMap")
	}
	return nil
}

// kubernetesFolder copies deploy/kubernetes and adds the secret that the guide
// asks users to create.
func kubernetesFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	run(t, "cp", "-r", Source(t, "deploy", "kubernetes")+"/.", dir)
	if err := os.WriteFile(filepath.Join(dir, "secret.env"), []byte(appInDotEnv), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func applied(t *testing.T) *cluster {
	t.Helper()
	c, err := kustomize(kubernetesFolder(t))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// One agent at a time, with its own volume and enough time to finish a refresh.
func TestKubernetesStatefulSet(t *testing.T) {
	c := applied(t)
	spec := c.stateful.Spec
	if spec.Replicas == nil || *spec.Replicas != 1 {
		t.Errorf("replicas %v, want 1", spec.Replicas)
	}
	selector, err := metav1.LabelSelectorAsSelector(spec.Selector)
	if err != nil || selector.Empty() || !selector.Matches(klabels.Set(spec.Template.Labels)) {
		t.Errorf("selector %v does not select the pod with %v: %v", spec.Selector, spec.Template.Labels, err)
	}
	if grace := spec.Template.Spec.TerminationGracePeriodSeconds; grace == nil || *grace != 45 {
		t.Errorf("grace period %v, want 45", grace)
	}
	claims := spec.VolumeClaimTemplates
	if len(claims) != 1 || !slices.Equal(claims[0].Spec.AccessModes, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}) ||
		claims[0].Spec.Resources.Requests.Storage().IsZero() {
		t.Errorf("volume claims %+v", claims)
	}
	container := onlyContainer(t, c)
	mounts := map[string]string{}
	for _, m := range container.VolumeMounts {
		mounts[m.MountPath] = m.Name
	}
	if mounts["/var/lib/netatmo-agent"] != claims[0].Name {
		t.Errorf("the image's volume is not on the claim: %v", mounts)
	}
	for _, v := range spec.Template.Spec.Volumes {
		if mounts["/tmp"] != v.Name || v.EmptyDir == nil {
			t.Errorf("nowhere to write the heartbeat: %v, %+v", mounts, v)
		}
	}
	for name, list := range map[string]corev1.ResourceList{"requests": container.Resources.Requests, "limits": container.Resources.Limits} {
		if list.Memory().IsZero() {
			t.Errorf("no memory in %s", name)
		}
	}
	// A service called netatmo would give the agent variables that look like
	// settings.
	if links := spec.Template.Spec.EnableServiceLinks; links == nil || *links {
		t.Error("service links are on")
	}
}

func onlyContainer(t *testing.T, c *cluster) corev1.Container {
	t.Helper()
	pod := c.stateful.Spec.Template.Spec
	if len(pod.Containers) != 1 || len(pod.InitContainers) != 0 {
		t.Fatalf("containers %v and %v, want one", pod.Containers, pod.InitContainers)
	}
	return pod.Containers[0]
}

// Both probes read the heartbeat. There is no readiness probe, because the
// agent serves no clients.
func TestKubernetesProbes(t *testing.T) {
	container := onlyContainer(t, applied(t))
	for name, probe := range map[string]*corev1.Probe{"liveness": container.LivenessProbe, "startup": container.StartupProbe} {
		if probe == nil || probe.Exec == nil || !slices.Equal(probe.Exec.Command, []string{"/netatmo-agent", "check", "--live"}) {
			t.Errorf("%s probe %v", name, probe)
			continue
		}
		// An agent may wait this long for the token file at its start.
		if patience := probe.PeriodSeconds * probe.FailureThreshold; patience <= 105 || probe.TimeoutSeconds < 5 {
			t.Errorf("%s probe gives up after %d s, or %d s for one try", name, patience, probe.TimeoutSeconds)
		}
	}
	if container.ReadinessProbe != nil {
		t.Error("an agent that waits for a login cannot be reached to log in")
	}
}

// A namespace that enforces the strictest of the Pod Security Standards admits
// the pod, according to the code of its admission plugin.
func TestKubernetesPodIsRestricted(t *testing.T) {
	template := applied(t).stateful.Spec.Template
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	verdict := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &template.ObjectMeta, &template.Spec))
	if !verdict.Allowed {
		t.Errorf("forbidden: %s (%s)", verdict.ForbiddenReason(), verdict.ForbiddenDetail())
	}
	if s := template.Spec.SecurityContext; *s.RunAsUser != imageUser || *s.RunAsGroup != imageUser || *s.FSGroup != imageUser {
		t.Errorf("runs as %d:%d, volume of %d; the image's user is %d", *s.RunAsUser, *s.RunAsGroup, *s.FSGroup, imageUser)
	}
	if s := template.Spec.Containers[0].SecurityContext; s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
		t.Error("the root file system can be written")
	}
	if token := template.Spec.AutomountServiceAccountToken; token == nil || *token {
		t.Error("the pod gets a token for the cluster")
	}
}

// The service is the one that a StatefulSet requires, and leads to the pages.
func TestKubernetesService(t *testing.T) {
	c := applied(t)
	if c.stateful.Spec.ServiceName != c.service.Name || c.service.Spec.ClusterIP != corev1.ClusterIPNone {
		t.Errorf("the StatefulSet needs the headless service %q, but there is %q with cluster IP %q",
			c.stateful.Spec.ServiceName, c.service.Name, c.service.Spec.ClusterIP)
	}
	if !klabels.SelectorFromSet(c.service.Spec.Selector).Matches(klabels.Set(c.stateful.Spec.Template.Labels)) {
		t.Errorf("the service selects %v, the pod has %v", c.service.Spec.Selector, c.stateful.Spec.Template.Labels)
	}
	ports := c.service.Spec.Ports
	if len(ports) != 1 || ports[0].Port != 9210 || ports[0].Protocol != corev1.ProtocolTCP {
		t.Fatalf("ports %+v, want 9210", ports)
	}
	container := onlyContainer(t, c)
	if p := container.Ports; len(p) != 1 || p[0].Name != ports[0].TargetPort.StrVal || p[0].ContainerPort != 9210 {
		t.Errorf("the service leads to port %s, the container has %+v", ports[0].TargetPort.StrVal, p)
	}
}

// The agent gets its settings from the map and the secret that kustomize
// created, and each of them is a setting.
func TestKubernetesSettings(t *testing.T) {
	c := applied(t)
	container := onlyContainer(t, c)
	if e := container.EnvFrom; len(e) != 2 || e[0].ConfigMapRef.Name != c.config.Name || e[1].SecretRef.Name != c.secret.Name {
		t.Errorf("environment from %+v, want from %s and %s", e, c.config.Name, c.secret.Name)
	}
	if c.secret.Name == "netatmo-agent" {
		t.Error("a changed secret would not restart the pod")
	}
	env := Env{}
	for name, value := range c.secret.Data {
		env[name] = string(value)
	}
	agent := NewAgent(t, env.With(c.config.Data))
	if got := agent.Command("check", "--offline"); got.Code != 3 || strings.Contains("\n"+got.Output, "\nwarn") {
		t.Errorf("check ends with %d, want 3 for the missing login, and no warning:\n%s", got.Code, got.Output)
	}
	for _, name := range []string{c.stateful.Name, c.service.Name, c.secret.Name, c.config.Name} {
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

// The tests above prove something only if the decoder rejects mistakes.
func TestKustomizeRefusesMistakes(t *testing.T) {
	for name, tt := range map[string]struct{ file, old, replacement string }{
		"unknown field in a manifest":          {"statefulset.yaml", "replicas: 1", "replica: 1"},
		"field twice":                          {"statefulset.yaml", "replicas: 1", "replicas: 1\n  replicas: 1"},
		"wrong type":                           {"service.yaml", "port: 9210", "port: login"},
		"bad quantity":                         {"statefulset.yaml", "storage: 16Mi", "storage: 16 MB"},
		"unknown field of the kustomization":   {"kustomization.yaml", "images:", "image:"},
		"manifest that is not there":           {"kustomization.yaml", "- service.yaml", "- services.yaml"},
		"secret of a file that is not there":   {"kustomization.yaml", "secret.env]", "secrets.env]"},
		"kind that is not expected":            {"service.yaml", "kind: Service", "kind: Pod"},
		"kind that this version does not know": {"service.yaml", "apiVersion: v1", "apiVersion: v1beta1"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := kubernetesFolder(t)
			path := filepath.Join(dir, tt.file)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(replaceOnce(t, string(b), tt.old, tt.replacement)), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := kustomize(dir); err == nil {
				t.Error("is accepted")
			}
		})
	}
}
