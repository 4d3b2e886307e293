package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const hush = "hush-hush"

func TestSecretIsNeverPrinted(t *testing.T) {
	secret := Secret(hush)
	c := Config{ClientSecret: secret, Push: Push{Headers: map[string]Secret{"authorization": secret}}}
	shown := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "% x", "%20s", "%T %v"} {
		shown["fmt "+verb] = fmt.Sprintf(verb, secret)
		shown["fmt of Config "+verb] = fmt.Sprintf(verb, c)
		shown["fmt of *Config "+verb] = fmt.Sprintf(verb, &c)
		shown["fmt of *Secret "+verb] = fmt.Sprintf(verb, &secret)
		shown["fmt of a slice "+verb] = fmt.Sprintf(verb, []Secret{secret})
	}
	shown["error"] = fmt.Errorf("refused %v", secret).Error()
	shown["println"] = fmt.Sprintln(secret)
	encoded, err := json.Marshal(map[string]any{"config": c, "secret": &secret})
	if err != nil {
		t.Fatal(err)
	}
	shown["json"] = string(encoded)
	for _, format := range []string{"text", "json"} {
		var b bytes.Buffer
		log := NewLogger(&b, slog.LevelDebug, format)
		log.With("a", secret).Info("said", "secret", secret, "pointer", &secret, "config", c, "push", &c.Push, slog.Group("g", "s", secret))
		shown["slog "+format] = b.String()
	}
	for how, text := range shown {
		for _, leak := range []string{hush, fmt.Sprintf("%x", hush), fmt.Sprintf("%X", hush), fmt.Sprintf("% x", hush)} {
			if strings.Contains(text, leak) {
				t.Errorf("%s shows it: %s", how, text)
			}
		}
	}
	if got := fmt.Sprint(secret); got != "[redacted]" {
		t.Errorf("printed as %s", got)
	}
	if secret.Reveal() != hush {
		t.Error("Reveal does not give the text")
	}
}

func TestLogger(t *testing.T) {
	for _, test := range []struct{ format, want string }{
		{"text", "level=WARN msg=slow\n"},
		{"json", `"level":"WARN","msg":"slow"}` + "\n"},
	} {
		var b bytes.Buffer
		log := NewLogger(&b, slog.LevelWarn, test.format)
		log.Info("quick")
		log.Warn("slow")
		if !strings.HasSuffix(b.String(), test.want) || strings.Contains(b.String(), "quick") {
			t.Errorf("%s: %s", test.format, b.String())
		}
	}
}
