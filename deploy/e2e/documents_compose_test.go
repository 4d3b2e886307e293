package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

// composed is a compose project that runs in a world: each service with its
// command, variables and files, but as a process, and with this machine's
// program instead of the image's. The names of services resolve to loopback.
type composed struct {
	w       *world
	project *types.Project
}

func (c composed) folder(elem ...string) string {
	return filepath.Join(append([]string{c.w.State, "projects", c.project.Name}, elem...)...)
}

func (c composed) log(service string) string     { return c.folder(service + ".log") }
func (c composed) pidFile(service string) string { return c.folder(service + ".pid") }

// ordered lists the services, each after its dependencies.
func (c composed) ordered() (services []types.ServiceConfig, err error) {
	err = c.project.ForEachService(c.project.ServiceNames(), func(_ string, s *types.ServiceConfig) error {
		services = append(services, *s)
		return nil
	})
	return services, err
}

// up starts the services that do not run yet, and waits until they serve.
func (c composed) up() error {
	services, err := c.ordered()
	if err != nil {
		return err
	}
	hosts := "127.0.0.1 localhost " + strings.Join(c.project.ServiceNames(), " ") + "\n"
	if err := os.WriteFile("/etc/hosts", []byte(hosts), 0o644); err != nil { // of the world
		return err
	}
	for _, s := range services {
		if c.runs(s.Name) {
			continue
		}
		if err := c.start(s); err != nil {
			return fmt.Errorf("start %s: %w", s.Name, err)
		}
	}
	return nil
}

// containerProgram is the stand-in for an image.
type containerProgram struct {
	path  string
	env   []string
	ready func(log string) bool
}

// program finds the stand-in for the image of a service; Grafana has none.
func (c composed) program(s types.ServiceConfig) (p containerProgram, err error) {
	tools := c.w.Tools
	switch image, _, _ := strings.Cut(s.Image, ":"); image {
	case "netatmo-agent":
		p.env = imageVariables(c.folder(s.Name))
		p.path, err = c.w.build("./agent")
		p.ready = loginLink.MatchString
		if slices.Contains(s.Command, "demo") {
			p.ready = func(log string) bool { return strings.Contains(log, "pushing") }
		}
	case "otel/opentelemetry-collector":
		p.path, p.ready = tools["otelcol"], listening("collector:4317", "collector:4318")
	case "prom/prometheus":
		p.path, p.ready = tools["prometheus"], answers("http://prometheus:9090/-/ready")
	case "grafana/grafana":
	default:
		err = fmt.Errorf("there is no stand-in for the image %s", s.Image)
	}
	return p, err
}

// inRoot matches the absolute paths in arguments.
var inRoot = regexp.MustCompile(`(^|=)/`)

func (c composed) start(s types.ServiceConfig) error {
	root := c.folder(s.Name)
	if err := fillRoot(root, s.Volumes); err != nil {
		return err
	}
	p, err := c.program(s)
	if err != nil || p.path == "" {
		return err
	}
	var args []string
	for _, arg := range s.Command {
		args = append(args, inRoot.ReplaceAllString(arg, "${1}"+root+"/"))
	}
	cmd := exec.Command(p.path, args...)
	cmd.Dir, cmd.Env = root, c.environment(s, p)
	server, err := startServer(cmd, c.log(s.Name))
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.pidFile(s.Name), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
		return err
	}
	return server.wait(p.ready)
}

func (c composed) environment(s types.ServiceConfig, p containerProgram) []string {
	env := append(p.env, "TMPDIR="+c.folder(s.Name, "tmp"))
	for name, value := range s.Environment {
		env = append(env, name+"="+*value)
	}
	return env
}

// fillRoot creates the mounted part of a container's root, and a /tmp.
func fillRoot(root string, volumes []types.ServiceVolumeConfig) error {
	err := os.MkdirAll(filepath.Join(root, "tmp"), 0o700)
	for _, v := range volumes {
		target := filepath.Join(root, v.Target)
		if v.Type != types.VolumeTypeBind {
			err = errors.Join(err, os.MkdirAll(target, 0o700))
			continue
		}
		content, readErr := os.ReadFile(v.Source)
		err = errors.Join(err, readErr, os.MkdirAll(filepath.Dir(target), 0o700), os.WriteFile(target, content, 0o600))
	}
	return err
}

// pid is the process of a service, 0 if it does not run.
func (c composed) pid(service string) int {
	b, err := os.ReadFile(c.pidFile(service))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(string(b))
	if err != nil || syscall.Kill(pid, 0) != nil {
		return 0
	}
	return pid
}

func (c composed) runs(service string) bool { return c.pid(service) != 0 }

// down stops the services, each before its dependencies, and within the time
// that the file allows. It fails unless they are all services of the project.
func (c composed) down() error {
	services, err := c.ordered()
	if err != nil {
		return err
	}
	for _, s := range slices.Backward(services) {
		pid := c.pid(s.Name)
		if pid == 0 {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			return fmt.Errorf("stop %s: %w", s.Name, err)
		}
		grace := 10 * time.Second // docker's own
		if s.StopGracePeriod != nil {
			grace = time.Duration(*s.StopGracePeriod)
		}
		for deadline := time.Now().Add(grace); c.runs(s.Name); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				return fmt.Errorf("%s does not stop within %v", s.Name, grace)
			}
		}
		if err := os.Remove(c.pidFile(s.Name)); err != nil {
			return err
		}
	}
	left, err := filepath.Glob(c.pidFile("*"))
	if len(left) > 0 {
		return fmt.Errorf("these still run, their profile was not named: %v", left)
	}
	return err
}

// exec runs a command in a container.
func (c composed) exec(service string, args []string) error {
	switch {
	case service == "agent":
		s := c.project.Services[service]
		p, err := c.program(s)
		if err != nil {
			return err
		}
		return c.w.inContainer(c.environment(s, p), args)
	case service == "prometheus" && len(args) > 0 && args[0] == "promtool":
		return untilItAnswers(c.w.Tools["promtool"], args[1:])
	}
	return fmt.Errorf("exec of %v in %s is not among the commands that this stand-in knows", args, service)
}

// untilItAnswers repeats a query, as a reader does who sees no result yet.
func untilItAnswers(program string, args []string) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		out, err := exec.Command(program, args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		if len(bytes.TrimSpace(out)) > 0 {
			_, err := os.Stdout.Write(out)
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s %v: no answer within %v", program, args, patience)
		}
	}
}
