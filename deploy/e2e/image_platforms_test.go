package e2e

import (
	"debug/elf"
	"encoding/json"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The platforms that the Dockerfile documents, built from the unchanged file.
// The compiler runs on the building machine, so nothing is emulated.
func TestImagePlatforms(t *testing.T) {
	t.Parallel()
	images := NewImages(t)
	images.StandIn(goImage(t))
	for _, tt := range []struct {
		platform string
		machine  elf.Machine
		want     map[string]string // settings of the build
	}{
		{"linux/amd64", elf.EM_X86_64, map[string]string{"GOARCH": "amd64", "GOAMD64": "v1"}},
		{"linux/arm64", elf.EM_AARCH64, map[string]string{"GOARCH": "arm64", "GOARM64": "v8.0"}},
		{"linux/arm/v7", elf.EM_ARM, map[string]string{"GOARCH": "arm", "GOARM": "7"}},
		{"linux/arm/v6", elf.EM_ARM, map[string]string{"GOARCH": "arm", "GOARM": "6"}},
	} {
		t.Run(tt.platform, func(t *testing.T) {
			tag := "localhost/netatmo-agent:" + strings.ReplaceAll(tt.platform, "/", "-")
			// Docker sets BUILDPLATFORM, but this version of buildah does not.
			images.Build(tag, "--platform", tt.platform, "--build-arg", "BUILDPLATFORM=linux/"+runtime.GOARCH)
			if got := imageArchitecture(t, images, tag); got != tt.want["GOARCH"] {
				t.Errorf("the image says that it is for %q", got)
			}
			checkImageConfig(t, images, tag)
			root := images.Mount(images.Container(tag))
			checkImageFiles(t, root)
			binary := filepath.Join(root, "netatmo-agent")
			settings := buildSettings(t, binary)
			for name, want := range tt.want {
				if settings[name] != want {
					t.Errorf("built with %s=%s, want %s", name, settings[name], want)
				}
			}
			checkELF(t, binary, tt.machine)
		})
	}
}

// imageArchitecture is what an engine compares with its machine. It excludes
// the variant: buildah 1.28 says v7 for every arm.
func imageArchitecture(t *testing.T, images *Images, tag string) string {
	t.Helper()
	var image struct {
		Docker struct{ Architecture, OS string }
	}
	if err := json.Unmarshal([]byte(images.buildah("inspect", "--type", "image", tag)), &image); err != nil {
		t.Fatal(err)
	}
	if image.Docker.OS != "linux" {
		t.Errorf("the image says that it is for %q", image.Docker.OS)
	}
	return image.Docker.Architecture
}

// checkELF checks the machine of a program, and that it needs no loader,
// because the image has none.
func checkELF(t *testing.T, binary string, machine elf.Machine) {
	t.Helper()
	f, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Machine != machine {
		t.Errorf("the program is for %v, want %v", f.Machine, machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the program is not linked statically")
		}
	}
}
