package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// installedPages are run on a separate Debian system, by the tests in install/.
var installedPages = []string{"deploy/install.md", "deploy/upgrade.md", "deploy/backup.md"}

// helm implements install of a chart: it renders the chart with the real Helm,
// and checks the settings of each account.
func helm(w *world, args []string) error {
	a, err := parseArguments(args, map[string]bool{"--values": true, "-f": true}, -1)
	if err != nil {
		return err
	}
	if len(a.words) != 3 || a.words[0] != "install" {
		return fmt.Errorf("helm %v is not among the commands that this stand-in knows", a.words)
	}
	cmd := exec.Command(w.Tools["helm"], "template", a.words[1], a.words[2], "--values", a.flag("--values", "-f"), "--kube-version", kubeVersion)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	c, err := decodeChart(out)
	if err != nil {
		return err
	}
	for name := range c.stateful {
		secret := map[string][]byte{}
		for key, value := range c.secrets[name].StringData {
			secret[key] = []byte(value)
		}
		c.secrets[name].Data = secret
		account := &cluster{c.stateful[name], c.services[name], c.secrets[name], c.configs[name]}
		if err := w.examine(account.variables(filepath.Join(w.State, name))); err != nil {
			return err
		}
	}
	return nil
}

// systemdRun implements a command of the agent with the properties of an
// instance, which must equal those of its unit.
func systemdRun(w *world, args []string) error {
	a, err := parseArguments(args, map[string]bool{
		"--quiet": false, "--pipe": false, "--wait": false, "--collect": false, "--unit": true, "--property": true, "--setenv": true,
	}, 1)
	if err != nil {
		return err
	}
	name := a.flag("--unit")
	u, err := installedUnit("netatmo-agent@" + strings.TrimPrefix(name, "netatmo-agent-command-"))
	if err != nil {
		return err
	}
	expand := strings.NewReplacer("%i", u.instance).Replace
	for _, property := range []string{"DynamicUser", "User", "StateDirectory", "StateDirectoryMode", "UMask", "EnvironmentFile"} {
		want := property + "=" + expand(unitSetting(u.text, property))
		if !slices.Contains(a.flags["--property"], want) {
			return fmt.Errorf("the unit has %s, the command does not: %v", want, a.flags["--property"])
		}
	}
	for _, want := range []string{
		"NETATMO_CLIENT_SECRET_FILE=/run/credentials/" + name + ".service/client-secret",
		"RUNTIME_DIRECTORY=/run/" + expand(unitSetting(u.text, "RuntimeDirectory")),
	} {
		if !slices.Contains(a.flags["--setenv"], want) {
			return fmt.Errorf("want %s, the command has %v", want, a.flags["--setenv"])
		}
	}
	if credential := expand(unitSettings(u.text, "LoadCredential")[0]); !slices.Contains(a.flags["--property"], "LoadCredential="+credential) {
		return fmt.Errorf("the unit has the credential %s, the command does not: %v", credential, a.flags["--property"])
	}
	env, err := u.environment(w)
	if err != nil {
		return err
	}
	binary, err := w.build("./agent")
	if err != nil {
		return err
	}
	if len(a.words) < 2 || a.words[0] != "netatmo-agent" || a.words[1] != "check" {
		return fmt.Errorf("%v is not netatmo-agent check, the only command that this stand-in runs", a.words)
	}
	return checks(env, binary, a.words[1:])
}
