package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// exporterTokenFile is where netatmo-exporter's image keeps its token.
const exporterTokenFile = "/var/lib/netatmo-exporter/netatmo-token.json"

// OtherTokenFile is the remedy if the token file or its directory cannot be used.
const OtherTokenFile = "set NETATMO_TOKEN_FILE to a file in a persistent directory that this user can write to"

// tokenFile returns the path of the token file and its directory.
func (l *loader) tokenFile(v variable) (path, dir string) {
	switch {
	case v.text != "":
		path = v.text
	case l.exists(exporterTokenFile):
		path = exporterTokenFile
		l.warn(v, "is not set; using netatmo-exporter's token file, "+path, "")
	default:
		dir, err := stateDir()
		if err != nil {
			l.problem(v, "is not set, and there is no home directory for the default", "set it to the path of a file that survives restarts, such as /var/lib/netatmo-agent/token.json")
			return "", ""
		}
		path = filepath.Join(dir, "token.json")
	}
	if strings.HasSuffix(path, "/") {
		l.problem(v, "names a directory", "set it to a file in it: "+path+"token.json")
	}
	if rest, found := strings.CutPrefix(path, "~/"); found {
		if home, err := os.UserHomeDir(); err == nil {
			path = filepath.Join(home, rest) // no shell has expanded it
		}
	}
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	dir = filepath.Dir(path)
	if fate := l.fateInContainer(path); fate != "" {
		l.warnings = append(l.warnings, Problem{v.Variable, "the token file " + path, fate + ": the login dies with the container", "mount a named volume at " + dir})
	}
	return path, dir
}

// stateDir returns the default directory of the token file. The XDG base directory
// specification asks to ignore relative paths.
func stateDir() (string, error) {
	if first, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); first != "" {
		return first, nil
	}
	if xdg := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(xdg) {
		return filepath.Join(xdg, "netatmo-agent"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".local", "state", "netatmo-agent"), nil
}

func (l *loader) exists(path string) bool {
	_, err := fs.Stat(l.root, strings.TrimPrefix(path, "/"))
	return err == nil
}

// fateInContainer says why path will not outlive the container that the process
// runs in. It is empty if path will, or if there is no container.
func (l *loader) fateInContainer(path string) string {
	if !l.inContainer() {
		return ""
	}
	mountinfo, err := fs.ReadFile(l.root, "proc/self/mountinfo")
	if err != nil {
		return ""
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	} else if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	return fate(mountOf(string(mountinfo), path))
}

var containerGroup = regexp.MustCompile(`docker|kubepods|containerd|libpod`)

func (l *loader) inContainer() bool {
	if l.exists("/.dockerenv") || l.exists("/run/.containerenv") || os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		return true
	}
	groups, err := fs.ReadFile(l.root, "proc/1/cgroup")
	return err == nil && containerGroup.Match(groups)
}

// mount is a line of /proc/self/mountinfo.
type mount struct {
	root  string // of the mount, within its file system
	point string // where it is mounted
	kind  string // of the file system, such as overlay or ext4
}

// mountOf returns the mount that contains path: the longest mount point above it,
// and among mounts at the same point the last, which hides the others.
func mountOf(mountinfo, path string) mount {
	var best mount
	for line := range strings.Lines(mountinfo) {
		before, after, found := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if !found || len(fields) < 5 || len(kind) == 0 {
			continue
		}
		m := mount{unescape.Replace(fields[3]), unescape.Replace(fields[4]), kind[0]}
		under := m.point == "/" || path == m.point || strings.HasPrefix(path, m.point+"/")
		if under && len(m.point) >= len(best.point) {
			best = m
		}
	}
	return best
}

// unescape undoes the four escapes of mountinfo, proc(5).
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// anonymousVolume matches a volume without a name of Docker or Podman, such as
// the one they create for an image's VOLUME.
var anonymousVolume = regexp.MustCompile(`/volumes/[0-9a-f]{64}/_data(/|$)`)

// layer matches a container's root with the storage drivers of Docker and Podman
// that do not use overlayfs; Synology uses btrfs.
var layer = regexp.MustCompile(`/(btrfs/subvolumes|vfs/dir)/[0-9a-f]{64}`)

func fate(m mount) string {
	switch {
	case m.point == "/" && (m.kind == "overlay" || m.kind == "fuse.fuse-overlayfs" || layer.MatchString(m.root)):
		return "is not on a volume or mount of this container"
	case m.kind == "tmpfs":
		return "is in memory only (tmpfs)"
	case anonymousVolume.MatchString(m.root):
		return "is on an anonymous volume, which a new container does not get"
	}
	return ""
}
