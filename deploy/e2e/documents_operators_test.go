package e2e

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

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

// kubectl implements apply of a kustomization, and commands on its objects.
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
		c, err := kustomize(dir)
		if err != nil {
			return err
		}
		if err := w.examine(c.variables(w.State)); err != nil {
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
	do, rest := a.word(0), a.words[1:]
	if do == "rollout" && a.word(1) == "status" {
		rest = a.words[2:]
	}
	known := []string{"statefulset/" + c.stateful.Name, "service/" + c.service.Name}
	if len(rest) == 0 || !slices.Contains(known, rest[0]) {
		return fmt.Errorf("kubectl %v: there are %v", a.words, known)
	}
	switch port := fmt.Sprint(c.service.Spec.Ports[0].Port); do {
	case "logs", "rollout":
		return nil
	case "port-forward":
		if !slices.Equal(rest[1:], []string{port}) {
			return fmt.Errorf("port %v; %s has %s", rest[1:], rest[0], port)
		}
		return nil
	case "exec":
		return w.inContainer(c.variables(w.State), rest[1:], "push") // the cluster's Collector
	}
	return fmt.Errorf("kubectl %s is not among the commands that this stand-in knows", do)
}

// variables are the pod's variables for the agent.
func (c *cluster) variables(root string) []string {
	env := imageVariables(root)
	for name, value := range c.config.Data {
		env = append(env, name+"="+value)
	}
	for name, value := range c.secret.Data {
		env = append(env, name+"="+string(value))
	}
	return env
}

// systemctl implements enable --now and restart of an instance: it has systemd
// verify the unit, and starts the unit's command with what systemd would pass
// to it.
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
		return fmt.Errorf("the user of the instance cannot run %s", start[0])
	}
	binary, err := w.build("./agent") // the installed program is a stand-in for it
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
	drops, err := filepath.Glob(filepath.Join(unitFolder, template+"@"+instance+".service.d", "*"))
	if err != nil {
		return unit{}, err
	}
	u := unit{instance: instance}
	for _, file := range append([]string{path}, drops...) {
		if ext := filepath.Ext(file); ext != ".service" && ext != ".conf" {
			return unit{}, fmt.Errorf("systemd does not read %s", file)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return unit{}, err
		}
		u.text += string(b) + "\n"
	}
	return u, nil
}

// environment is what systemd passes to the instance: its variables, and the
// folders and credentials that they name.
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
