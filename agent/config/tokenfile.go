package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// exporterTokenFile is where the image of netatmo-exporter keeps its token.
const exporterTokenFile = "/var/lib/netatmo-exporter/netatmo-token.json"

// OtherTokenFile is the remedy where the token file or its directory cannot be
// used.
const OtherTokenFile = "set NETATMO_TOKEN_FILE to a file in a directory that lasts and that this user may write"

// tokenFile returns the path of the token file and its directory.
func (l *loader) tokenFile(text string) (path, dir string) {
	const variable = "NETATMO_TOKEN_FILE"
	switch {
	case text != "":
		path = text
	case l.exists(exporterTokenFile):
		path = exporterTokenFile
		l.warn(variable, "is not set, so the token file of netatmo-exporter is used, "+path, "")
	default:
		dir, err := stateDir()
		if err != nil {
			l.problem(variable, "is not set, and there is no home directory for the default", "set it to the path of a file that survives restarts, such as /var/lib/netatmo-agent/token.json")
			return "", ""
		}
		path = filepath.Join(dir, "token.json")
	}
	if strings.HasSuffix(path, "/") {
		l.problem(variable, "names a directory", "set it to a file in it: "+path+"token.json")
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
		l.warnings = append(l.warnings, Problem{"the token file " + path, fate + ": the login dies with the container", "mount a named volume at " + dir})
	}
	return path, dir
}

// stateDir is where the token file stands by default. The XDG base directory
// specification asks to ignore a path that is not absolute.
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

// fateInContainer says in words why path will not outlive the container that
// we run in; empty if it will, or if we run in none.
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

// mountOf returns the mount that holds path: the longest mount point above it,
// and of those at the same point the last, which hides the others.
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

// anonymousVolume is how Docker and Podman keep a volume that has no name,
// such as the one they make for an image's VOLUME when none is given.
var anonymousVolume = regexp.MustCompile(`/volumes/[0-9a-f]{64}/_data(/|$)`)

// layer is where the storage drivers of Docker and Podman that need no overlay
// keep the root of a container; btrfs is Synology's.
var layer = regexp.MustCompile(`/(btrfs/subvolumes|vfs/dir)/[0-9a-f]{64}`)

func fate(m mount) string {
	switch {
	case m.point == "/" && (m.kind == "overlay" || m.kind == "fuse.fuse-overlayfs" || layer.MatchString(m.root)):
		return "is on no mount of this container"
	case m.kind == "tmpfs":
		return "is in memory only (tmpfs)"
	case anonymousVolume.MatchString(m.root):
		return "is on a volume without a name, which a new container does not get"
	}
	return ""
}
