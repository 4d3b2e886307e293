package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// docker knows compose with a file and profiles, and build, push and run of an
// image.
func docker(w *world, args []string) error {
	if len(args) == 0 {
		return errors.New("docker without a command")
	}
	switch args[0] {
	case "compose":
		return dockerCompose(w, args[1:])
	case "build":
		a, err := parseArguments(args[1:], map[string]bool{"--tag": true, "-t": true}, 1)
		if err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(a.word(0), "Dockerfile")); err != nil {
			return err
		}
		return w.note("image " + a.flag("--tag", "-t"))
	case "push":
		return w.noted("image " + args[len(args)-1])
	case "run":
		return dockerRun(w, args[1:])
	}
	return fmt.Errorf("docker %s is not among the commands that this stand-in knows", args[0])
}

func dockerCompose(w *world, args []string) error {
	global, err := parseArguments(args, map[string]bool{"--file": true, "-f": true, "--profile": true}, 1)
	if err != nil {
		return err
	}
	sub := global.word(0)
	known := map[string]map[string]bool{
		"up":   {"--build": false, "--detach": false},
		"down": {"--volumes": false},
		"logs": {"--follow": false},
		"exec": {},
	}
	flags, ok := known[sub]
	if !ok {
		return fmt.Errorf("docker compose %s is not among the commands that this stand-in knows", sub)
	}
	words := -1
	if sub == "exec" {
		words = 1
	}
	a, err := parseArguments(global.words[1:], flags, words)
	if err != nil {
		return err
	}
	project, err := composeProject(global.flag("--file", "-f"), global.flags["--profile"]...)
	if err != nil {
		return err
	}
	up := "project " + strings.Join(global.flags["--profile"], " ")
	if sub == "up" {
		return w.note(up)
	}
	if err := w.noted(up); err != nil {
		return err
	}
	if service := a.word(0); service != "" {
		if _, ok := project.Services[service]; !ok {
			return fmt.Errorf("no service %s; there are %v", service, project.ServiceNames())
		}
	}
	if sub == "exec" {
		return w.inContainer(a.words[1:])
	}
	return nil
}

// inContainer checks a command that is given within the agent's image.
func (w *world) inContainer(args []string) error {
	if len(args) == 0 || args[0] != "/netatmo-agent" {
		return fmt.Errorf("the image has no program but /netatmo-agent: %v", args)
	}
	return w.understands(args[1:])
}

// dockerRun examines the settings that a container would get, by the agent's
// own check.
func dockerRun(w *world, args []string) error {
	a, err := parseArguments(args, map[string]bool{
		"--detach": false, "--name": true, "--restart": true, "--stop-timeout": true, "--env": true,
		"--env-file": true, "--publish": true, "--volume": true,
	}, 1)
	if err != nil {
		return err
	}
	if err := w.noted("image " + a.word(0)); err != nil {
		return err
	}
	if v := a.flag("--volume"); !strings.HasSuffix(v, ":/var/lib/netatmo-agent") {
		return fmt.Errorf("the login would die with the container: volume %q", v)
	}
	if p := a.flag("--publish"); !strings.HasSuffix(p, ":9210") {
		return fmt.Errorf("the login pages cannot be reached: port %q", p)
	}
	if s := a.flag("--stop-timeout"); s != "45" {
		return fmt.Errorf("a refresh under way might be cut off: stop timeout %q", s)
	}
	env := append(os.Environ(), "NETATMO_EXPORTER_ADDR=0.0.0.0:9210", "XDG_STATE_HOME="+w.State)
	if file := a.flag("--env-file"); file != "" {
		variables, err := envFile(file)
		if err != nil {
			return err
		}
		env = append(env, variables...)
	}
	for _, variable := range a.flags["--env"] {
		if !strings.Contains(variable, "=") {
			variable += "=" + os.Getenv(variable)
		}
		env = append(env, variable)
	}
	return w.examine(env)
}

// examine lets the agent check its settings.
func (w *world) examine(env []string) error {
	binary, err := w.build("./agent")
	if err != nil {
		return err
	}
	return wantsLogin(command(env, binary, "check", "--offline"))
}

// envFile reads a file of NAME=value lines.
func envFile(path string) (variables []string, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for lines := bufio.NewScanner(strings.NewReader(string(b))); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if !strings.Contains(line, "=") {
			return nil, fmt.Errorf("%s: %q is not NAME=value", path, line)
		}
		variables = append(variables, line)
	}
	return variables, nil
}

// kubectl knows apply of a kustomization, and what is done with its objects.
func kubectl(w *world, args []string) error {
	a, err := parseArguments(args, map[string]bool{"-k": true, "--kustomize": true, "--follow": false}, -1)
	if err != nil {
		return err
	}
	current := filepath.Join(w.State, "kustomization")
	if a.word(0) == "apply" {
		dir, err := filepath.Abs(a.flag("-k", "--kustomize"))
		if err != nil {
			return err
		}
		if _, err := kustomize(dir); err != nil {
			return err
		}
		return os.WriteFile(current, []byte(dir), 0o600)
	}
	dir, err := os.ReadFile(current)
	if err != nil {
		return fmt.Errorf("nothing was applied: %w", err)
	}
	c, err := kustomize(string(dir))
	if err != nil {
		return err
	}
	object, known := a.word(1), []string{"statefulset/" + c.stateful.Name, "service/" + c.service.Name}
	if !slices.Contains(known, object) {
		return fmt.Errorf("no %s; there are %v", object, known)
	}
	switch a.word(0) {
	case "port-forward":
		if port := fmt.Sprint(c.service.Spec.Ports[0].Port); a.word(2) != port {
			return fmt.Errorf("port %s; %s has %s", a.word(2), object, port)
		}
	case "logs":
	case "rollout":
	case "exec":
		return w.inContainer(a.words[2:])
	default:
		return fmt.Errorf("kubectl %s is not among the commands that this stand-in knows", a.word(0))
	}
	return nil
}

// systemctl knows enable --now and restart of an instance: it has the unit
// judged by systemd, and starts what it says with what systemd would give it.
func systemctl(w *world, args []string) error {
	a, err := parseArguments(args, map[string]bool{"--now": false}, -1)
	if err != nil {
		return err
	}
	switch a.word(0) {
	case "daemon-reload":
		return nil
	case "enable", "restart":
	default:
		return fmt.Errorf("systemctl %s is not among the commands that this stand-in knows", a.word(0))
	}
	unit, err := installedUnit(a.word(1))
	if err != nil {
		return err
	}
	env, err := unit.environment(w)
	if err != nil {
		return err
	}
	start := strings.Fields(unitSetting(unit.text, "ExecStart"))
	if info, err := os.Stat(start[0]); err != nil {
		return err
	} else if info.Mode()&0o001 == 0 {
		return fmt.Errorf("%s is not for the user of the instance to run", start[0])
	}
	binary, err := w.build("./agent") // what is installed is the stand-in for it
	if err != nil {
		return err
	}
	if err := w.runAgent(env, binary, start[1:]); err != nil {
		return err
	}
	return w.note("unit " + a.word(1))
}

func journalctl(w *world, args []string) error {
	a, err := parseArguments(args, map[string]bool{"-u": true, "--unit": true, "--follow": false}, -1)
	if err != nil {
		return err
	}
	return w.noted("unit " + a.flag("-u", "--unit"))
}

// unit is an instance of a template, with its drop-ins.
type unit struct{ instance, text string }

const unitFolder = "/etc/systemd/system"

func installedUnit(name string) (unit, error) {
	template, instance, ok := strings.Cut(strings.TrimSuffix(name, ".service"), "@")
	if !ok || instance == "" {
		return unit{}, fmt.Errorf("%q is not an instance", name)
	}
	path := filepath.Join(unitFolder, template+"@.service")
	if err := verifyUnit(path, instance); err != nil {
		return unit{}, err
	}
	drops, err := filepath.Glob(filepath.Join(unitFolder, template+"@"+instance+".service.d", "*.conf"))
	if err != nil {
		return unit{}, err
	}
	u := unit{instance: instance}
	for _, file := range append([]string{path}, drops...) {
		b, err := os.ReadFile(file)
		if err != nil {
			return unit{}, err
		}
		u.text += string(b) + "\n"
	}
	return u, nil
}

// environment is what systemd gives the instance: its variables, and the
// folders and credentials behind them.
func (u unit) environment(w *world) (env []string, err error) {
	credentials := filepath.Join(w.State, "credentials")
	if err := os.MkdirAll(credentials, 0o700); err != nil {
		return nil, err
	}
	expand := strings.NewReplacer("%i", u.instance, "%d", credentials).Replace
	for name, dir := range map[string]string{
		"STATE_DIRECTORY":   filepath.Join("/var/lib", expand(unitSetting(u.text, "StateDirectory"))),
		"RUNTIME_DIRECTORY": filepath.Join("/run", expand(unitSetting(u.text, "RuntimeDirectory"))),
	} {
		env = append(env, name+"="+dir)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	for _, setting := range unitSettings(u.text, "LoadCredential") {
		id, path, _ := strings.Cut(expand(setting), ":")
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(credentials, id), b, 0o400); err != nil {
			return nil, err
		}
	}
	for _, setting := range unitSettings(u.text, "Environment") {
		env = append(env, expand(setting))
	}
	for _, path := range unitSettings(u.text, "EnvironmentFile") {
		variables, err := envFile(expand(path))
		if err != nil {
			return nil, err
		}
		env = append(env, variables...)
	}
	return env, nil
}
