package install

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLintianIsSilent(t *testing.T) {
	debs, err := filepath.Glob(filepath.Join(release(t), "*.deb"))
	if err != nil || len(debs) != 4 {
		t.Fatalf("packages %v, %v", debs, err)
	}
	if out := run(t, "", "lintian", append([]string{"--allow-root", "--no-cfg"}, debs...)...); out != "" {
		t.Error(out)
	}
	// It does find a fault.
	dir := t.TempDir()
	run(t, dir, "dpkg-deb", "--raw-extract", debs[0], "x")
	if err := os.Remove(filepath.Join(dir, "x/usr/share/lintian/overrides/netatmo-agent")); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "dpkg-deb", "--build", "--root-owner-group", "x", "x.deb")
	if out, err := try(dir, "lintian", "--allow-root", "--no-cfg", "x.deb"); err == nil || !strings.Contains(out, "statically-linked-binary") {
		t.Errorf("lintian finds nothing without the overrides: %v\n%s", err, out)
	}
}

func TestManualIsWellFormed(t *testing.T) {
	dir := t.TempDir()
	run(t, dir, "dpkg-deb", "--extract", only(t, release(t), "*_amd64.deb"), "x")
	page := filepath.Join(dir, "x/usr/share/man/man1/netatmo-agent.1.gz")
	if out, _ := try("", "mandoc", "-T", "lint", "-W", "warning", page); strings.Contains(out, ": WARNING: ") || strings.Contains(out, ": ERROR: ") {
		t.Error(out)
	}
	text := run(t, "", "mandoc", "-T", "utf8", "-O", "width=100", page)
	for _, want := range []string{"NETATMO_CLIENT_ID", "OTEL_EXPORTER_OTLP_ENDPOINT", "backfill", "/etc/netatmo-agent/NAME.env"} {
		if !strings.Contains(strings.ReplaceAll(text, "\b", ""), want) {
			// A bold word has every letter twice.
			if plain := run(t, "", "sh", "-c", "mandoc -T ascii '"+page+"' | sed 's/.\\x08//g'"); !strings.Contains(plain, want) {
				t.Errorf("the page does not name %s", want)
			}
		}
	}
}

// bash completes the commands and the values of settings.
func TestCompletionInBash(t *testing.T) {
	dir := t.TempDir()
	run(t, dir, "dpkg-deb", "--extract", only(t, release(t), "*_amd64.deb"), "x")
	script := `
source /usr/share/bash-completion/bash_completion
source x/usr/share/bash-completion/completions/netatmo-agent
PATH=$PWD/x/usr/bin:$PATH
offer() {
  COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*"
  COMP_POINT=${#COMP_LINE} COMPREPLY=()
  __start_netatmo-agent
  echo "${COMPREPLY[*]}"
}
offer netatmo-agent back
offer netatmo-agent run --log-for`
	out := run(t, dir, "bash", "-c", script)
	for _, want := range []string{"backfill", "--log-format"} {
		if !strings.Contains(out, want) {
			t.Errorf("bash does not offer %s:\n%s", want, out)
		}
	}
}

// The image has the four platforms, and the labels and the names of the
// Dockerfile's image.
func TestImages(t *testing.T) {
	dir := t.TempDir()
	run(t, dir, "tar", "-xf", only(t, release(t), "*_images.oci.tar"))
	var index, list struct {
		Manifests []struct {
			Digest   string
			Platform struct{ Architecture, Variant string }
		}
	}
	readJSON(t, filepath.Join(dir, "index.json"), &index)
	if len(index.Manifests) != 1 {
		t.Fatalf("index %+v", index)
	}
	blob := func(digest string) string {
		return filepath.Join(dir, "blobs/sha256", strings.TrimPrefix(digest, "sha256:"))
	}
	readJSON(t, blob(index.Manifests[0].Digest), &list)
	var platforms []string
	for _, m := range list.Manifests {
		platforms = append(platforms, strings.TrimSuffix(m.Platform.Architecture+"/"+m.Platform.Variant, "/"))
		var manifest struct{ Config struct{ Digest string } }
		readJSON(t, blob(m.Digest), &manifest)
		var image struct {
			Architecture string
			Config       struct {
				User         string
				Env          []string
				Entrypoint   []string
				Labels       map[string]string
				Volumes      map[string]any
				ExposedPorts map[string]any
			}
		}
		readJSON(t, blob(manifest.Config.Digest), &image)
		c := image.Config
		if image.Architecture != m.Platform.Architecture {
			t.Errorf("%s is called %s", image.Architecture, m.Platform.Architecture)
		}
		if c.User != "65534:65534" || !slices.Equal(c.Entrypoint, []string{"/netatmo-agent"}) || !slices.Contains(c.Env, "XDG_STATE_HOME=/var/lib") ||
			c.Volumes["/var/lib/netatmo-agent"] == nil || c.ExposedPorts["9210/tcp"] == nil {
			t.Errorf("configuration %+v", c)
		}
		if c.Labels["org.opencontainers.image.version"] != version || len(c.Labels["org.opencontainers.image.revision"]) != 40 ||
			c.Labels["org.opencontainers.image.licenses"] != "Apache-2.0" {
			t.Errorf("labels %v", c.Labels)
		}
	}
	if slices.Sort(platforms); !slices.Equal(platforms, []string{"amd64", "arm/v6", "arm/v7", "arm64/v8"}) && !slices.Equal(platforms, []string{"amd64", "arm/v6", "arm/v7", "arm64"}) {
		t.Errorf("platforms %v", platforms)
	}
	tags, err := os.ReadFile(filepath.Join(release(t), "image-tags"))
	if err != nil || string(tags) != "0.1.0\n0.1\nlatest\n" {
		t.Errorf("tags %q, %v", tags, err)
	}
}

func readJSON(t *testing.T, file string, into any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
