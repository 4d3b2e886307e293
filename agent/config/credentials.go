package config

import (
	"os"
	"strings"
)

const (
	howToRegister = "sign in at https://dev.netatmo.com, open My apps → Create (or an app you have) and copy its "
	howToTry      = " To see the agent at work without an account, run: netatmo-agent demo"
)

// credentials returns the client ID and secret of the user's Netatmo app.
func (l *loader) credentials(s *settings, required bool) (string, Secret) {
	id, secret, file := s.ClientID, s.ClientSecret, s.ClientSecretFile
	l.credential(id, required, howToRegister+"client ID."+howToTry)
	if secret.text != "" && file.text != "" {
		l.problem(secret, "and "+file.name+" are both set", "keep one of them; the file is safer")
		return id.text, Secret(secret.text)
	}
	if file.text == "" {
		howToGet := howToRegister + "client secret, or write it into a file that " + file.Variable + " names." + howToTry
		if id.text == "" {
			howToGet = "copy the client secret from the same page, or write it into a file that " + file.Variable + " names"
		}
		l.credential(secret, required, howToGet)
		return id.text, Secret(secret.text)
	}
	content, ok := l.readFile(file)
	if !ok {
		return id.text, ""
	}
	text := strings.TrimRight(string(content), "\r\n")
	if text == "" {
		l.problem(file, "names an empty file", "write the client secret into it, and nothing else")
	} else {
		l.judge(file, "names a file whose content ", text)
	}
	return id.text, Secret(text)
}

// credential examines the variable of a client ID or secret.
func (l *loader) credential(v variable, required bool, howToGet string) {
	switch {
	case v.text == "" && required:
		what := "is not set"
		if _, set := os.LookupEnv(v.Variable); set || v.name != v.Variable {
			what = "is empty"
		}
		if other := misspelt(v.Variable); other != "" {
			what += ", but " + other + " is set"
		}
		l.problem(v, what, howToGet)
	case v.text != "":
		l.judge(v, "", v.text)
	}
}

// judge examines a client ID or secret without showing it.
func (l *loader) judge(v variable, where, text string) {
	switch {
	case bare(text) != text:
		l.problem(v, where+"begins or ends with spaces or quotes, which would be sent to Netatmo as part of it",
			"remove them; docker's --env-file, for one, takes quotes literally")
	case !plain(text):
		l.problem(v, where+"contains spaces, line breaks or other characters that no client ID or secret has",
			"copy it again from the app's page at dev.netatmo.com: it is letters and digits on one line")
	}
}
