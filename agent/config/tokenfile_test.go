package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func TestTokenFile(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	const legacy = "/var/lib/netatmo-exporter/netatmo-token.json"
	for _, test := range []struct {
		name, want string
		env        map[string]string
		legacy     bool
		flag       string
	}{
		{"home", "/home/ada/.local/state/netatmo-agent/token.json", nil, false, ""},
		{"XDG", "/var/lib/netatmo-agent/token.json", map[string]string{"XDG_STATE_HOME": "/var/lib"}, false, ""},
		{"XDG that is not absolute", "/home/ada/.local/state/netatmo-agent/token.json", map[string]string{"XDG_STATE_HOME": "state"}, false, ""},
		{"systemd", "/var/lib/a/token.json", map[string]string{"STATE_DIRECTORY": "/var/lib/a", "XDG_STATE_HOME": "/xdg"}, false, ""},
		{"systemd with two directories", "/var/lib/a/token.json", map[string]string{"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, false, ""},
		{"variable", "/data/t.json", map[string]string{"NETATMO_TOKEN_FILE": "/data/t.json", "STATE_DIRECTORY": "/var/lib/a"}, true, ""},
		{"flag", "/flag.json", map[string]string{"NETATMO_TOKEN_FILE": "/data/t.json"}, false, "/flag.json"},
		{"relative", filepath.Join(here, "t.json"), map[string]string{"NETATMO_TOKEN_FILE": "t.json"}, false, ""},
		{"tilde that no shell expanded", "/home/ada/t.json", map[string]string{"NETATMO_TOKEN_FILE": "~/t.json"}, false, ""},
		{"exporter's variable", "/usr/token.json", map[string]string{"NETATMO_EXPORTER_TOKEN_FILE": "/usr/token.json"}, true, ""},
		{"ours before exporter's", "/data/t.json", map[string]string{"NETATMO_EXPORTER_TOKEN_FILE": "/usr/token.json", "NETATMO_TOKEN_FILE": "/data/t.json"}, false, ""},
		{"exporter's file", legacy, map[string]string{"XDG_STATE_HOME": "/var/lib"}, true, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			setEnv(t, test.env)
			root := fstest.MapFS{}
			if test.legacy {
				root[legacy[1:]] = &fstest.MapFile{Data: []byte("{}")}
			}
			flags := map[string]string{}
			if test.flag != "" {
				flags["token-file"] = test.flag
			}
			c, err := load(flags, Need{}, root)
			if err != nil || c.TokenFile != test.want || c.StateDir != filepath.Dir(test.want) {
				t.Errorf("%q in %q, %v; want %q", c.TokenFile, c.StateDir, err, test.want)
			}
			if said := len(c.Warnings) > 0; said != (test.want == legacy) {
				t.Errorf("warnings %q", c.Warnings)
			}
		})
	}
	t.Run("nowhere", func(t *testing.T) {
		_, problems := loadEnv(t, map[string]string{"HOME": ""}, nil, Need{})
		mention(t, texts(problems), "NETATMO_TOKEN_FILE is not set", "no home directory", "/var/lib/netatmo-agent/token.json")
	})
}

// Lines of /proc/self/mountinfo.
const (
	overlayRoot = "1037 868 0:82 / / rw,relatime master:300 - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/A:/var/lib/docker/overlay2/l/B\n" +
		"1040 1037 0:85 / /proc rw,nosuid - proc proc rw\n" +
		"1049 1037 0:84 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755\n" +
		"1060 1037 254:1 /var/lib/docker/containers/c/hostname /etc/hostname rw,relatime - ext4 /dev/vda1 rw\n"
	namedVolume     = "1061 1037 254:1 /var/lib/docker/volumes/netatmo/_data /var/lib/netatmo-agent rw,relatime master:1 - ext4 /dev/vda1 rw\n"
	anonymous       = "1061 1037 254:1 /docker/volumes/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef/_data /var/lib/netatmo-agent rw - ext4 /dev/vda1 rw\n"
	memory          = "1062 1037 0:90 / /var/lib/netatmo-agent rw,nosuid - tmpfs tmpfs rw\n"
	diskRoot        = "27 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
	blankInName     = "1063 1037 254:1 /srv/my\\040data /my\\040data rw - ext4 /dev/vda1 rw\n"
	btrfsRoot       = "1037 868 0:33 /@syno/@docker/btrfs/subvolumes/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef / rw,relatime - btrfs /dev/mapper/cachedev_0 rw\n"
	vfsRoot         = "1037 868 254:1 /var/lib/docker/vfs/dir/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef / rw,relatime - ext4 /dev/vda1 rw\n"
	fuseOverlayRoot = "700 600 0:50 / / rw,nodev - fuse.fuse-overlayfs fuse-overlayfs rw\n"
)

func TestTokenFileInAContainer(t *testing.T) {
	docker := map[string]string{".dockerenv": ""}
	const path = "/var/lib/netatmo-agent/token.json"
	for _, test := range []struct {
		name      string
		container map[string]string
		kube      string
		path      string
		mounts    string
		warning   string
	}{
		{"docker without a volume", docker, "", path, overlayRoot, "not on a volume"},
		{"podman without a volume", map[string]string{"run/.containerenv": ""}, "", path, fuseOverlayRoot, "not on a volume"},
		{"kubernetes without a volume", nil, "10.0.0.1", path, overlayRoot, "not on a volume"},
		{"container known by its group", map[string]string{"proc/1/cgroup": "12:cpu:/kubepods/pod1/2\n"}, "", path, overlayRoot, "not on a volume"},
		{"docker on btrfs", docker, "", path, btrfsRoot, "not on a volume"},
		{"docker with vfs", docker, "", path, vfsRoot, "not on a volume"},
		{"named volume on btrfs", docker, "", path, btrfsRoot + namedVolume, ""},
		{"named volume", docker, "", path, overlayRoot + namedVolume, ""},
		{"volume elsewhere", docker, "", "/var/lib/netatmo-agent2/token.json", overlayRoot + namedVolume, "not on a volume"},
		{"single mounted file", docker, "", "/etc/hostname", overlayRoot, ""},
		{"volume without a name", docker, "", path, overlayRoot + anonymous, "anonymous volume"},
		{"memory", docker, "", path, overlayRoot + memory, "in memory only"},
		{"named volume over memory", docker, "", path, overlayRoot + memory + namedVolume, ""},
		{"mount with a blank", docker, "", "/my data/token.json", overlayRoot + blankInName, ""},
		{"container with a disk of its own", docker, "", path, diskRoot, ""},
		{"no container", nil, "", path, overlayRoot, ""},
		{"group of a machine", map[string]string{"proc/1/cgroup": "0::/init.scope\n"}, "", path, overlayRoot, ""},
		{"unreadable lines", docker, "", path, "\n - \nx y z\n1 2 3 4 5\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			env := map[string]string{"NETATMO_TOKEN_FILE": test.path}
			if test.kube != "" {
				env["KUBERNETES_SERVICE_HOST"] = test.kube
			}
			setEnv(t, env)
			root := fstest.MapFS{"proc/self/mountinfo": &fstest.MapFile{Data: []byte(test.mounts)}}
			for name, content := range test.container {
				root[name] = &fstest.MapFile{Data: []byte(content)}
			}
			c, err := load(nil, Need{}, root)
			if err != nil {
				t.Fatal(err)
			}
			if test.warning == "" {
				if c.Warnings != nil {
					t.Errorf("warnings %q, want none", c.Warnings)
				}
				return
			}
			mention(t, texts(c.Warnings), test.path, test.warning, "dies with the container", filepath.Dir(test.path))
		})
	}
}

func TestTokenFileBehindALink(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "volume"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("volume", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	setEnv(t, map[string]string{"NETATMO_TOKEN_FILE": filepath.Join(dir, "link", "token.json")})
	mounts := overlayRoot + strings.ReplaceAll(namedVolume, "/var/lib/netatmo-agent", filepath.Join(dir, "volume"))
	c, err := load(nil, Need{}, fstest.MapFS{".dockerenv": {}, "proc/self/mountinfo": {Data: []byte(mounts)}})
	if err != nil || c.Warnings != nil {
		t.Errorf("%v, warnings %q: the volume behind the link was not seen", err, c.Warnings)
	}
}
